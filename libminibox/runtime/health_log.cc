// SPDX-License-Identifier: Apache-2.0
#include "runtime/health_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/clock.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kName = "health.json", kTemporary = ".health.json.tmp";
constexpr size_t kMaxFile = 1u << 20;
constexpr size_t kKeptProbes = 5, kKeptOutput = 4096;
constexpr milliseconds kStartingPause{5000};
constexpr milliseconds kDefaultInterval{30'000};

StatusOr<HealthProbe> ParseProbe(const json::Value& value) {
  HealthProbe probe;
  MBX_ASSIGN_OR_RETURN(const std::string start, value.GetString("start"));
  MBX_ASSIGN_OR_RETURN(probe.start, core::ParseTime(start));
  MBX_ASSIGN_OR_RETURN(const std::string end, value.GetString("end"));
  MBX_ASSIGN_OR_RETURN(probe.end, core::ParseTime(end));
  MBX_ASSIGN_OR_RETURN(const int64_t code, value.GetInt("exit_code"));
  probe.exit_code = static_cast<int>(code);
  MBX_ASSIGN_OR_RETURN(probe.output, value.GetString("output", ""));
  return probe;
}

}  // namespace

std::string SerializeHealthLog(const HealthLog& log) {
  json::Writer out;
  out.BeginObject();
  out.Key("failing_streak").Int(log.failing_streak);
  out.Key("log").BeginArray();
  for (const HealthProbe& probe : log.probes) {
    out.BeginObject();
    out.Key("start").String(core::FormatTime(probe.start));
    out.Key("end").String(core::FormatTime(probe.end));
    out.Key("exit_code").Int(probe.exit_code);
    out.Key("output").String(core::ReplaceInvalidUtf8(probe.output));
    out.EndObject();
  }
  out.EndArray().EndObject();
  return out.Take();
}

StatusOr<HealthLog> ParseHealthLog(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text));
  HealthLog log;
  MBX_ASSIGN_OR_RETURN(const int64_t streak, root.GetInt("failing_streak"));
  log.failing_streak = static_cast<int>(streak);
  for (const json::Value& value : root.Get("log").Elements()) {
    MBX_ASSIGN_OR_RETURN(log.probes.emplace_back(), ParseProbe(value));
  }
  return log;
}

HealthLog ReadHealthLog(const ContainerDir& dir) {
  const auto text = core::ReadFileAt(dir.dir().fd(), kName, kMaxFile);
  auto log = text.ok() ? ParseHealthLog(*text) : StatusOr<HealthLog>(text.status());
  return log.ok() ? std::move(*log) : HealthLog();
}

Status WriteHealthLog(const ContainerDir& dir, const HealthLog& log) {
  {
    MBX_ASSIGN_OR_RETURN(const core::Fd file,
                         dir.dir().OpenNoFollow(kTemporary, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    MBX_RETURN_IF_ERROR(core::WriteAll(file.get(), SerializeHealthLog(log)).WithContext(kName));
  }
  return dir.dir().Rename(kTemporary, kName, /*replace=*/true);
}

Status ClearHealthLog(const ContainerDir& dir) {
  const int removed = unlinkat(dir.dir().fd(), std::string(kName).c_str(), 0);
  return removed == 0 || errno == ENOENT ? Status() : core::SysError("unlinkat", kName);
}

void AddProbe(HealthProbe probe, bool counts, HealthLog& log) {
  if (probe.exit_code == 0) {
    log.failing_streak = 0;
  } else if (counts) {
    ++log.failing_streak;
  }
  if (probe.output.size() > kKeptOutput) probe.output.resize(kKeptOutput);
  log.probes.push_back(std::move(probe));
  if (log.probes.size() > kKeptProbes) {
    log.probes.erase(log.probes.begin(), log.probes.end() - static_cast<ptrdiff_t>(kKeptProbes));
  }
}

Health NextHealth(Health before, const HealthLog& log, int retries) {
  if (log.probes.empty()) return before;
  if (log.probes.back().exit_code == 0) return Health::kHealthy;
  return log.failing_streak >= retries ? Health::kUnhealthy : before;
}

milliseconds ProbePause(const HealthCheck& check, Health health, TimePoint started, TimePoint now) {
  const milliseconds interval = check.interval.value_or(kDefaultInterval);
  const bool starting =
      health == Health::kStarting && now - started < check.start_period.value_or(milliseconds(0));
  return starting ? std::min(interval, kStartingPause) : interval;
}

}  // namespace minibox::runtime
