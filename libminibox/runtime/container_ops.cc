// SPDX-License-Identifier: Apache-2.0
// Operations on containers. The lock is held while the state is judged and changed, never
// while waiting for a workload: a kill reaches a container that somebody is stopping.
#include <algorithm>
#include <chrono>
#include <csignal>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/dir_watch.h"
#include "runtime/runtime_impl.h"
#include "runtime/state_machine.h"
#include "runtime/stop_event.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr auto kDefaultGrace = std::chrono::seconds(10);
constexpr int64_t kLongestPollMs = 3600 * 1000;

Status CheckSignal(int signal) {
  if (signal >= 1 && signal <= SIGRTMAX) return Status();
  return core::InvalidArgument("signal", core::StrCat(signal, " is not a signal"));
}

// The exit, or nullopt when `grace` has passed. kUnavailable: the monitor is gone.
StatusOr<std::optional<ExitStatus>> WaitExitFor(runtime::MonitorConnection& connection,
                                                std::chrono::milliseconds grace,
                                                const std::stop_token& stop) {
  using runtime::StopEvent;
  MBX_ASSIGN_OR_RETURN(const StopEvent stop_event, StopEvent::Create(stop));
  const auto deadline = std::chrono::steady_clock::now() + grace;
  while (true) {
    MBX_ASSIGN_OR_RETURN(std::optional<ExitStatus> exit, connection.PollExit());
    if (exit) return exit;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    MBX_ASSIGN_OR_RETURN(
        const StopEvent::Woken woken,
        stop_event.WaitReadable(connection.fd(), static_cast<int>(std::clamp<int64_t>(
                                                     left.count(), 0, kLongestPollMs))));
    if (woken == StopEvent::Woken::kStopped) return core::Cancelled("waiting for the exit");
    if (woken == StopEvent::Woken::kTimeout && std::chrono::steady_clock::now() >= deadline) {
      return std::optional<ExitStatus>();
    }
  }
}

// A monitor that is gone has no exit to tell; its record may.
StatusOr<std::optional<ExitStatus>> Told(StatusOr<ExitStatus> exit) {
  if (exit.ok()) return std::optional<ExitStatus>(std::move(*exit));
  if (exit.status().code() == StatusCode::kUnavailable) return std::optional<ExitStatus>();
  return exit.status();
}

bool IsGone(const Status& status) {
  return status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kNotFound;
}

}  // namespace

StatusOr<ContainerInfo> Runtime::Impl::Start(const ContainerId& id, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id, stop));
  MBX_ASSIGN_OR_RETURN(Started started, StartLocked(container, /*capture=*/false, stop));
  MBX_RETURN_IF_ERROR(
      supervisor_->Watch(id, container.record.monitor, std::move(started.connection)));
  return std::move(started.info);
}

StatusOr<ContainerInfo> Runtime::Impl::Run(const ContainerSpec& spec, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(Started started, CreateAndStart(spec, /*capture=*/false, stop));
  const Status watched =
      supervisor_->Watch(started.info.id, started.monitor, std::move(started.connection));
  if (!watched.ok()) {
    core::LogWarning("runtime", core::StrCat(watched.message(), ", the exit of container ",
                                             started.info.id.ToString(), " is noticed later"));
  }
  return std::move(started.info);
}

StatusOr<ExitStatus> Runtime::Impl::RunForeground(const ContainerSpec& spec, const OutputFn& sink,
                                                  const RunOptions& run, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(Started started, CreateAndStart(spec, /*capture=*/true, stop));
  const ContainerId id = started.info.id;
  if (run.started) run.started(started.info);
  Status delivered = runtime::ReadOutput(started.output.get(), sink, stop);
  std::optional<ExitStatus> told;
  if (delivered.ok() || delivered.code() == StatusCode::kDataLoss) {
    // Output that ends without its mark means that the monitor is gone: the exit will say so.
    auto exit = Told(started.connection.WaitExit(stop));
    if (exit.ok()) {
      MBX_ASSIGN_OR_RETURN(ExitStatus finished, FinishRun(id, started.monitor, *exit));
      if (!delivered.ok()) return delivered;
      return finished;
    }
    if (exit.status().code() != StatusCode::kCancelled) return exit.status();
    delivered = exit.status();
  }
  // The client is gone.
  started.output.reset();
  if (run.on_disconnect == OnDisconnect::kKeep) {
    MBX_RETURN_IF_ERROR(supervisor_->Watch(id, started.monitor, std::move(started.connection)));
  } else {
    // Not running any more is what was wanted.
    (void)started.connection.Signal(SIGKILL);
    MBX_ASSIGN_OR_RETURN(const auto exit, Told(started.connection.WaitExit()));
    MBX_RETURN_IF_ERROR(FinishRun(id, started.monitor, exit).status());
  }
  return core::Cancelled(core::StrCat("container ", id.ToString(), ": ", delivered.message()));
}

StatusOr<StopResult> Runtime::Impl::Stop(const ContainerId& id, const StopOptions& how,
                                         std::stop_token stop) {
  if (how.signal != 0) MBX_RETURN_IF_ERROR(CheckSignal(how.signal));
  int signal = how.signal;
  std::chrono::milliseconds grace = how.grace.value_or(kDefaultGrace);
  runtime::ContainerRecord record(id);
  {
    MBX_ASSIGN_OR_RETURN(Locked container, Lock(id, stop));
    record = std::move(container.record);
    if (!runtime::IsLive(record.info.state)) return StopResult::kNotRunning;
    MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, container.dir.ReadConfig());
    if (signal == 0) signal = core::ParseSignal(config.spec.stop_signal).value_or(SIGTERM);
    if (!how.grace && config.spec.stop_timeout) grace = *config.spec.stop_timeout;
  }
  auto connection = Connect(record);
  if (!connection.ok()) {
    if (!IsGone(connection.status())) return connection.status();
    MBX_RETURN_IF_ERROR(FinishRun(id, record.monitor, std::nullopt).status());
    return StopResult::kNotRunning;
  }
  StopResult result = StopResult::kStopped;
  std::optional<ExitStatus> exit;
  if (grace.count() > 0) {
    const Status sent = connection->Signal(signal);
    if (!sent.ok() && sent.reason() != "container_not_running" && !IsGone(sent)) return sent;
    auto waited = WaitExitFor(*connection, grace, stop);
    if (!waited.ok() && !IsGone(waited.status())) return waited.status();
    if (waited.ok()) exit = *waited;
    if (!waited.ok()) {
      MBX_RETURN_IF_ERROR(FinishRun(id, record.monitor, std::nullopt).status());
      return StopResult::kStopped;
    }
  }
  if (!exit) {
    result = StopResult::kKilled;
    // It may have ended in this moment, and then that is its end.
    (void)connection->Signal(SIGKILL);
    MBX_ASSIGN_OR_RETURN(exit, Told(connection->WaitExit(stop)));
  }
  MBX_RETURN_IF_ERROR(FinishRun(id, record.monitor, exit).status());
  return result;
}

Status Runtime::Impl::Kill(const ContainerId& id, int signal) {
  MBX_RETURN_IF_ERROR(CheckSignal(signal));
  runtime::ContainerRecord record(id);
  {
    MBX_ASSIGN_OR_RETURN(Locked container, Lock(id));
    MBX_RETURN_IF_ERROR(runtime::CheckCanSignal(container.record.info));
    record = std::move(container.record);
  }
  auto connection = Connect(record);
  if (!connection.ok() && !IsGone(connection.status())) return connection.status();
  const Status sent = connection.ok() ? connection->Signal(signal) : connection.status();
  if (!sent.ok()) {
    if (!IsGone(sent) && sent.reason() != "container_not_running") return sent;
    // It has ended; nobody has recorded that yet.
    std::optional<ExitStatus> exit;
    if (connection.ok()) {
      MBX_ASSIGN_OR_RETURN(exit, Told(connection->WaitExit()));
    }
    MBX_RETURN_IF_ERROR(FinishRun(id, record.monitor, exit).status());
    record.info.state = ContainerState::kExited;
    return runtime::CheckCanSignal(record.info);
  }
  if (signal != SIGKILL) return Status();
  MBX_ASSIGN_OR_RETURN(const auto exit, Told(connection->WaitExit()));
  return FinishRun(id, record.monitor, exit).status();
}

Status Runtime::Impl::Remove(const ContainerId& id, bool force) {
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id));
  MBX_RETURN_IF_ERROR(runtime::CheckCanRemove(container.record.info, force));
  if (runtime::IsLive(container.record.info.state)) KillRun(container.record);
  return RemoveLocked(std::move(container));
}

StatusOr<ExitStatus> Runtime::Impl::Wait(const ContainerId& id, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, id));
  std::optional<runtime::DirWatch> watch;
  while (true) {
    MBX_ASSIGN_OR_RETURN(const runtime::ContainerRecord record, dir.ReadRecord());
    if (runtime::IsLive(record.info.state)) {
      auto connection = Connect(record);
      if (!connection.ok() && !IsGone(connection.status())) return connection.status();
      std::optional<ExitStatus> exit;
      if (connection.ok()) {
        MBX_ASSIGN_OR_RETURN(exit, Told(connection->WaitExit(stop)));
      }
      return FinishRun(id, record.monitor, exit, stop);
    }
    if (record.info.exit) return *record.info.exit;
    // It has never run: wait for what becomes of it.
    if (!watch) {
      MBX_ASSIGN_OR_RETURN(watch, runtime::DirWatch::Create(dir.dir().fd()));
      continue;
    }
    MBX_RETURN_IF_ERROR(watch->Wait(stop));
  }
}

}  // namespace v1
}  // namespace minibox
