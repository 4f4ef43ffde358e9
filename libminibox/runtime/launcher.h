// SPDX-License-Identifier: Apache-2.0
// Starts one workload under a monitor (minibox-init) and talks to it. Containers and build
// steps both start here.
//
//   caller ──LaunchSpec + descriptors──> monitor ──clone3──> PID 1 ──fork, exec──> workload
//          <──"set up": netns, pid──────                (waits for release)
//   caller configures the network, makes its record durable
//          ──"release"──────────────────>               workload exec'd
//          <──"running" | failure────────
//
// The monitor outlives the caller. Its Unix socket (RunDir/<id>/monitor.sock, or a private
// one) is how any process learns of the exit and sends signals: ConnectMonitor.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "init/launch_spec.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_child.h"
#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::runtime {

// Descriptors of a launch, all borrowed for the call of Launch.
struct LaunchFds {
  int data_root = -1;      // for the directories named in the spec
  int container_dir = -1;  // log, exit.json; -1: neither is written
  int join = -1;           // LaunchSpec::Net::kJoin: the pidfd of that process
  int run_dir = -1;        // directory for monitor.sock; -1: no socket, the destructor of the
                           // MonitorConnection kills the workload and waits for its end
  std::vector<int> binds{};
  std::vector<int> held{};  // kept open by the monitor as long as it lives (reserved ports)
};

// Once namespaces, root and mounts are in place and nothing of the image has run yet.
struct SetUp {
  pid_t pid = -1;  // PID 1 as seen by the host
  core::Fd pidfd{};
  core::Fd netns{};                     // the new network namespace; invalid with the host's
  core::Fd rtnetlink{};                 // NETLINK_ROUTE socket that lives in that namespace
  std::vector<std::string> warnings{};  // defaults that could not be applied
};

struct MonitorIdentity {
  pid_t pid = -1;
  uint64_t start_time = 0;  // clock ticks since boot
};

class LaunchAttempt;

// A connection to a living monitor. Movable; methods may be called from any thread.
class MonitorConnection {
 public:
  MonitorConnection(MonitorConnection&&) noexcept;
  MonitorConnection& operator=(MonitorConnection&&) noexcept;
  ~MonitorConnection();

  // Readable when the exit is known or the monitor is gone.
  int fd() const;
  // Reads without blocking. nullopt: still running. kUnavailable: the monitor is gone and
  // said nothing (exit.json may still hold the truth).
  StatusOr<std::optional<ExitStatus>> PollExit();
  // Blocks. kCancelled when `stop` is requested.
  StatusOr<ExitStatus> WaitExit(std::stop_token stop = {});
  // To the workload; SIGKILL goes to PID 1 and so to every process. Never to a recycled pid.
  // Asynchronous. kFailedPrecondition "container_not_running" if the exit is known,
  // kUnavailable if the monitor is gone.
  Status Signal(int signal);

  // For the workload's stdin. Blocks while it has no room, so that a connection used for this
  // should be used for nothing else. kCancelled when `stop` is requested; kFailedPrecondition
  // "container_not_running" if the monitor is gone. A monitor whose workload has no stdin, or is
  // too old to know, takes it and does nothing.
  Status Input(std::string_view bytes, const std::stop_token& stop);
  // The end of stdin; on a terminal, its end-of-file character. Ordered with Input.
  Status InputEnd(const std::stop_token& stop);
  Status Resize(TerminalSize size, const std::stop_token& stop);

 private:
  friend class LaunchAttempt;
  friend StatusOr<MonitorConnection> ConnectMonitor(int run_dir);
  struct Impl;
  explicit MonitorConnection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Connects to monitor.sock in `run_dir`. kNotFound / kUnavailable if nobody listens.
StatusOr<MonitorConnection> ConnectMonitor(int run_dir);

struct LaunchHooks {
  // Between set-up and release; an error ends the launch and leaves nothing.
  std::function<Status(const SetUp&)> configure{};
};

// A step of a launch and how long after the call of Launch it had ended.
struct LaunchStep {
  std::string name{};
  std::chrono::nanoseconds at{0};
};

struct Launched {
  pid_t pid = -1;
  MonitorIdentity monitor{};
  MonitorConnection connection;
  // With `capture`: framed output, see ReadOutput. Reading slowly slows the workload.
  core::Fd output{};
  std::vector<std::string> warnings{};
  std::vector<LaunchStep> steps{};  // by time; those of PID 1 and the monitor overlap
};

// Reads the captured output until its end, handing every piece to `sink` in order.
// An error of the sink ends it and is returned; kCancelled when `stop` is requested; kDataLoss
// if the monitor was killed. Output that the workload's descendants still hold open ends with
// PID 1.
Status ReadOutput(int output, const OutputFn& sink, std::stop_token stop = {});

class ExecProcess;
class Launcher {
 public:
  // Embedded minibox-init in a sealed memfd.
  static StatusOr<std::unique_ptr<Launcher>> Create();
  ~Launcher();

  // Returns once the workload has been exec'd. On failure nothing is left: no process, mount,
  // socket. `cgroup` is borrowed. Failures follow spec §12.2: kInvalidArgument
  // "command_not_found", "command_not_executable", "invalid_argument" (field "user",
  // "workdir", "volumes", "sysctls", …); kInternal "unsupported_by_host" (field "userns" if
  // user namespaces or id-mapped mounts are what is missing) or "start_failed";
  // kResourceExhausted "no_space". Thread-safe.
  StatusOr<Launched> Launch(const init::LaunchSpec& spec, const LaunchFds& fds,
                            const kernel::Cgroup& cgroup, bool capture, const LaunchHooks& hooks,
                            std::stop_token stop = {});

  // A process in the container whose PID 1 is the pidfd `pid1`: see ExecProcess. Of the spec only
  // what concerns the process counts. The descriptor and the group are borrowed.
  StatusOr<std::unique_ptr<ExecProcess>> Exec(const init::LaunchSpec& spec, int pid1,
                                              const kernel::Cgroup& cgroup,
                                              kernel::CgroupChild group, std::stop_token stop = {});

 private:
  Launcher();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::runtime
