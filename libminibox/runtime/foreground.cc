// SPDX-License-Identifier: Apache-2.0
// Containers that somebody talks to from their start on.
#include <csignal>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/process_impl.h"
#include "runtime/runtime_impl.h"

namespace minibox {
inline namespace v1 {

// Output comes over the capturing socket, which slows the workload down to its reader; input goes
// over a connection of its own, so that a workload that does not read holds up no signal.
class Runtime::Impl::Foreground final : public Process::Impl {
 public:
  Foreground(std::shared_ptr<Runtime::Impl> runtime, Started started, OnDisconnect on_disconnect,
             std::optional<runtime::MonitorConnection> input,
             std::optional<runtime::MonitorConnection> signals, bool terminal)
      : runtime_(std::move(runtime)),
        started_(std::move(started)),
        on_disconnect_(on_disconnect),
        terminal_(terminal),
        input_(std::move(input)),
        signals_(std::move(signals)) {}
  ~Foreground() override {
    if (!concluded_) Disconnect();
  }

  StatusOr<ExitStatus> Wait(const OutputFn& sink, std::stop_token stop) override {
    const absl::Cleanup wake = [this] { ended_.request_stop(); };
    Status delivered = runtime::ReadOutput(started_.output.get(), sink, stop);
    if (delivered.ok() || delivered.code() == StatusCode::kDataLoss) {
      // Output that ends without its mark means that the monitor is gone: the exit will say so.
      auto exit = Told(started_.connection.WaitExit(stop));
      if (exit.ok()) {
        concluded_ = true;
        MBX_ASSIGN_OR_RETURN(ExitStatus finished,
                             runtime_->FinishRun(id(), started_.monitor, *exit));
        if (!delivered.ok()) return delivered;
        return finished;
      }
      if (exit.status().code() != StatusCode::kCancelled) return exit.status();
      delivered = exit.status();
    }
    Disconnect();
    return core::Cancelled(core::StrCat("container ", id().ToString(), ": ", delivered.message()));
  }

  Status Write(std::string_view bytes, std::stop_token stop) override {
    return input_ ? input_->Input(bytes, stop) : NoStdin();
  }
  Status CloseStdin() override { return input_ ? input_->InputEnd(ended_.get_token()) : NoStdin(); }
  Status Resize(TerminalSize size) override {
    if (!terminal_) return core::FailedPrecondition("no_terminal", "the container has no terminal");
    return input_ ? input_->Resize(size, ended_.get_token()) : NoStdin();
  }
  Status Signal(int signal) override { return signals_ ? signals_->Signal(signal) : NoStdin(); }

 private:
  const ContainerId& id() const { return started_.info.id; }
  static Status NoStdin() {
    return core::FailedPrecondition("container_not_running", "the container's stdin is closed");
  }
  static StatusOr<std::optional<ExitStatus>> Told(StatusOr<ExitStatus> exit) {
    if (exit.ok()) return std::optional<ExitStatus>(std::move(*exit));
    if (exit.status().code() == StatusCode::kUnavailable) return std::optional<ExitStatus>();
    return exit.status();
  }

  // Whoever wanted the output is gone.
  void Disconnect() {
    concluded_ = true;
    started_.output.reset();
    Status done;
    if (on_disconnect_ == OnDisconnect::kKeep) {
      done = runtime_->supervisor_->Watch(id(), started_.monitor, std::move(started_.connection));
    } else {
      done = runtime_->Kill(id(), SIGKILL);
      // Not running any more is what was wanted.
      if (done.reason() == "container_not_running" || done.code() == StatusCode::kNotFound) return;
    }
    if (done.ok()) return;
    core::LogWarning("runtime", core::StrCat("container ", id().ToString(), ": ", done.message(),
                                             ", left for the next recovery"));
  }

  const std::shared_ptr<Runtime::Impl> runtime_;
  Started started_;
  const OnDisconnect on_disconnect_;
  const bool terminal_;
  bool concluded_ = false;
  // Of their own, since other threads use them whatever becomes of the one that tells the exit.
  std::optional<runtime::MonitorConnection> input_, signals_;
  std::stop_source ended_;
};

StatusOr<std::unique_ptr<Process::Impl>> Runtime::Impl::MakeForeground(std::shared_ptr<Impl> self,
                                                                       Started started,
                                                                       const RunOptions& options,
                                                                       bool input, bool terminal) {
  const auto connect = [&] {
    auto dir = self->run_dir.OpenDir(started.info.id.ToString());
    auto connected = dir.ok() ? runtime::ConnectMonitor(dir->fd())
                              : StatusOr<runtime::MonitorConnection>(dir.status());
    // One that has ended already takes neither input nor signals.
    return connected.ok() ? std::optional(std::move(*connected))
                          : std::optional<runtime::MonitorConnection>();
  };
  auto signals = connect();
  auto writes = input ? connect() : std::nullopt;
  const ContainerInfo info = started.info;
  self->BeginProbes(info.id);
  auto process =
      std::make_unique<Foreground>(std::move(self), std::move(started), options.on_disconnect,
                                   std::move(writes), std::move(signals), terminal);
  if (options.started) options.started(info);
  return std::unique_ptr<Process::Impl>(std::move(process));
}

StatusOr<std::unique_ptr<Process::Impl>> Runtime::Impl::StartForeground(std::shared_ptr<Impl> self,
                                                                        const ContainerSpec& spec,
                                                                        const RunOptions& options,
                                                                        std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(Started started,
                       self->CreateAndStart(spec, /*capture=*/true, std::move(stop)));
  return MakeForeground(std::move(self), std::move(started), options, spec.tty || spec.open_stdin,
                        spec.tty);
}

StatusOr<std::unique_ptr<Process::Impl>> Runtime::Impl::StartForeground(std::shared_ptr<Impl> self,
                                                                        const ContainerId& id,
                                                                        const RunOptions& options,
                                                                        std::stop_token stop) {
  bool input = false, terminal = false;
  std::optional<Started> started;
  {
    MBX_ASSIGN_OR_RETURN(Locked container, self->Lock(id, stop));
    MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, container.dir.ReadConfig());
    input = config.spec.tty || config.spec.open_stdin;
    terminal = config.spec.tty;
    MBX_ASSIGN_OR_RETURN(started, self->StartLocked(container, /*capture=*/true, std::move(stop)));
  }
  return MakeForeground(std::move(self), std::move(*started), options, input, terminal);
}

StatusOr<ExitStatus> Runtime::Impl::RunForeground(std::shared_ptr<Impl> self,
                                                  const ContainerSpec& spec, const OutputFn& sink,
                                                  const RunOptions& options, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(auto process, StartForeground(std::move(self), spec, options, stop));
  return process->Wait(sink, std::move(stop));
}

}  // namespace v1
}  // namespace minibox
