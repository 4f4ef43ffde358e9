// SPDX-License-Identifier: Apache-2.0
#include "init/raise_limits.h"

#include <errno.h>

#include "init/sys.h"

namespace minibox::init {
namespace {

const char* LimitName(int resource) {
  constexpr const char* kNames[] = {"cpu",      "fsize",  "data",    "stack", "core",  "rss",
                                    "nproc",    "nofile", "memlock", "as",    "locks", "sigpending",
                                    "msgqueue", "nice",   "rtprio",  "rttime"};
  constexpr int kCount = sizeof kNames / sizeof kNames[0];
  return resource >= 0 && resource < kCount ? kNames[resource] : "unknown";
}

}  // namespace

bool RaiseLimits(const Plan& plan, pid_t pid, void (*warn)(void*, const MessageText&),
                 void* argument, Failure& failure) {
  for (const PlannedRlimit& limit : plan.rlimits) {
    sys::Limit current;
    if (sys::PrLimit(pid, limit.resource, nullptr, &current) != 0) {
      MessageText field;
      field << "ulimits[\"" << LimitName(limit.resource) << "\"]";
      return FailInvalid(failure, field.c_str(), "read limit", LimitName(limit.resource));
    }
    if (limit.hard <= current.hard) continue;
    const sys::Limit raised{current.soft, limit.hard};
    if (sys::PrLimit(pid, limit.resource, &raised, nullptr) == 0) continue;
    MessageText message;
    message << "cannot apply ulimit " << LimitName(limit.resource) << ": the engine's own limit is "
            << current.hard;
    if (!limit.best_effort) {
      const int error = errno;
      return FailWith(failure, FailureKind::kUnsupported, error, "ulimits", message);
    }
    if (warn != nullptr) warn(argument, message << ", using that");
  }
  return true;
}

}  // namespace minibox::init
