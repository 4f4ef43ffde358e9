// SPDX-License-Identifier: Apache-2.0
#include "kernel/netns.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>

#include <string>
#include <thread>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::kernel {

StatusOr<core::Fd> OpenNetns(pid_t pid) {
  const std::string path = core::StrCat("/proc/", pid, "/ns/net");
  core::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return core::SysError("open", path);
  return fd;
}

Status RunInNetns(int netns, const std::function<Status()>& function) {
  Status status;
  std::thread([&] {
    status =
        setns(netns, CLONE_NEWNET) == 0 ? function() : core::SysError("setns", "network namespace");
  }).join();
  return status;
}

StatusOr<core::Fd> OpenRtnetlinkIn(int netns) {
  core::Fd fd;
  MBX_RETURN_IF_ERROR(RunInNetns(netns, [&] {
    fd.reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    return fd.valid() ? Status() : core::SysError("socket", "rtnetlink");
  }));
  return fd;
}

}  // namespace minibox::kernel
