// SPDX-License-Identifier: Apache-2.0
// Starting programs without running any code of ours between fork and exec.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::core {

struct SpawnOptions {
  int executable_fd = -1;           // execveat(fd, "", AT_EMPTY_PATH)
  std::vector<std::string> argv{};  // argv[0] included
  std::vector<std::string> env{};   // exactly these
  // (ours, theirs): the only descriptors the program gets; close-on-exec on all others.
  std::vector<std::pair<int, int>> fds{};
  bool new_session = true;
};

struct Spawned {
  pid_t pid = -1;
  Fd pidfd{};
};

// clone3(CLONE_VM | CLONE_VFORK | CLONE_PIDFD): no copy of the host's memory, none of its code
// runs in the child. Signal dispositions and mask are the defaults in the child. Returns after
// exec; an exec failure is the error, and then the host hears nothing of the child.
// execve(2) makes SIGCHLD the exit signal of any process, so a host that handles it gets one
// when the program ends, and one that reaps with wait(-1) may be first: see WaitPidfd.
StatusOr<Spawned> Spawn(const SpawnOptions& options);

struct WaitResult {
  int code = 0;    // exit status; 128+signal if killed
  int signal = 0;  // 0 if it exited
};
// Waits for and reaps a child of this process by its pidfd. If the host reaped it (or ignores
// SIGCHLD), the kernel still tells the result from Linux 6.15 on; before, sys_errno() ECHILD.
StatusOr<WaitResult> WaitPidfd(int pidfd);

// Start time of a process in clock ticks since boot (/proc/<pid>/stat field 22); with the
// boot id it makes a recorded pid unambiguous. kNotFound if there is no such process.
StatusOr<uint64_t> ProcessStartTime(pid_t pid);
StatusOr<std::string> BootId();

}  // namespace minibox::core
