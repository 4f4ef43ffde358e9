// SPDX-License-Identifier: Apache-2.0
// The firewall of all bridge networks: two nftables tables named `minibox`.
//
//   ip      guard        nobody but the host reaches 127.0.0.0/8, over any link
//           prerouting   published ports of packets that arrive: DNAT by map
//           output       published ports of the host's own connections, loopback included
//           forward      into a bridge only replies, published ports and neighbours
//           postrouting  masquerade: out of a subnet, from loopback, hairpin
//   bridge  spoofing     a container sends only with its own MAC and IPv4 address, no IPv6
//
// What belongs to a container is only elements of maps and sets, so that neither the cost of a
// packet nor that of a start grows with the number of containers and ports. The tables are
// computed as values, from the records alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/nftables.h"
#include "minibox/status.h"
#include "network/state.h"

namespace minibox::network {

inline constexpr std::string_view kFirewallTable = "minibox";
// Group of the host's ends of container links: what the spoofing chain looks at.
inline constexpr uint32_t kContainerLinkGroup = 0x4d42;

std::vector<kernel::NftTable> PlanFirewall(const State& state);

// Both tables get exactly what the records say, in one transaction.
Status ReplaceFirewall(const State& state);
// Whether all rules are there. Elements are not looked at.
StatusOr<bool> FirewallIsIntact(const State& state);
Status DeleteFirewall();

// The elements of one container; those that are there already (or gone) are fine.
Status AddToFirewall(const Lease& lease);
Status RemoveFromFirewall(const Lease& lease);

}  // namespace minibox::network
