// SPDX-License-Identifier: Apache-2.0
#include "network/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "core/errors.h"
#include "core/id.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "network/ipv4.h"

namespace minibox::network {
namespace {

// Where a free port is looked for (spec §13.4), whatever the host's own ephemeral range is.
constexpr uint16_t kFirstFreePort = 32768;
constexpr uint16_t kLastFreePort = 60999;

std::string Field(const PortMapping& port) {
  return core::StrCat("ports[\"", port.host_ip, port.host_ip.empty() ? "" : ":", port.host_port,
                      "\"]");
}

// errno of the failed bind goes to *err.
core::Fd TryBind(const PortMapping& port, int* err) {
  const int type = port.protocol == PortMapping::Protocol::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  core::Fd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port.host_port);
  address.sin_addr.s_addr = htonl(ParseIpv4(port.host_ip).value_or(INADDR_ANY));
  // Without SO_REUSEADDR: a second socket that has it could bind the same port as long as
  // neither listens, and this one never does.
  if (!fd.valid() ||
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    *err = errno;
    return core::Fd();
  }
  *err = 0;
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
                     const std::vector<Ipv4>& addresses, BoundPorts* bound) {
  for (const Ipv4 address : addresses) {
    PortMapping one = port;
    one.host_ip = FormatIpv4(address);
    if (one.host_ip == api.ip) continue;
    int err = 0;
    core::Fd fd = TryBind(one, &err);
    if (err != 0) return InUse(port, holder);
    bound->sockets.push_back(std::move(fd));
  }
  PortMapping spared = port;
  spared.host_ip = api.ip;
  bound->spared.push_back(std::move(spared));
  return Status();
}

StatusOr<core::Fd> BindFreePort(PortMapping* port, const PortHolder& holder) {
  constexpr uint32_t kCount = kLastFreePort - kFirstFreePort + 1;
  const uint32_t start = static_cast<uint32_t>(std::stoul(core::RandomHex(6), nullptr, 16));
  for (uint32_t i = 0; i < kCount; ++i) {
    port->host_port = static_cast<uint16_t>(kFirstFreePort + (start + i) % kCount);
    // A port whose holder is just going away still has firewall entries.
    if (!holder(*port).empty()) continue;
    int err = 0;
    core::Fd fd = TryBind(*port, &err);
    if (fd.valid()) return fd;
    if (err != EADDRINUSE) return core::SysError("bind", FormatHostPort(*port), err);
  }
  port->host_port = 0;
  return core::FailedPrecondition("port_in_use", core::StrCat("no port from ", kFirstFreePort,
                                                              " to ", kLastFreePort, " is free"));
}

}  // namespace

std::string FormatHostPort(const PortMapping& port) {
  return core::StrCat(port.host_ip.empty() ? "0.0.0.0" : port.host_ip, ":", port.host_port,
                      port.protocol == PortMapping::Protocol::kUdp ? "/udp" : "/tcp");
}

bool Conflicts(const PortMapping& a, const PortMapping& b) {
  return a.protocol == b.protocol && a.host_port == b.host_port &&
         (a.host_ip.empty() || b.host_ip.empty() || a.host_ip == b.host_ip);
}

StatusOr<std::vector<PortMapping>> NormalizePorts(std::vector<PortMapping> ports) {
  for (size_t i = 0; i < ports.size(); ++i) {
    PortMapping& port = ports[i];
    const std::string field = Field(port);
    if (!port.host_ip.empty()) {
      const auto address = ParseIpv4(port.host_ip);
      if (!address) {
        return core::InvalidArgument(field, core::StrCat("'", core::EscapeControl(port.host_ip),
                                                         "' is not an IPv4 address"));
      }
      port.host_ip = *address == INADDR_ANY ? "" : FormatIpv4(*address);
    }
    if (port.container_port == 0) {
      return core::InvalidArgument(field, "the container port must be from 1 to 65535");
    }
    for (size_t j = 0; port.host_port != 0 && j < i; ++j) {
      if (!Conflicts(port, ports[j])) continue;
      return core::InvalidArgument(field, core::StrCat("two entries claim ", FormatHostPort(port)));
    }
  }
  return ports;
}

StatusOr<BoundPorts> BindPorts(const std::vector<PortMapping>& ports, const PortHolder& holder,
                               const ApiListener& api,
                               const std::function<std::vector<Ipv4>()>& addresses) {
  BoundPorts bound;
  bound.ports = ports;
  // The given ones first: a free one must not take what a later entry asks for.
  for (const bool given : {true, false}) {
    for (size_t i = 0; i < ports.size(); ++i) {
      PortMapping& port = bound.ports[i];
      if ((ports[i].host_port != 0) != given) continue;
      if (!given) {
        MBX_ASSIGN_OR_RETURN(bound.sockets.emplace_back(), BindFreePort(&port, holder));
        continue;
      }
      int err = 0;
      core::Fd fd = TryBind(port, &err);
      const bool of_api = api.port != 0 && port.host_port == api.port && port.host_ip.empty() &&
                          port.protocol == PortMapping::Protocol::kTcp;
      if (err == EADDRINUSE && of_api && holder(port).empty()) {
        MBX_RETURN_IF_ERROR(BindAroundApi(port, holder, api, addresses(), &bound));
        continue;
      }
      if (err == EADDRINUSE) return InUse(port, holder);
      if (err == EADDRNOTAVAIL) {
        return core::InvalidArgument(
            Field(port), core::StrCat("'", port.host_ip, "' is not an address of this host"));
      }
      if (err != 0) return core::SysError("bind", FormatHostPort(port), err);
      bound.sockets.push_back(std::move(fd));
    }
  }
  return bound;
}

}  // namespace minibox::network
