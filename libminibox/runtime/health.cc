// SPDX-License-Identifier: Apache-2.0
// Probes of health (spec §12.18): an exec in the container, and what it means.
#include <algorithm>
#include <atomic>
#include <chrono>

#include "core/log.h"
#include "core/strings.h"
#include "runtime/health_log.h"
#include "runtime/monitor_identity.h"
#include "runtime/process_impl.h"
#include "runtime/runtime_impl.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr size_t kKeptOutput = 4096;
constexpr milliseconds kDefaultTimeout{30'000};
constexpr int kDefaultRetries = 3;

}  // namespace

std::optional<HealthProbe> Runtime::Impl::RunProbe(const ContainerId &id,
                                                   const HealthCheck &check) {
  ExecSpec exec;
  exec.command.assign(check.test.begin() + 1, check.test.end());  // after "CMD"
  HealthProbe probe;
  probe.start = system_clock::now();
  std::stop_source stop;
  std::atomic<bool> late{false};
  const std::stop_callback closing(stopping_.get_token(), [&stop] { stop.request_stop(); });
  const milliseconds timeout = check.timeout.value_or(kDefaultTimeout);
  const auto timer = loop_->AddTimer(std::chrono::steady_clock::now() + timeout, [&] {
    late = true;
    stop.request_stop();
  });
  auto process = StartExec(id, exec, Announced::kNo, stop.get_token());
  StatusOr<ExitStatus> exit = ExitStatus();
  if (!process.ok()) {
    exit = process.status();
  } else {
    // Its end kills what is left of the probe, descendants included.
    Process running(std::move(*process));
    exit = running.Wait(
        [&probe](const OutputChunk &chunk) {
          const size_t room = kKeptOutput - std::min(kKeptOutput, probe.output.size());
          probe.output += chunk.bytes.substr(0, room);
          return Status();
        },
        stop.get_token());
  }
  loop_->Remove(timer);
  probe.end = system_clock::now();
  if (exit.ok()) {
    probe.exit_code = exit->code;
    return probe;
  }
  if (stopping_.stop_requested()) return std::nullopt;
  probe.exit_code = -1;
  if (late) {
    probe.output += core::StrCat(probe.output.empty() || probe.output.ends_with('\n') ? "" : "\n",
                                 "the check took longer than ", timeout.count(), " ms");
    return probe;
  }
  // The container ends or is being paused: that says nothing about its health.
  if (exit.status().code() == StatusCode::kFailedPrecondition ||
      exit.status().code() == StatusCode::kUnavailable ||
      exit.status().code() == StatusCode::kNotFound) {
    return std::nullopt;
  }
  probe.output = exit.status().message();
  return probe;
}

std::optional<milliseconds> Runtime::Impl::ProbeHealth(const ContainerId &id,
                                                       const runtime::MonitorIdentity &run) {
  const auto goes_on = [&run](const runtime::ContainerRecord &record) {
    return runtime::SameRun(record.monitor, run) && runtime::IsLive(record.info.state);
  };
  auto dir = runtime::ContainerDir::Open(*images->root, id);
  if (!dir.ok()) return std::nullopt;
  auto record = dir->ReadRecord();
  const auto config = dir->ReadConfig();
  if (!record.ok() || !config.ok() || !goes_on(*record) || !config->spec.healthcheck) {
    return std::nullopt;
  }
  const HealthCheck &check = *config->spec.healthcheck;
  const TimePoint started = record->info.started.value_or(system_clock::now());
  const auto pause = [&](Health health) {
    return runtime::ProbePause(check, health, started, system_clock::now());
  };
  if (record->info.state == ContainerState::kPaused) return pause(record->info.health);
  std::optional<HealthProbe> probe = RunProbe(id, check);
  if (stopping_.stop_requested()) return std::nullopt;
  if (!probe) return pause(record->info.health);

  auto container = Lock(id, stopping_.get_token());
  if (!container.ok() || !goes_on(container->record)) return std::nullopt;
  ContainerInfo &info = container->record.info;
  // Paused or ended while it ran: what it says is about that, not about the
  // workload.
  if (info.state == ContainerState::kPaused) return pause(info.health);
  if (const auto ended = container->dir.ReadExit(); ended.ok() && *ended) return std::nullopt;
  const bool counts = probe->start - started >= check.start_period.value_or(milliseconds(0));
  HealthLog log = runtime::ReadHealthLog(container->dir);
  runtime::AddProbe(std::move(*probe), counts, log);
  Status written = runtime::WriteHealthLog(container->dir, log);
  const Health now = runtime::NextHealth(info.health, log, check.retries.value_or(kDefaultRetries));
  if (now != info.health) {
    info.health = now;
    if (written.ok()) written = container->dir.WriteRecord(container->record);
    snapshot_->Touch();
    if (written.ok()) Emit("container.health", info, {{"health", std::string(HealthName(now))}});
  }
  if (!written.ok()) {
    core::LogWarning("runtime", core::StrCat("health of container ", id.ToString(), ": ",
                                             written.message(), ", not recorded"));
  }
  return pause(info.health);
}

void Runtime::Impl::BeginProbes(const ContainerId &id) {
  if (!health_) return;
  auto dir = runtime::ContainerDir::Open(*images->root, id);
  if (!dir.ok()) return;
  const auto record = dir->ReadRecord();
  if (!record.ok() || record->info.health == Health::kNone) return;
  const auto config = dir->ReadConfig();
  if (!config.ok() || !config->spec.healthcheck) return;
  // As if whoever began to probe had gone on.
  const HealthLog log = runtime::ReadHealthLog(*dir);
  const TimePoint now = system_clock::now(), started = record->info.started.value_or(now);
  const TimePoint last = log.probes.empty() ? started : log.probes.back().end;
  const auto due =
      last + runtime::ProbePause(*config->spec.healthcheck, record->info.health, started, last);
  health_->Begin(id, record->monitor,
                 std::max(milliseconds(0), std::chrono::ceil<milliseconds>(due - now)));
}

}  // namespace v1
}  // namespace minibox
