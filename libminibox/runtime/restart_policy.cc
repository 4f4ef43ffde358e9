// SPDX-License-Identifier: Apache-2.0
#include "runtime/restart_policy.h"

#include <algorithm>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr std::string_view kOnFailure = "on-failure";
constexpr uint64_t kMaxRetries = 1'000'000;

}  // namespace

StatusOr<RestartPolicy> RestartPolicy::Parse(std::string_view text) {
  if (text.empty() || text == "no") return RestartPolicy();
  if (text == "always") return RestartPolicy{Kind::kAlways, 0};
  if (text == "unless-stopped") return RestartPolicy{Kind::kUnlessStopped, 0};
  if (text == kOnFailure) return RestartPolicy{Kind::kOnFailure, 0};
  if (text.starts_with(core::StrCat(kOnFailure, ":"))) {
    const auto count = core::ParseUint64(text.substr(kOnFailure.size() + 1));
    if (count && *count >= 1 && *count <= kMaxRetries) {
      return RestartPolicy{Kind::kOnFailure, static_cast<int>(*count)};
    }
  }
  return core::InvalidArgument("restart",
                               "must be 'no', 'on-failure[:n]', 'always' or 'unless-stopped'");
}

std::string RestartPolicy::ToString() const {
  switch (kind) {
    case Kind::kNo:
      break;
    case Kind::kOnFailure:
      return max_retries == 0 ? std::string(kOnFailure)
                              : core::StrCat(kOnFailure, ":", max_retries);
    case Kind::kAlways:
      return "always";
    case Kind::kUnlessStopped:
      return "unless-stopped";
  }
  return "no";
}

std::string_view HealthName(Health health) {
  switch (health) {
    case Health::kNone:
      break;
    case Health::kStarting:
      return "starting";
    case Health::kHealthy:
      return "healthy";
    case Health::kUnhealthy:
      return "unhealthy";
  }
  return "none";
}

}  // namespace v1

namespace runtime {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstDelay{100}, kLongestDelay{60'000}, kNewRow{10'000};

}  // namespace

milliseconds RestartDelay(int row) {
  milliseconds delay = kFirstDelay;
  for (int i = 0; i < row && delay < kLongestDelay; ++i) delay *= 2;
  return std::min(delay, kLongestDelay);
}

void PlanRestart(ContainerRecord& record, Ended what, TimePoint ended) {
  using Kind = RestartPolicy::Kind;
  ContainerInfo& info = record.info;
  info.next_restart.reset();
  if (record.stopped || info.restart.kind == Kind::kNo) return;
  if (what == Ended::kRun && info.started && ended - *info.started >= kNewRow) {
    record.restart_row = 0;
  }
  if (info.restart.kind == Kind::kOnFailure) {
    if (what == Ended::kRun && info.exit && info.exit->code == 0) return;
    if (info.restart.max_retries > 0 && record.restart_row >= info.restart.max_retries) return;
  }
  info.next_restart = ended + RestartDelay(record.restart_row);
}

bool StartsWithDaemon(const ContainerRecord& record) {
  return record.info.state == ContainerState::kExited &&
         record.info.restart.kind == RestartPolicy::Kind::kAlways;
}

}  // namespace runtime
}  // namespace minibox
