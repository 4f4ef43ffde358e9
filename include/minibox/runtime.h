// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/container_details.h"
#include "minibox/container_files.h"
#include "minibox/events.h"
#include "minibox/export.h"
#include "minibox/network.h"
#include "minibox/policy.h"
#include "minibox/stats.h"
#include "minibox/store.h"

namespace minibox {
inline namespace v1 {

struct RuntimeOptions {
  // Sockets and whatever need not survive a reboot; empty: <data root>/run, or
  // /run/minibox for the default data root.
  std::filesystem::path run_dir{};
  // Parent cgroup of `minibox/<id>`, relative to each hierarchy's root; empty: the root.
  std::string cgroup_parent{};
  // First host uid and gid, and width, of a container's id range (spec §12.3).
  uint32_t subid_base = 100000;
  uint32_t subid_count = 65536;
  // Host paths that may be bound; empty: anywhere (spec §3).
  std::vector<std::filesystem::path> bind_prefixes{};
  // Acts on restart policies and probes health, for containers of every process that uses the
  // data root; meant for the one process that stays. Off: policies rest and health stays
  // "starting" until such a Runtime is opened.
  bool supervise = false;
};

struct Mount {
  enum class Kind { kBind, kVolume, kTmpfs };
  Kind kind = Kind::kBind;
  std::string source{};   // bind: absolute host path; volume: name, empty = anonymous
  std::string target{};   // absolute path in the container
  std::string options{};  // comma list of spec §12.4: "ro,noexec", tmpfs: "size=64m,mode=1777"
};

// Limits. Unset means the default, which is "unlimited" but for `pids`.
struct Resources {
  std::optional<int64_t> memory_bytes{};
  std::optional<int64_t> memory_swap_bytes{};  // memory + swap; -1: unlimited swap
  std::optional<int64_t> cpu_quota_us{};       // per 100 ms
  std::string cpuset{};                        // "0,2-3"
  std::optional<int64_t> pids{};               // default 4096; -1: unlimited
  std::optional<uint16_t> io_weight{};         // 1-1000
  std::optional<int> oom_score_adj{};          // -1000..1000
};

struct Security {
  std::vector<std::string> cap_add{}, cap_drop{};  // with or without "CAP_"; "ALL"
  enum class Seccomp { kDefault, kUnconfined, kProfile };
  Seccomp seccomp = Seccomp::kDefault;
  std::string seccomp_profile{};  // kProfile: an OCI seccomp object as JSON (spec §12.9)
  bool privileged = false;
  bool read_only_rootfs = false;
  bool host_userns = false;  // true: the host's ids instead of a range of its own
};

struct TerminalSize {
  uint16_t rows = 24, cols = 80;  // at least 1
};

// What to run; see spec §4.3 for each field. Unset fields take the image's values.
struct ContainerSpec {
  std::string image{};  // reference or id in the store
  std::string name{};
  bool unique_name = false;  // a name already held is an error
  std::string project{};
  std::optional<std::vector<std::string>> entrypoint{};  // {""}: none
  std::vector<std::string> command{};
  std::vector<std::string> env{};  // "KEY=value", or "KEY" to remove one of the image's
  std::string working_dir{}, user{}, hostname{};
  std::vector<Mount> mounts{};
  // "bridge", "none", "host", "container:<id>", or networks' names in a comma list
  std::string network = "bridge";
  std::string ip{}, mac{};  // on the first network; empty: assigned
  std::vector<PortMapping> ports{};
  bool publish_all = false;  // every port that the image exposes on a free one of the host
  std::vector<std::string> dns{};
  std::vector<std::string> extra_hosts{};  // "name:ip"
  Resources resources{};
  std::map<std::string, std::string> ulimits{};  // name -> "soft[:hard]"
  std::map<std::string, std::string> sysctls{};
  uint64_t shm_bytes = 256u << 20;
  std::vector<std::string> devices{};  // "/dev/x[:/dev/y[:rwm]]", a node or a directory of them
  bool db_mode = false;                // defaults for databases (spec §16)
  Security security{};
  std::string stop_signal{};                                // empty: the image's, else SIGTERM
  std::optional<std::chrono::milliseconds> stop_timeout{};  // default 10 s
  std::chrono::milliseconds timeout{0};                     // wall clock of a run; 0: none
  bool init = true;                                         // false: the workload is PID 1
  bool remove_on_exit = false;
  RestartPolicy restart{};  // not together with `remove_on_exit`
  std::optional<HealthCheck> healthcheck{};
  uint64_t log_max_bytes = 64u << 20;  // of one file, then it is rotated; 0: never
  int log_max_files = 3;               // 1-100, the present one included
  bool log_timestamps = false;         // each line in the file begins with the time
  // A terminal of the container's is stdin, stdout and stderr.
  bool tty = false;
  // Without a terminal: stdin is a pipe, open for attachments, instead of /dev/null.
  bool open_stdin = false;
  TerminalSize terminal_size{};  // at the start
  Labels labels{};
};

enum class ContainerState { kCreated, kRunning, kPaused, kExited, kRemoving };

struct ExitStatus {
  int code = 0;    // 128+signal if killed; -1 if nobody could observe the end
  int signal = 0;  // 0 if it exited
  bool oom_killed = false;
  std::string error{};  // "timeout", "host restarted", …
  TimePoint at{};
};

struct NetworkAttachment {
  std::string network{};
  std::string ip{}, mac{}, gateway{};
  std::string ipv6{};  // empty: none
};

struct ContainerInfo {
  ContainerId id;
  std::string image{};         // as requested
  std::string reference{};     // normalised
  std::string image_digest{};  // manifest the container is pinned to
  std::string name{}, project{};
  std::vector<std::string> command{};  // resolved argv
  ContainerState state = ContainerState::kCreated;
  int pid = 0;  // host pid of the container's PID 1; 0 unless running or paused
  TimePoint created{};
  std::optional<TimePoint> started{};
  std::optional<ExitStatus> exit{};  // of the last run
  std::string error{};               // why the last start failed
  Health health = Health::kNone;     // kNone without check and unless running or paused
  RestartPolicy restart{};
  int restart_count = 0;                    // by the policy, since the last start by a user
  std::optional<TimePoint> next_restart{};  // end of the pause before the policy's next start
  std::vector<PortMapping> ports{};         // free ports filled in
  std::string ip{}, mac{}, gateway{};       // on the first network
  std::vector<NetworkAttachment> networks{};
  Labels labels{};
  std::vector<std::string> warnings{};
};

// What a start failure means to a command line (spec §12.2): 125, 126 or 127; 0 if
// `status` is OK.
MINIBOX_EXPORT int StartFailureExitCode(const Status& status);

struct StopOptions {
  int signal = 0;                                    // 0: the container's stop signal
  std::optional<std::chrono::milliseconds> grace{};  // then SIGKILL; unset: the container's
};
enum class StopResult { kStopped, kKilled, kNotRunning };

enum class WaitCondition {
  kExited,   // not running; for a container that never ran: until it has
  kRemoved,  // gone, with its record
  kHealthy,  // kFailedPrecondition if it exits first
};
struct WaitOptions {
  WaitCondition condition = WaitCondition::kExited;
  std::optional<std::chrono::milliseconds> timeout{};  // then kDeadlineExceeded "timeout"
};

// Changes of a container's limits, in force at once if it runs and for later starts. Unset stays
// as it is; -1 removes a limit ("-1" for `cpuset`).
struct ContainerUpdate {
  std::optional<int64_t> memory_bytes{}, memory_swap_bytes{}, cpu_quota_us{}, pids{}, io_weight{};
  std::optional<std::string> cpuset{};
  std::optional<RestartPolicy> restart{};
};

struct ContainerPruneOptions {
  bool dry_run = false;               // only says what would go
  std::optional<TimePoint> until{};   // only containers created before
  std::vector<std::string> labels{};  // "key" or "key=value"; all must hold
};
struct ContainerPruneReport {
  std::vector<ContainerId> removed{};
  uint64_t bytes_freed = 0;
};
enum class Stream { kStdout, kStderr };

struct LogOptions {
  bool follow = false;                 // goes on across restarts until the container is removed …
  bool until_exit = false;             // … or, with this, until it has exited
  std::optional<size_t> tail_lines{};  // of what the rest selects
  // Only what was written from then on, or before.
  std::optional<TimePoint> since{}, until{};
  std::optional<Stream> stream{};
  bool timestamps = false;  // RFC 3339 time and a blank before each line
};

// The log as it was at one moment; what is written later does not change it. Copies share it.
class MINIBOX_EXPORT LogSnapshot {
 public:
  uint64_t size() const;
  TimePoint modified() const;
  // Blocks until `length` bytes from `offset` on are delivered, fewer at the end, or the sink
  // fails. Any thread, several at once.
  Status Read(uint64_t offset, uint64_t length, const BytesSink& sink) const;

 private:
  friend class Runtime;
  struct Impl;
  explicit LogSnapshot(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

// A piece of output. A sink that returns an error ends the stream with that error.
struct OutputChunk {
  Stream stream;
  std::string_view bytes;  // valid during the call only
};
using OutputFn = std::function<Status(const OutputChunk&)>;

enum class OnDisconnect { kKill, kKeep };
struct RunOptions {
  // What becomes of the container when the sink fails or `stop` is requested.
  OnDisconnect on_disconnect = OnDisconnect::kKill;
  // Called once the workload runs, before any output.
  std::function<void(const ContainerInfo&)> started{};
};

// A process to be started in a running container (spec §12.14). What is not given is the
// container's: user, environment, directory, capabilities, seccomp, limits.
struct ExecSpec {
  std::vector<std::string> command{};
  std::vector<std::string> env{};     // over the container's; "KEY" removes
  std::string working_dir{}, user{};  // empty: the container's
  bool privileged = false;            // all capabilities of its user namespace, no seccomp
  bool tty = false;                   // a terminal of the container's
  bool open_stdin = false;            // without a terminal: a pipe instead of /dev/null
  TerminalSize size{};
  bool detached = false;  // stdio is /dev/null; it goes on without its Process
};

// A process in a container that somebody talks to. Movable. One thread at a time calls Wait; the
// others may be called from any thread meanwhile.
class MINIBOX_EXPORT Process {
 public:
  struct Impl;
  explicit Process(std::unique_ptr<Impl> impl);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  // An exec that has not ended is killed with all its descendants, unless it is detached.
  ~Process();

  // Hands the output to `sink`, live and in order, until the process has ended and its output too;
  // output that a descendant holds open ends when nothing has come for 200 ms. A slow sink slows
  // the process. Once. With a terminal everything is Stream::kStdout. kCancelled if `stop` is
  // requested; an error of the sink is returned. Either leaves the process running, for the
  // destructor to end. kUnavailable if nobody could observe the end.
  StatusOr<ExitStatus> Wait(const OutputFn& sink, std::stop_token stop = {});

  // For its stdin. Blocks while the process does not read. kFailedPrecondition
  // "container_not_running" once it has ended or its stdin is closed.
  Status Write(std::string_view bytes, std::stop_token stop = {});
  // The end of its stdin; on a terminal, the end-of-file character.
  Status CloseStdin();
  // kFailedPrecondition "no_terminal".
  Status Resize(TerminalSize size);
  // To the process alone.
  Status Signal(int signal);

 private:
  std::unique_ptr<Impl> impl_;
};

struct AttachOptions {
  bool logs = false;  // the log first
};

// Everything there is to know of a container (spec §5.2).
struct ContainerDetails {
  ContainerInfo info;
  ContainerSpec config{};  // the request with every field resolved
  std::vector<MountDetails> mounts{};
  std::optional<LimitDetails> limits{};  // unset unless it is running or paused
  SecurityDetails security{};
  std::string cgroup{};               // path below each hierarchy's root
  std::string log_path{};             // on the host
  std::optional<uint64_t> size_rw{};  // bytes of its own changes to the root, if asked for
  HealthLog health_log{};             // of the present or last run
};

struct SystemInfo;  // minibox/system.h

// Creates and supervises containers.
//
// A thread-safe handle; it keeps its Store and Network alive. Containers outlive
// the Runtime: a new one opened on the same directories finds them. The library
// installs no signal handler, never waits for children it did not start, and
// changes no process-wide state.
class MINIBOX_EXPORT Runtime {
 public:
  // Adopts running containers, takes over exits recorded meanwhile, rolls back
  // unfinished starts and finishes removals (spec §12.20).
  static StatusOr<Runtime> Open(Store store, Network network, const RuntimeOptions& options = {});

  // kNotFound "image_not_found"; kInvalidArgument names the field.
  StatusOr<ContainerInfo> Create(const ContainerSpec& spec);
  // Returns once the workload has been exec'd and the state is durable. On failure
  // nothing of the start is left; the reason follows spec §12.2.
  StatusOr<ContainerInfo> Start(const ContainerId& id, std::stop_token stop = {});
  // Create and Start; a failure leaves no record either.
  StatusOr<ContainerInfo> Run(const ContainerSpec& spec, std::stop_token stop = {});
  // Create and Start with the output going to `sink` live as well as to the log, until
  // the container has exited. Nothing is dropped: a slow sink slows the workload.
  // kCancelled if `stop` was requested or the sink failed.
  StatusOr<ExitStatus> RunForeground(const ContainerSpec& spec, const OutputFn& sink,
                                     const RunOptions& options = {}, std::stop_token stop = {});

  // Create and Start of a container that is talked to. The Process is the container: its end is
  // recorded when Wait returns, output goes to the log as well, and what it does without an end
  // follows `options.on_disconnect`, by its destructor at the latest.
  StatusOr<Process> StartForeground(const ContainerSpec& spec, const RunOptions& options = {},
                                    std::stop_token stop = {});
  // The same for a container that there is.
  StatusOr<Process> StartForeground(const ContainerId& id, const RunOptions& options = {},
                                    std::stop_token stop = {});
  // Talks to a container that runs, together with whoever else does. Its output from now on, or
  // with `logs` from the beginning of the log, comes without gap or repeat; a slow reader holds up
  // nobody, but loses what the log's rotation drops. The destructor only detaches.
  // kFailedPrecondition "container_not_running".
  StatusOr<Process> Attach(const ContainerId& id, const AttachOptions& options = {});
  // The size of its terminal. kFailedPrecondition "container_not_running", "no_terminal".
  Status Resize(const ContainerId& id, TerminalSize size);

  // Returns when the exit is recorded.
  StatusOr<StopResult> Stop(const ContainerId& id, const StopOptions& options = {},
                            std::stop_token stop = {});
  // SIGKILL reaches every process and returns when the exit is recorded; another
  // signal goes to the workload. kFailedPrecondition "container_not_running".
  Status Kill(const ContainerId& id, int signal = SIGKILL);
  // kFailedPrecondition "container_running" unless `force`.
  Status Remove(const ContainerId& id, bool force = false);
  StatusOr<ExitStatus> Wait(const ContainerId& id, std::stop_token stop = {});
  // The container as it was when the condition held; kRemoved: the last that was seen of it.
  StatusOr<ContainerInfo> WaitFor(const ContainerId& id, const WaitOptions& options,
                                  std::stop_token stop = {});

  // Freezes every process, those of execs included. kFailedPrecondition
  // "container_not_running", "container_paused".
  Status Pause(const ContainerId& id);
  // kFailedPrecondition "container_not_running", "container_running".
  Status Unpause(const ContainerId& id);
  // Stop and Start, with nobody in between. A container that does not run is started.
  StatusOr<ContainerInfo> Restart(const ContainerId& id, const StopOptions& options = {},
                                  std::stop_token stop = {});
  // The host name changes at the next start. kFailedPrecondition "name_in_use".
  Status Rename(const ContainerId& id, std::string_view name);
  // All or nothing. A memory limit below what is in use: kFailedPrecondition.
  Status Update(const ContainerId& id, const ContainerUpdate& update);
  // Removes containers that do not run and are not about to be started again.
  StatusOr<ContainerPruneReport> Prune(const ContainerPruneOptions& options = {});

  // Starts a process in a running container and returns once it has been exec'd.
  // kFailedPrecondition "container_not_running", "container_paused"; kInvalidArgument
  // "command_not_found", "command_not_executable", or with the field named. When the container
  // ends, so does the process, with 137.
  StatusOr<Process> StartExec(const ContainerId& id, const ExecSpec& spec,
                              std::stop_token stop = {});
  // The same, and Process::Wait. When it returns without the exit status, the process and all
  // its descendants have been killed: kCancelled if `stop` was requested, the sink's error.
  StatusOr<ExitStatus> Exec(const ContainerId& id, const ExecSpec& spec, const OutputFn& sink,
                            std::stop_token stop = {});

  // An id, else an exact unique name, else a unique id prefix (>= 2 digits).
  // kNotFound "container_not_found"; kFailedPrecondition "ambiguous_name".
  StatusOr<ContainerId> Find(std::string_view id_name_or_prefix) const;
  StatusOr<ContainerInfo> Inspect(const ContainerId& id) const;
  // All containers, sorted by id.
  StatusOr<std::vector<ContainerInfo>> List() const;
  // Of the present or last run; empty without health check.
  StatusOr<HealthLog> ReadHealthLog(const ContainerId& id) const;
  StatusOr<ContainerDetails> InspectDetails(const ContainerId& id, bool size = false) const;

  // Of a running or paused container; kFailedPrecondition "container_not_running". The first
  // question takes 100 ms.
  StatusOr<ContainerStats> Stats(const ContainerId& id) const;
  // Of all that run, sorted by id.
  StatusOr<std::vector<ContainerStats>> AllStats() const;
  // The processes of a running or paused container, by pid.
  StatusOr<std::vector<ProcessInfo>> Top(const ContainerId& id) const;

  // What differs from the image, sorted by path, without mounts.
  StatusOr<std::vector<FileChange>> Diff(const ContainerId& id) const;
  // The root file system without mounts as a tar.
  Status Export(const ContainerId& id, const BytesSink& tar, std::stop_token stop = {}) const;
  // A new image: the container's with one more layer, its changes.
  StatusOr<ImageInfo> Commit(const ContainerId& id, const CommitOptions& options,
                             std::stop_token stop = {});

  // Copies in every state, paths as the container sees them, mounts included, resolved in its root
  // whatever it does meanwhile; /proc, /sys and the like are not copied (spec §12.17). A container
  // that does not run cannot be started meanwhile. kNotFound "path_not_found".
  StatusOr<PathStat> StatPath(const ContainerId& id, std::string_view path,
                              bool follow_link = false);
  // What `path` stands for and all below it as a tar whose entries begin with its last component;
  // for "/" with nothing.
  Status CopyOut(const ContainerId& id, std::string_view path, const BytesSink& tar,
                 const CopyOutOptions& options = {}, std::stop_token stop = {});
  // Merges a tar, plain, gzip or zstd, read from `tar` (borrowed) into an existing directory. A
  // directory does not make way for a file, nor a file for a directory. kPermissionDenied
  // "read_only"; kInvalidArgument "invalid_archive". What is copied before a failure stays.
  Status CopyIn(const ContainerId& id, std::string_view directory, int tar,
                const CopyInOptions& options = {}, std::stop_token stop = {});
  // The engine and its host: minibox/system.h.
  StatusOr<SystemInfo> GetSystemInfo() const;

  // Blocks until the stream ends, the sink fails or `stop` is requested. The bytes
  // are those of container.log, rotated files first (spec §12.15).
  Status ReadLogs(const ContainerId& id, const LogOptions& options, const OutputFn& sink,
                  std::stop_token stop = {}) const;

  StatusOr<LogSnapshot> OpenLog(const ContainerId& id) const;

  // What has happened (with `since`) and what happens, to everything in the store and to
  // containers, whichever process did it (spec §12.21). Blocks until `until`, until the sink fails
  // or `stop` is requested (kCancelled). The last event is "overflow" if the sink was so slow that
  // events are missing.
  Status ReadEvents(const EventOptions& options, const EventFn& sink,
                    std::stop_token stop = {}) const;
  // Adds an event of the program's own, "<family>.<what>" in lower-case letters, such as
  // "daemon.start". kInvalidArgument names the field.
  Status Announce(std::string_view type, std::string_view id = {}, const Labels& attributes = {});

 private:
  friend class ImageBuilder;
  struct Impl;
  explicit Runtime(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace v1
}  // namespace minibox
