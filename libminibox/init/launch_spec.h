// SPDX-License-Identifier: Apache-2.0
// Everything minibox-init needs to run one workload, as a value: it can be printed, compared
// and unit-tested, and is sent in one message. Build and runtime meet here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace minibox::init {

// A mount made by PID 1 in the order of the list, after the root and before pivot_root.
// `target` is resolved inside the container's root, links included, and created if missing.
struct MountOp {
  enum class Kind : uint8_t {
    kProc,  // proc, sysfs, cgroup, devpts, mqueue: of the container's own namespaces
    kSysfs,
    kCgroup,
    kDevpts,
    kMqueue,
    kTmpfs,
    kDev,   // the tmpfs on /dev with nodes and links of spec §12.5
    kBind,  // the host directory or file of descriptor `fd_index`
    kFile,  // a file of its own in the container's memory: content, owner (on the host) and mode
            // of the memfd `fd_index`
  };
  Kind kind = Kind::kBind;
  std::string target{};
  int fd_index = -1;         // kBind, kFile: index into LaunchFds::binds
  bool recursive = false;    // kBind: with the mounts below
  bool id_mapped = false;    // kBind: through the container's id map
  bool copy_up = false;      // kBind of an empty volume: first fill it from the root's directory
  uint64_t attributes = 0;   // MOUNT_ATTR_*: RDONLY, NOSUID, NODEV, NOEXEC
  uint64_t propagation = 0;  // MS_PRIVATE (also 0), MS_SLAVE, MS_SHARED
  std::string data{};        // tmpfs: "size=64m,mode=1777"
};

struct Rlimit {
  int resource = 0;
  uint64_t soft = 0, hard = 0;
  bool best_effort = false;  // a default: what cannot be set is a warning
};

struct LaunchSpec {
  std::string id{};  // container id, or another short name for a build step
  std::string hostname{};

  // Ids. With `user_namespace` ids 0…id_count-1 inside are id_base… outside, and the root
  // and id_mapped binds are seen through that map.
  bool user_namespace = true;
  uint32_t id_base = 100000, id_count = 65536;

  // kJoin: network and user namespace are those of the process LaunchFds::join, ids included.
  enum class Net : uint8_t { kNew, kHost, kJoin };
  Net net = Net::kNew;

  // The root: an overlay of directories relative to LaunchFds::data_root, nearest lower
  // first. `upper` and `work` exist and are on one file system.
  std::vector<std::string> lowers{};
  std::string upper{}, work{};
  bool read_only_root = false;
  // Other ways than kAuto only test what older kernels need: directories as paths (6.5), all in
  // one string.
  enum class RootForm : uint8_t { kAuto, kPaths, kString };
  RootForm root_form = RootForm::kAuto;

  std::vector<MountOp> mounts{};
  std::vector<std::string> masked_paths{}, read_only_paths{};
  std::vector<std::pair<std::string, std::string>> sysctls{};  // "net/ipv4/…" -> value
  std::vector<Rlimit> rlimits{};
  std::optional<int> oom_score_adj{};

  // Process.
  std::vector<std::string> argv{};
  // In order; HOME and USER are appended by minibox-init if absent (spec §12.6).
  std::vector<std::string> env{};
  std::string working_dir = "/";  // created if missing
  std::string user{};             // "name[:group]" or numbers; empty: 0:0
  uint64_t capabilities = 0;      // bounding; for uid 0 also permitted and effective
  uint64_t ambient = 0;           // for other users
  bool no_new_privs = true;
  std::string seccomp_program{};  // sock_filter array; empty: none
  bool init = true;               // false: the workload is PID 1

  // A terminal of the container's devpts is stdin, stdout and stderr, all of which counts as
  // stdout. Without, `open_stdin` is a pipe for stdin instead of /dev/null.
  bool tty = false, open_stdin = false;
  uint16_t rows = 24, cols = 80;
  // Of an exec: stdio is /dev/null, and it goes on when its caller is gone.
  bool detached = false;

  // stdout and stderr are one pipe, so their order is kept; all of it counts as stdout.
  bool merge_output = false;

  // Monitor.
  uint64_t timeout_ms = 0;             // wall clock, then SIGKILL; 0: none
  bool log = true;                     // write container.log and .idx in LaunchFds::container_dir
  bool record_exit = true;             // write exit.json there before anybody is told
  uint64_t log_max_bytes = 64u << 20;  // 0: no rotation
  int log_max_files = 3;
  bool log_timestamps = false;  // each line in the file begins with the time
};

}  // namespace minibox::init
