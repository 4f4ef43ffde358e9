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

struct BoundPorts {
  std::vector<PortMapping> ports{};  // host ports filled in
  std::vector<core::Fd> sockets{};   // one for each, in the same order
};
// The container that holds a conflicting port; empty if none is known.
using PortHolder = std::function<std::string(const PortMapping&)>;

// Binds all of the normalised entries or none. kFailedPrecondition "port_in_use";
// kInvalidArgument for an address that is not one of this host.
StatusOr<BoundPorts> BindPorts(const std::vector<PortMapping>& ports, const PortHolder& holder);

}  // namespace minibox::network
