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

// "0.0.0.0:8080/tcp"
std::string FormatHostPort(const PortMapping& port);
// Whether two entries cannot exist at once: same port and protocol, and the same address or
// one of them on all.
bool Conflicts(const PortMapping& a, const PortMapping& b);

// Checks the entries and brings them to one form: host_ip is empty for all addresses.
// kInvalidArgument "ports[…]" for what is no IPv4 address, a container port of 0, and two
// entries that conflict.
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

// Binds all of the normalised entries or none. kFailedPrecondition "port_in_use";
// kInvalidArgument for an address that is not one of this host. `addresses`: the host's own, for
// a port that only the API is in the way of.
StatusOr<BoundPorts> BindPorts(const std::vector<PortMapping>& ports, const PortHolder& holder,
                               const ApiListener& api = {},
                               const std::function<std::vector<Ipv4>()>& addresses = nullptr);

}  // namespace minibox::network
