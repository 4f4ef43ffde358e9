// SPDX-License-Identifier: Apache-2.0
#include "network/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "core/errors.h"
#include "core/id.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "network/ipv4.h"
#include "network/ipv6.h"

namespace minibox::network {
namespace {

// Where a free port is looked for (spec §13.4), whatever the host's own ephemeral range is.
constexpr uint16_t kFirstFreePort = 32768;
constexpr uint16_t kLastFreePort = 60999;

bool IsIpv6(const PortMapping& port) { return port.host_ip.find(':') != std::string::npos; }

std::string Field(const PortMapping& port) {
  const std::string address = IsIpv6(port) ? core::StrCat("[", port.host_ip, "]") : port.host_ip;
  return core::StrCat("ports[\"", address, address.empty() ? "" : ":", port.host_port, "\"]");
}

// errno of the failed bind goes to *err.
core::Fd TryBind(const PortMapping& port, int* err) {
  const int type = port.protocol == PortMapping::Protocol::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  core::Fd fd(socket(IsIpv6(port) ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0));
  // Without SO_REUSEADDR: a second socket that has it could bind the same port as long as
  // neither listens, and this one never does.
  int failed = fd.valid() ? 0 : -1;
  if (failed == 0 && IsIpv6(port)) {
    const int on = 1;
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port.host_port);
    const Ipv6 ip = ParseIpv6(port.host_ip).value_or(Ipv6{});
    std::memcpy(&address.sin6_addr, ip.data(), ip.size());
    failed = setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (failed == 0) {
      failed = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
  } else if (failed == 0) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port.host_port);
    address.sin_addr.s_addr = htonl(ParseIpv4(port.host_ip).value_or(INADDR_ANY));
    failed = bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  *err = failed == 0 ? 0 : errno;
  if (failed != 0) fd.reset();
  return fd;
}

Status InUse(const PortMapping& port, const PortHolder& holder) {
  const std::string container = holder(port);
  return core::FailedPrecondition(
      "port_in_use",
      core::StrCat("host port ", FormatHostPort(port), " is already in use",
                   container.empty() ? "" : core::StrCat(" by container '", container, "'")));
}

// All addresses but the API's, one by one: only it may be in the way.
Status BindAroundApi(const PortMapping& port, const PortHolder& holder, const ApiListener& api,
                     const std::vector<std::string>& addresses, BoundPorts* bound) {
  for (const std::string& address : addresses) {
    PortMapping one = port;
    one.host_ip = address;
    if (one.host_ip == api.ip || IsIpv6(one) != IsIpv6(port)) continue;
    int err = 0;
    core::Fd fd = TryBind(one, &err);
    // Not yet, or no longer, an address that anybody could send to.
    if (err == EADDRNOTAVAIL) continue;
    if (err != 0) return InUse(port, holder);
    bound->sockets.push_back(std::move(fd));
  }
  PortMapping spared = port;
  spared.host_ip = api.ip;
  bound->spared.push_back(std::move(spared));
  return Status();
}

// Of one port, for all or for a part of its addresses.
using Sockets = std::vector<core::Fd>;

// Any port that is free for all of `ports`, which get it. They differ in their addresses only.
StatusOr<Sockets> BindFreePort(std::vector<PortMapping>& ports, const PortHolder& holder) {
  constexpr uint32_t kCount = kLastFreePort - kFirstFreePort + 1;
  const uint32_t start = static_cast<uint32_t>(std::stoul(core::RandomHex(6), nullptr, 16));
  for (uint32_t i = 0; i < kCount; ++i) {
    Sockets sockets;
    for (PortMapping& port : ports) {
      port.host_port = static_cast<uint16_t>(kFirstFreePort + (start + i) % kCount);
      // A port whose holder is just going away still has firewall entries.
      if (!holder(port).empty()) break;
      int err = 0;
      core::Fd fd = TryBind(port, &err);
      if (err == EADDRINUSE) break;
      if (err != 0) return core::SysError("bind", FormatHostPort(port), err);
      sockets.push_back(std::move(fd));
    }
    if (sockets.size() == ports.size()) return sockets;
  }
  return core::FailedPrecondition("port_in_use", core::StrCat("no port from ", kFirstFreePort,
                                                              " to ", kLastFreePort, " is free"));
}

Status BindGivenPort(const PortMapping& port, const PortHolder& holder, const ApiListener& api,
                     const std::function<std::vector<std::string>()>& addresses,
                     BoundPorts* bound) {
  int err = 0;
  core::Fd fd = TryBind(port, &err);
  const bool of_api = api.port != 0 && port.host_port == api.port &&
                      (port.host_ip.empty() || port.host_ip == kAllIpv6) &&
                      (port.host_ip == kAllIpv6) == (api.ip.find(':') != std::string::npos) &&
                      port.protocol == PortMapping::Protocol::kTcp;
  if (err == EADDRINUSE && of_api && holder(port).empty()) {
    return BindAroundApi(port, holder, api, addresses(), bound);
  }
  if (err == EADDRINUSE) return InUse(port, holder);
  if (err == EADDRNOTAVAIL) {
    return core::InvalidArgument(
        Field(port), core::StrCat("'", port.host_ip, "' is not an address of this host"));
  }
  if (err != 0) return core::SysError("bind", FormatHostPort(port), err);
  bound->sockets.push_back(std::move(fd));
  return Status();
}

}  // namespace

std::string FormatHostPort(const PortMapping& port) {
  const std::string address = IsIpv6(port) ? core::StrCat("[", port.host_ip, "]") : port.host_ip;
  return core::StrCat(address.empty() ? "0.0.0.0" : address, ":", port.host_port,
                      port.protocol == PortMapping::Protocol::kUdp ? "/udp" : "/tcp");
}

bool Conflicts(const PortMapping& a, const PortMapping& b) {
  const auto on_all = [](const PortMapping& port) {
    return port.host_ip.empty() || port.host_ip == kAllIpv6;
  };
  return a.protocol == b.protocol && a.host_port == b.host_port && IsIpv6(a) == IsIpv6(b) &&
         (on_all(a) || on_all(b) || a.host_ip == b.host_ip);
}

StatusOr<std::vector<PortMapping>> NormalizePorts(std::vector<PortMapping> ports) {
  for (size_t i = 0; i < ports.size(); ++i) {
    PortMapping& port = ports[i];
    const std::string field = Field(port);
    if (!port.host_ip.empty()) {
      const auto address = ParseIpv4(port.host_ip);
      const auto address6 = ParseIpv6(port.host_ip);
      if (!address && !address6) {
        return core::InvalidArgument(
            field, core::StrCat("'", core::EscapeControl(port.host_ip), "' is not an IP address"));
      }
      if (address6 && IN6_IS_ADDR_LOOPBACK(address6->data())) {
        return core::InvalidArgument(
            field, "the kernel takes no packets from the IPv6 loopback to containers");
      }
      port.host_ip = address6                 ? FormatIpv6(*address6)
                     : *address == INADDR_ANY ? ""
                                              : FormatIpv4(*address);
    }
    if (port.container_port == 0) {
      return core::InvalidArgument(field, "the container port must be from 1 to 65535");
    }
    for (size_t j = 0; port.host_port != 0 && j < i; ++j) {
      PortMapping other = ports[j];
      // One for all addresses may become one of IPv6 too.
      if (other.host_ip.empty() && IsIpv6(port)) other.host_ip = kAllIpv6;
      PortMapping own = port;
      if (own.host_ip.empty() && IsIpv6(other)) own.host_ip = kAllIpv6;
      if (!Conflicts(own, other)) continue;
      return core::InvalidArgument(field, core::StrCat("two entries claim ", FormatHostPort(port)));
    }
  }
  return ports;
}

Status CheckNoIpv6(const std::vector<PortMapping>& ports, std::string_view network) {
  for (const PortMapping& port : ports) {
    if (!IsIpv6(port)) continue;
    return core::InvalidArgument(Field(port), core::StrCat("network '", network, "' has no IPv6"));
  }
  return Status();
}

StatusOr<BoundPorts> BindPorts(const std::vector<PortMapping>& ports, const PortHolder& holder,
                               const ApiListener& api,
                               const std::function<std::vector<std::string>()>& addresses,
                               bool ipv6) {
  BoundPorts bound;
  // Each as it was given, and behind it what it is as well.
  std::vector<std::vector<PortMapping>> groups;
  for (const PortMapping& port : ports) {
    std::vector<PortMapping>& group = groups.emplace_back(std::vector<PortMapping>{port});
    if (!ipv6 || !port.host_ip.empty()) continue;
    group.push_back(port);
    group.back().host_ip = kAllIpv6;
  }
  // The given ones first: a free one must not take what a later entry asks for.
  for (const bool given : {true, false}) {
    for (size_t i = 0; i < ports.size(); ++i) {
      if ((ports[i].host_port != 0) != given) continue;
      if (!given) {
        MBX_ASSIGN_OR_RETURN(Sockets sockets, BindFreePort(groups[i], holder));
        std::move(sockets.begin(), sockets.end(), std::back_inserter(bound.sockets));
        continue;
      }
      for (const PortMapping& port : groups[i]) {
        MBX_RETURN_IF_ERROR(BindGivenPort(port, holder, api, addresses, &bound));
      }
    }
  }
  for (std::vector<PortMapping>& group : groups) {
    std::move(group.begin(), group.end(), std::back_inserter(bound.ports));
  }
  return bound;
}

}  // namespace minibox::network
