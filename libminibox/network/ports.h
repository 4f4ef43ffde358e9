// SPDX-License-Identifier: Apache-2.0
// Host ports: each published one is held by a bound socket, so that the kernel itself refuses
// it to everybody else as long as the container runs.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "minibox/network.h"
#include "minibox/status.h"
#include "network/ipv4.h"

namespace minibox::network {

// host_ip of a port on all IPv6 addresses; "" is the same of IPv4.
inline constexpr std::string_view kAllIpv6 = "::";

// "0.0.0.0:8080/tcp", "[::]:8080/tcp"
std::string FormatHostPort(const PortMapping& port);
// Whether two entries cannot exist at once: same port and protocol, and the same address or
// one of them on all of the other's kind.
bool Conflicts(const PortMapping& a, const PortMapping& b);

// Checks the entries and brings them to one form: host_ip is empty for all addresses, of both
// kinds where there is IPv6. kInvalidArgument "ports[…]" for what is no IP address, a container
// port of 0, and two entries that conflict.
StatusOr<std::vector<PortMapping>> NormalizePorts(std::vector<PortMapping> ports);

// Where the API listens on loopback; port 0: nowhere.
struct ApiListener {
  std::string ip{};
  uint16_t port = 0;
};

struct BoundPorts {
  std::vector<PortMapping> ports{};   // host ports filled in
  std::vector<core::Fd> sockets{};    // one or more for each
  std::vector<PortMapping> spared{};  // what of a port for all addresses stays with the API
};
// The container that holds a conflicting port; empty if none is known.
using PortHolder = std::function<std::string(const PortMapping&)>;

// kInvalidArgument "ports[…]" if an entry is for an IPv6 address of the host.
Status CheckNoIpv6(const std::vector<PortMapping>& ports, std::string_view network);

// Binds all of the normalised entries or none. kFailedPrecondition "port_in_use";
// kInvalidArgument for an address that is not one of this host. `addresses`: the host's own, for
// a port that only the API is in the way of. `ipv6`: an entry for all addresses becomes two with
// the same port, the second for kAllIpv6.
StatusOr<BoundPorts> BindPorts(const std::vector<PortMapping>& ports, const PortHolder& holder,
                               const ApiListener& api = {},
                               const std::function<std::vector<std::string>()>& addresses = nullptr,
                               bool ipv6 = false);

}  // namespace minibox::network
