// SPDX-License-Identifier: Apache-2.0
// The bridge of a network on the host, and which subnet it can have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel/rtnetlink.h"
#include "minibox/status.h"
#include "network/state.h"

namespace minibox::network {

// The host's end of a container's link: "veth-<id>" for eth0, "ve<n>-<id>" for eth<n>; a hash if
// the id is too long for an interface name.
std::string HostLinkName(std::string_view container, int index = 0);

// What the host's routing table says about a subnet.
struct HostRoutes {
  std::vector<kernel::Route> routes{};
  std::vector<kernel::Link> links{};

  // The interface whose route overlaps; "" if none does. Default routes and those over `except`
  // do not count.
  std::string Conflict(const Subnet& subnet, std::string_view except = "") const;
  uint32_t DefaultRouteMtu() const;  // 1500 if there is none
};
StatusOr<HostRoutes> ReadHostRoutes(kernel::Rtnetlink& rtnetlink);

// Where subnets of networks come from: the pools of spec §13.1, whose /24s are tried in order.
struct SubnetSource {
  std::vector<Subnet> pools{{0xac130000, 16}, {0x0adb0000, 16}};
  std::vector<Subnet> taken{};  // of networks, whether their bridges exist or not
};
// kFailedPrecondition "subnet_conflict" if there is none.
StatusOr<Subnet> NextFreeSubnet(const HostRoutes& routes, const SubnetSource& source);
// For the default network on `bridge`: `configured` if it is free, else `previous` if that is,
// else the next free one.
StatusOr<Subnet> ChooseSubnet(const HostRoutes& routes, const Subnet& configured,
                              const Subnet& previous, const SubnetSource& source = {},
                              std::string_view bridge = "");

// Creates or repairs the bridge: its kind, state, MTU, gateway address and route_localnet, and
// net.ipv4.ip_forward. Links of leases are ports of it again if it had to be created.
Status EnsureBridge(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network, uint32_t mtu);
// Whether there is nothing for EnsureBridge to do, as far as a few cheap questions tell.
StatusOr<bool> BridgeIsIntact(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network);
// Makes the links of all leases ports of the bridge.
Status AttachLinks(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network);

}  // namespace minibox::network
