// SPDX-License-Identifier: Apache-2.0
// minibox-init: the monitor of a container, its PID 1, the agent of an exec, or the name server of
// a network. Static, single-threaded, without the C++ library; embedded in libminibox and run from
// there only. What to do arrives over the control socket, nothing in argv or the environment.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "init/dns_responder.h"
#include "init/exec_agent.h"
#include "init/monitor.h"
#include "init/protocol.h"

int main() {
  using minibox::init::kControlFd;
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(kControlFd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    constexpr char kText[] = "minibox-init is run by libminibox only\n";
    (void)!write(STDERR_FILENO, kText, sizeof kText - 1);
    return 2;
  }
  (void)fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  minibox::init::MessageHeader first{};
  if (recv(kControlFd, &first, sizeof first, MSG_PEEK) != sizeof first) return 1;
  switch (first.type) {
    case minibox::init::Message::kExec:
      return minibox::init::RunExecAgent(kControlFd);
    case minibox::init::Message::kDnsServe:
      return minibox::init::RunDnsResponder(kControlFd);
    default:
      return minibox::init::RunMonitor(kControlFd);
  }
}
