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
  std::vector<kernel::Route6> routes6{};

  // The interface whose route overlaps; "" if none does. Default routes and those over `except`
  // do not count.
  std::string Conflict(const Subnet& subnet, std::string_view except = "") const;
  std::string Conflict(const Subnet6& subnet, std::string_view except = "") const;
  // Of either subnet of a network, with others than its own bridge.
  std::string Conflict(const NetworkRecord& network) const;
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
// A random one.
Subnet6 FreeSubnet6(const HostRoutes& routes, const State& state);
// For the default network on `bridge`: `configured` if it is free, else `previous` if that is,
// else the next free one.
StatusOr<Subnet> ChooseSubnet(const HostRoutes& routes, const Subnet& configured,
                              const Subnet& previous, const SubnetSource& source = {},
                              std::string_view bridge = "");

// Whether this kernel has IPv6; kInternal "unsupported_by_host" if not.
Status CheckHostHasIpv6();

// Creates or repairs the bridge: its kind, state, MTU, gateway addresses and route_localnet, and
// forwarding: net.ipv4.ip_forward, and with an IPv6 subnet that of the bridge and, unless the
// network is internal, net.ipv6.conf.all.forwarding. Links of leases are ports of it again if it
// had to be created.
Status EnsureBridge(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network, uint32_t mtu);
// Whether there is nothing for EnsureBridge to do, as far as a few cheap questions tell.
StatusOr<bool> BridgeIsIntact(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network);
// Makes the links of all leases ports of the bridge.
Status AttachLinks(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network);

}  // namespace minibox::network
