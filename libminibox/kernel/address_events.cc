// SPDX-License-Identifier: Apache-2.0
#include "kernel/address_events.h"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "core/errors.h"

namespace minibox::kernel {
namespace {

// Takes the address that the message tells of out of the list.
void Cross(const nlmsghdr* message, std::vector<Address6>* awaited) {
  if (message->nlmsg_type != RTM_NEWADDR) return;
  const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  for (const nlattr* attribute : Attributes(message, sizeof(ifaddrmsg))) {
    if (mnl_attr_get_type(attribute) != IFA_ADDRESS) continue;
    std::erase_if(*awaited, [&](const Address6& address) {
      return address.link == static_cast<int>(info->ifa_index) &&
             mnl_attr_get_payload_len(attribute) == address.address.size() &&
             std::memcmp(mnl_attr_get_payload(attribute), address.address.data(),
                         address.address.size()) == 0;
    });
  }
}

}  // namespace

StatusOr<AddressEvents> AddressEvents::Open() {
  core::Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  const int group = RTNLGRP_IPV6_IFADDR;
  // Bound: one without a number of its own is taken for the sender, the kernel, and left out.
  sockaddr_nl own = {};
  own.nl_family = AF_NETLINK;
  if (!fd.valid() || bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return core::SysError("subscribe to", "IPv6 addresses");
  }
  return AddressEvents(std::move(fd));
}

Status AddressEvents::Await(std::vector<Address6> addresses, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!addresses.empty()) {
    alignas(nlmsghdr) char buffer[8192];
    const ssize_t size = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (size >= 0) {
      int left = static_cast<int>(size);
      for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer);
           mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        Cross(message, &addresses);
      }
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return core::SysError("recv", "IPv6 addresses");
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (wait.count() <= 0) {
      return core::Error(StatusCode::kDeadlineExceeded, "", "an IPv6 address does not come up");
    }
    pollfd waited = {fd_.get(), POLLIN, 0};
    if (poll(&waited, 1, static_cast<int>(wait.count())) < 0 && errno != EINTR) {
      return core::SysError("poll", "IPv6 addresses");
    }
  }
  return Status();
}

}  // namespace minibox::kernel
