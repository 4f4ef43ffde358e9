// SPDX-License-Identifier: Apache-2.0
// Clients that join a container that runs (spec §12.14).
//
// What it says is read from its log, as everybody who follows the log does: the monitor writes
// there anyhow, a client that is slow costs nothing but its own time, and a replay joins up with
// what comes live without gap or repeat. Input goes to the monitor.
#include <poll.h>

#include <optional>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/dir_watch.h"
#include "runtime/log_reader.h"
#include "runtime/process_impl.h"
#include "runtime/runtime_impl.h"
#include "runtime/state_machine.h"
#include "runtime/stop_event.h"

namespace minibox {
inline namespace v1 {

namespace {

Status NoTerminal(const ContainerId& id) {
  return core::FailedPrecondition("no_terminal",
                                  core::StrCat("container ", id.ToString(), " has no terminal"));
}

class Attachment final : public Process::Impl {
 public:
  struct Log {
    explicit Log(runtime::ContainerDir container_dir) : dir(std::move(container_dir)) {}
    const runtime::ContainerDir dir;  // the reader refers to it
    std::optional<runtime::DirWatch> watch;
    std::optional<runtime::LogReader> reader;
  };
  Attachment(std::unique_ptr<Log> log, bool terminal, runtime::MonitorConnection exit,
             runtime::MonitorConnection input)
      : log_(std::move(log)),
        terminal_(terminal),
        exit_(std::move(exit)),
        input_(std::move(input)) {}

  StatusOr<ExitStatus> Wait(const OutputFn& sink, std::stop_token stop) override {
    const absl::Cleanup wake = [this] { ended_.request_stop(); };
    using Until = runtime::LogReader::Until;
    MBX_ASSIGN_OR_RETURN(const runtime::StopEvent stop_event, runtime::StopEvent::Create(stop));
    while (true) {
      log_->watch->Clear();
      // Asked first: the log is complete before anybody is told of the exit.
      auto exit = exit_.PollExit();
      const bool ended = !exit.ok() || exit->has_value();
      MBX_RETURN_IF_ERROR(log_->reader->Drain(ended ? Until::kEnd : Until::kRecorded, sink, stop));
      if (!exit.ok()) return exit.status();
      if (*exit) return **exit;
      pollfd polled[] = {{.fd = log_->watch->fd(), .events = POLLIN, .revents = 0},
                         {.fd = exit_.fd(), .events = POLLIN, .revents = 0},
                         {.fd = stop_event.fd(), .events = POLLIN, .revents = 0}};
      if (poll(polled, 3, -1) < 0 && errno != EINTR) return core::SysError("poll", "log");
      if (polled[2].revents != 0) return core::Cancelled("the attachment");
    }
  }
  Status Write(std::string_view bytes, std::stop_token stop) override {
    return input_.Input(bytes, stop);
  }
  Status CloseStdin() override { return input_.InputEnd(ended_.get_token()); }
  Status Resize(TerminalSize size) override {
    return terminal_ ? input_.Resize(size, ended_.get_token()) : NoTerminal(log_->dir.id());
  }
  Status Signal(int signal) override { return exit_.Signal(signal); }

 private:
  const std::unique_ptr<Log> log_;
  const bool terminal_;
  runtime::MonitorConnection exit_, input_;
  std::stop_source ended_;  // nobody waits for the output any more
};

}  // namespace

StatusOr<runtime::MonitorConnection> Runtime::Impl::ConnectLive(
    const runtime::ContainerRecord& record) const {
  const Status gone = core::FailedPrecondition(
      "container_not_running",
      core::StrCat("container ", record.info.id.ToString(), " is not running"));
  if (!runtime::IsLive(record.info.state)) return gone;
  auto connection = Connect(record);
  if (connection.ok() || (connection.status().code() != StatusCode::kUnavailable &&
                          connection.status().code() != StatusCode::kNotFound)) {
    return connection;
  }
  return gone;
}

StatusOr<std::unique_ptr<Process::Impl>> Runtime::Impl::Attach(const ContainerId& id,
                                                               const AttachOptions& options) {
  MBX_ASSIGN_OR_RETURN(runtime::ContainerDir dir, runtime::ContainerDir::Open(*images->root, id));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerRecord record, Observe(id));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, dir.ReadConfig());
  MBX_ASSIGN_OR_RETURN(runtime::MonitorConnection exit, ConnectLive(record));
  MBX_ASSIGN_OR_RETURN(runtime::MonitorConnection input, ConnectLive(record));
  auto log = std::make_unique<Attachment::Log>(std::move(dir));
  // The watch comes first: what happens while we read wakes us up afterwards.
  MBX_ASSIGN_OR_RETURN(log->watch, runtime::DirWatch::Create(log->dir.dir().fd()));
  const auto tail = options.logs ? std::nullopt : std::optional<size_t>(0);
  MBX_ASSIGN_OR_RETURN(log->reader, runtime::LogReader::Open(log->dir.dir(), tail));
  Emit("container.attach", record.info);
  return std::unique_ptr<Process::Impl>(std::make_unique<Attachment>(
      std::move(log), config.spec.tty, std::move(exit), std::move(input)));
}

Status Runtime::Impl::Resize(const ContainerId& id, TerminalSize size) {
  if (size.rows == 0 || size.cols == 0) {
    return core::InvalidArgument(size.rows == 0 ? "rows" : "cols", "must be 1 to 65535");
  }
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, id));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerRecord record, Observe(id));
  MBX_ASSIGN_OR_RETURN(runtime::MonitorConnection connection, ConnectLive(record));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, dir.ReadConfig());
  if (!config.spec.tty) return NoTerminal(id);
  return connection.Resize(size, {});
}

}  // namespace v1
}  // namespace minibox
