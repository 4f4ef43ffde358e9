// SPDX-License-Identifier: Apache-2.0
// Operations on containers. The lock is held while the state is judged and changed, never
// while waiting for a workload: a kill reaches a container that somebody is stopping.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/dir_watch.h"
#include "runtime/monitor_identity.h"
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

// Whether who sends `signal` wants the container to end, as opposed to telling it something.
StatusOr<bool> MeansEnd(const runtime::ContainerDir& dir, int signal) {
  if (signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGQUIT) return true;
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, dir.ReadConfig());
  return core::ParseSignal(config.spec.stop_signal) == signal;
}

struct HowToStop {
  int signal = SIGTERM;
  std::chrono::milliseconds grace{};
};

// The request, then what the container was made with.
StatusOr<HowToStop> PlanStop(const runtime::ContainerDir& dir, const StopOptions& request) {
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, dir.ReadConfig());
  HowToStop how;
  how.signal = request.signal != 0 ? request.signal
                                   : core::ParseSignal(config.spec.stop_signal).value_or(SIGTERM);
  how.grace = request.grace.value_or(config.spec.stop_timeout.value_or(kDefaultGrace));
  return how;
}

struct EndedRun {
  StopResult result = StopResult::kStopped;
  std::optional<ExitStatus> exit{};  // unset: the monitor was gone
};

// `kill` is called when time is up.
StatusOr<EndedRun> EndRun(runtime::MonitorConnection& connection, const HowToStop& how,
                          const std::function<Status()>& kill, const std::stop_token& stop) {
  EndedRun ended;
  if (how.grace.count() > 0) {
    const Status sent = connection.Signal(how.signal);
    if (!sent.ok() && sent.reason() != "container_not_running" && !IsGone(sent)) return sent;
    auto waited = WaitExitFor(connection, how.grace, stop);
    if (!waited.ok() && !IsGone(waited.status())) return waited.status();
    if (!waited.ok()) return ended;
    ended.exit = *waited;
  }
  if (!ended.exit) {
    ended.result = StopResult::kKilled;
    MBX_RETURN_IF_ERROR(kill());
    MBX_ASSIGN_OR_RETURN(ended.exit, Told(connection.WaitExit(stop)));
  }
  return ended;
}

}  // namespace

StatusOr<ContainerInfo> Runtime::Impl::Start(const ContainerId& id, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id, stop));
  MBX_ASSIGN_OR_RETURN(Started started, StartLocked(container, /*capture=*/false, stop));
  Supervise(started);
  return std::move(started.info);
}

StatusOr<ContainerInfo> Runtime::Impl::Run(const ContainerSpec& spec, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(Started started, CreateAndStart(spec, /*capture=*/false, stop));
  Supervise(started);
  return std::move(started.info);
}

StatusOr<StopResult> Runtime::Impl::Stop(const ContainerId& id, const StopOptions& request,
                                         std::stop_token stop) {
  if (request.signal != 0) MBX_RETURN_IF_ERROR(CheckSignal(request.signal));
  runtime::ContainerRecord record(id);
  HowToStop how;
  {
    MBX_ASSIGN_OR_RETURN(Locked container, Lock(id, stop));
    const bool live = runtime::IsLive(container.record.info.state);
    if (live) {
      MBX_ASSIGN_OR_RETURN(how, PlanStop(container.dir, request));
    }
    MBX_RETURN_IF_ERROR(NoteStoppedByUser(container));
    if (!live) return StopResult::kNotRunning;
    MBX_RETURN_IF_ERROR(ThawLocked(container));
    record = std::move(container.record);
  }
  auto connection = Connect(record);
  if (!connection.ok()) {
    if (!IsGone(connection.status())) return connection.status();
    MBX_RETURN_IF_ERROR(FinishRun(id, record.monitor, std::nullopt).status());
    return StopResult::kNotRunning;
  }
  const auto kill = [&]() -> Status {
    // Somebody may have paused it meanwhile, and what is frozen does not die.
    auto container = Lock(id, stop);
    if (container.status().code() == StatusCode::kNotFound) return Status();
    if (!container.ok()) return container.status();
    // It may have ended in this moment, and then that is its end.
    (void)connection->Signal(SIGKILL);
    return runtime::SameRun(container->record.monitor, record.monitor) ? ThawLocked(*container)
                                                                       : Status();
  };
  MBX_ASSIGN_OR_RETURN(const EndedRun ended, EndRun(*connection, how, kill, stop));
  MBX_RETURN_IF_ERROR(FinishRun(id, record.monitor, ended.exit).status());
  const int sent = ended.result == StopResult::kKilled ? SIGKILL : how.signal;
  Emit("container.stop", record.info, {{"signal", core::SignalName(sent)}});
  return ended.result;
}

StatusOr<ContainerInfo> Runtime::Impl::Restart(const ContainerId& id, const StopOptions& request,
                                               std::stop_token stop) {
  if (request.signal != 0) MBX_RETURN_IF_ERROR(CheckSignal(request.signal));
  // Held to the end: nobody sees it stopped, or starts it in between.
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id, stop));
  if (runtime::IsLive(container.record.info.state)) {
    MBX_ASSIGN_OR_RETURN(const HowToStop how, PlanStop(container.dir, request));
    MBX_RETURN_IF_ERROR(ThawLocked(container));
    auto connection = Connect(container.record);
    if (!connection.ok() && !IsGone(connection.status())) return connection.status();
    EndedRun ended;
    if (connection.ok()) {
      const auto kill = [&connection] {
        (void)connection->Signal(SIGKILL);  // as above; nobody can pause it while we have the lock
        return Status();
      };
      MBX_ASSIGN_OR_RETURN(ended, EndRun(*connection, how, kill, stop));
    }
    MBX_RETURN_IF_ERROR(RecordExit(container, ended.exit).status());
  }
  MBX_ASSIGN_OR_RETURN(Started started, StartLocked(container, /*capture=*/false, stop));
  Supervise(started);
  Emit("container.restart", started.info);
  return std::move(started.info);
}

Status Runtime::Impl::Kill(const ContainerId& id, int signal) {
  MBX_RETURN_IF_ERROR(CheckSignal(signal));
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id));
  ContainerInfo& info = container.record.info;
  // Nothing to kill but the start that the policy has in mind.
  if (!runtime::IsLive(info.state) && info.next_restart) return NoteStoppedByUser(container);
  MBX_RETURN_IF_ERROR(runtime::CheckCanSignal(info));
  auto connection = Connect(container.record);
  if (!connection.ok() && !IsGone(connection.status())) return connection.status();
  MBX_ASSIGN_OR_RETURN(const bool ends, MeansEnd(container.dir, signal));
  if (ends) MBX_RETURN_IF_ERROR(NoteStoppedByUser(container));
  const Status sent = connection.ok() ? connection->Signal(signal) : connection.status();
  if (!sent.ok() && !IsGone(sent) && sent.reason() != "container_not_running") return sent;
  if (sent.ok()) Emit("container.kill", info, {{"signal", core::SignalName(signal)}});
  if (sent.ok() && signal != SIGKILL) return Status();
  // The lock is kept to the end: a pause in between would keep it from dying.
  if (sent.ok()) MBX_RETURN_IF_ERROR(ThawLocked(container));
  std::optional<ExitStatus> exit;
  if (connection.ok()) {
    MBX_ASSIGN_OR_RETURN(exit, Told(connection->WaitExit()));
  }
  ContainerInfo ended = info;
  MBX_RETURN_IF_ERROR(FinishLocked(std::move(container), exit).status());
  if (sent.ok()) return Status();
  // It had ended before; nobody had recorded that yet.
  ended.state = ContainerState::kExited;
  return runtime::CheckCanSignal(ended);
}

Status Runtime::Impl::Remove(const ContainerId& id, bool force) {
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id));
  MBX_RETURN_IF_ERROR(runtime::CheckCanRemove(container.record.info, force));
  if (runtime::IsLive(container.record.info.state)) {
    KillRun(container.record);
    if (auto exit = container.dir.ReadExit(); exit.ok() && *exit) {
      container.record.info.exit = std::move(*exit);
      EmitExit(container.record.info);
    }
  }
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
