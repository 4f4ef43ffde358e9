// SPDX-License-Identifier: Apache-2.0
#include "wire/lifecycle.h"

#include <cmath>

#include "core/clock.h"
#include "core/errors.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "wire/container.h"

namespace minibox::wire {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;
// Below, `cpu` is percent of one core.
constexpr int64_t kMinQuota = 1000, kMicrosPerPercent = 1000;

int64_t Mib(int64_t bytes) { return bytes < 0 ? -1 : (bytes + kMib - 1) / kMib; }

}  // namespace

StatusOr<ContainerUpdate> ToUpdate(const UpdateRequest& request) {
  ContainerUpdate update;
  const auto set = [](const std::optional<int64_t>& value, std::optional<int64_t>& out,
                      int64_t unit) {
    if (value && *value != 0) out = *value < 0 ? -1 : *value * unit;
  };
  set(request.memory, update.memory_bytes, kMib);
  set(request.memory_swap, update.memory_swap_bytes, kMib);
  set(request.cpu, update.cpu_quota_us,
      request.cpu.value_or(0) < kMinQuota ? kMicrosPerPercent : 1);
  set(request.io_weight, update.io_weight, 1);
  set(request.pids_limit, update.pids, 1);
  if (!request.cpuset.empty()) update.cpuset = request.cpuset;
  if (!request.restart.empty()) {
    MBX_ASSIGN_OR_RETURN(update.restart, RestartPolicy::Parse(request.restart));
  }
  return update;
}

std::string ToJson(const ContainerUpdate& update) {
  json::Writer writer;
  writer.BeginObject();
  if (update.memory_bytes) writer.Key("memory").Int(Mib(*update.memory_bytes));
  if (update.memory_swap_bytes) writer.Key("memory_swap").Int(Mib(*update.memory_swap_bytes));
  if (update.cpu_quota_us) writer.Key("cpu").Int(*update.cpu_quota_us);
  if (update.cpuset) writer.Key("cpuset").String(*update.cpuset);
  if (update.io_weight) writer.Key("io_weight").Int(*update.io_weight);
  if (update.pids) writer.Key("pids_limit").Int(*update.pids);
  if (update.restart) writer.Key("restart").String(update.restart->ToString());
  writer.EndObject();
  return writer.Take();
}

std::string WaitResult(const ContainerInfo& info) {
  const ExitStatus exit = info.exit.value_or(ExitStatus());
  json::Writer writer;
  writer.BeginObject();
  writer.Key("id").String(info.id.ToString());
  writer.Key("status").String(StateName(info.state));
  writer.Key("exit_code").Int(exit.code);
  writer.Key("signal").Int(exit.signal);
  writer.Key("oom_killed").Bool(exit.oom_killed);
  writer.EndObject();
  return writer.Take();
}

StatusOr<int> ParseWaitResult(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value object, json::Parse(text, {.max_bytes = text.size()}));
  MBX_ASSIGN_OR_RETURN(const int64_t code, object.GetInt("exit_code"));
  return static_cast<int>(code);
}

std::string ToJson(const ContainerPruneReport& report) {
  json::Writer writer;
  writer.BeginObject();
  writer.Key("bytes_freed").Uint(report.bytes_freed);
  writer.Key("removed").BeginArray();
  for (const ContainerId& id : report.removed) writer.String(id.ToString());
  writer.EndArray().EndObject();
  return writer.Take();
}

StatusOr<ContainerPruneReport> ParseContainerPruneReport(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value object, json::Parse(text, {.max_bytes = text.size()}));
  ContainerPruneReport report;
  MBX_ASSIGN_OR_RETURN(report.bytes_freed, object.Get("bytes_freed").AsUint());
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> ids, object.GetStringArray("removed"));
  for (const std::string& id : ids) {
    MBX_ASSIGN_OR_RETURN(ContainerId parsed, ContainerId::Parse(id));
    report.removed.push_back(std::move(parsed));
  }
  return report;
}

StatusOr<TimePoint> ParseMoment(std::string_view text, TimePoint now) {
  const bool number = !text.empty() && text.find_first_not_of("0123456789.") == text.npos;
  if (number) {
    MBX_ASSIGN_OR_RETURN(const int64_t since_1970, core::ParseDurationNs(text));
    return TimePoint(
        std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(since_1970)));
  }
  if (const auto time = core::ParseTime(text); time.ok()) return *time;
  const auto ago = core::ParseDurationNs(text);
  if (ago.ok()) {
    return now - std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(*ago));
  }
  return Status(StatusCode::kInvalidArgument,
                core::StrCat("'", core::EscapeControl(text),
                             "' is neither RFC 3339, seconds since 1970 nor a duration"),
                {.reason = "invalid_argument"});
}

}  // namespace minibox::wire
