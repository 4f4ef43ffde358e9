// SPDX-License-Identifier: Apache-2.0
#include "kernel/netns.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>

#include <string>
#include <thread>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::kernel {

StatusOr<core::Fd> OpenNetns(pid_t pid) {
  const std::string path = core::StrCat("/proc/", pid, "/ns/net");
  core::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return core::SysError("open", path);
  return fd;
}

StatusOr<core::Fd> OpenRtnetlinkIn(int netns) {
  core::Fd fd;
  Status status;
  // Namespaces belong to threads, so that nobody else notices.
  std::thread([&] {
    if (setns(netns, CLONE_NEWNET) != 0) {
      status = core::SysError("setns", "network namespace");
      return;
    }
    fd.reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!fd.valid()) status = core::SysError("socket", "rtnetlink");
  }).join();
  if (!status.ok()) return status;
  return fd;
}

}  // namespace minibox::kernel
