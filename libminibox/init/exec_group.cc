// SPDX-License-Identifier: Apache-2.0
#include "init/exec_group.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "init/held.h"
#include "init/resolve.h"
#include "init/sys.h"
#include "init/text.h"

namespace minibox::init {
namespace {

constexpr char kProcesses[] = "cgroup.procs";
// At once; the rest has its turn in the next round.
constexpr uint32_t kMaxPids = 256;
// Rounds of moving what keeps forking before it is left where it is: still inside the
// container's group, and gone with it.
constexpr int kMaxRounds = 100;

struct Pids {
  pid_t pid[kMaxPids];
  uint32_t count = 0;
  bool Has(pid_t wanted) const {
    for (uint32_t i = 0; i < count; ++i) {
      if (pid[i] == wanted) return true;
    }
    return false;
  }
};

Pids ReadPids(int group) {
  Pids pids;
  char text[kMaxPids * 12];
  const Held file(openat(group, kProcesses, O_RDONLY | O_CLOEXEC));
  const ssize_t size = file.valid() ? read(file.get(), text, sizeof text - 1) : 0;
  text[size > 0 ? size : 0] = '\0';
  for (const char* at = text; *at != '\0' && pids.count < kMaxPids;) {
    char* end = nullptr;
    const long pid = strtol(at, &end, 10);
    if (*end != '\n') break;  // cut off
    at = end + 1;
    if (pid > 0) pids.pid[pids.count++] = static_cast<pid_t>(pid);
  }
  return pids;
}

// A frozen process neither forks nor ends, so that no pid changes hands. Without freezer the
// rounds go on until they have caught up.
void Hold(int group, bool hold) {
  (void)WriteFile(group, "freezer.state", hold ? "FROZEN" : "THAWED");
}

void SignalAndWait(int group) {
  Hold(group, true);
  const Pids pids = ReadPids(group);
  pollfd ends[kMaxPids];
  for (uint32_t i = 0; i < pids.count; ++i) {
    ends[i] = {.fd = sys::PidfdOpen(pids.pid[i]), .events = POLLIN, .revents = 0};
  }
  // What is still listed was in the group when its descriptor was opened.
  const Pids still = ReadPids(group);
  for (uint32_t i = 0; i < pids.count; ++i) {
    if (ends[i].fd < 0) continue;
    if (still.Has(pids.pid[i]) && sys::PidfdSendSignal(ends[i].fd, SIGKILL) == 0) continue;
    close(ends[i].fd);
    ends[i].fd = -1;
  }
  Hold(group, false);
  for (uint32_t i = 0; i < pids.count; ++i) {
    if (ends[i].fd < 0) continue;
    while (poll(&ends[i], 1, -1) < 0 && errno == EINTR) {
    }
    close(ends[i].fd);
  }
}

}  // namespace

void KillExecGroup(const ExecGroup& group) {
  if (group.group < 0) return;
  // Since 5.14, and only on version 2; then there is only the waiting left.
  (void)WriteFile(group.group, "cgroup.kill", "1");
  while (ReadPids(group.group).count > 0) SignalAndWait(group.group);
}

void DissolveExecGroup(const ExecGroup& group) {
  if (group.group < 0) return;
  for (int round = 0; round < kMaxRounds; ++round) {
    const Pids pids = ReadPids(group.group);
    for (uint32_t i = 0; i < pids.count; ++i) {
      Text<16> text;
      text << static_cast<uint64_t>(pids.pid[i]);
      (void)WriteFile(group.parent, kProcesses, text.c_str());  // it may have ended
    }
    if (pids.count > 0) continue;
    if (unlinkat(group.parent, group.name, AT_REMOVEDIR) == 0 || errno != EBUSY) return;
  }
}

}  // namespace minibox::init
