// SPDX-License-Identifier: Apache-2.0
// Published ports as text (spec §3): host `[ip:]port[-port][/proto]`, container
// `port[-port][/proto]`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/network.h"
#include "minibox/status.h"

namespace minibox::core {

// One mapping per port of the range. IPv6 addresses stand in brackets; the protocol may stand
// on either side. kInvalidArgument without field: the caller knows where the text comes from.
StatusOr<std::vector<PortMapping>> ParsePorts(std::string_view host, std::string_view container);

std::string HostSide(const PortMapping& port);       // "127.0.0.1:8080", "53/udp"
std::string ContainerSide(const PortMapping& port);  // "80", "53/udp"

}  // namespace minibox::core
