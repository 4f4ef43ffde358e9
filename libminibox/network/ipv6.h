// SPDX-License-Identifier: Apache-2.0
// IPv6 addresses and subnets as values, and which address goes with an IPv4 one.
//
// A network with both has one pool of addresses, that of IPv4: the container with the n-th address
// of the subnet has the n-th of the IPv6 subnet too, so that nothing more has to be remembered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/rtnetlink.h"
#include "minibox/status.h"
#include "network/ipv4.h"

namespace minibox::network {

using Ipv6 = kernel::Ipv6Address;

// nullopt on anything but an IPv6 address; one with a scope is none.
std::optional<Ipv6> ParseIpv6(std::string_view text);
std::string FormatIpv6(const Ipv6& address);
bool IsLinkLocal(const Ipv6& address);

struct Subnet6 {
  Ipv6 base{};
  int prefix_length = 0;

  bool Contains(const Ipv6& address) const;
  bool Overlaps(const Subnet6& other) const {
    return prefix_length < other.prefix_length ? Contains(other.base) : other.Contains(base);
  }
  // The address with this number; the bridge has the first.
  Ipv6 Host(uint32_t number) const;
  Ipv6 gateway() const { return Host(1); }
  // That of the container with this address in `subnet`.
  Ipv6 HostFor(Ipv4 address, const Subnet& subnet) const { return Host(address - subnet.base); }

  std::string ToString() const;
  friend bool operator==(const Subnet6&, const Subnet6&) = default;
};

// "<address>/n", n from 8 to 120, no bits set behind the prefix, of global or unique local unicast
// addresses. kInvalidArgument "subnet6".
StatusOr<Subnet6> ParseSubnet6(std::string_view text);
// A random unique local /64 (RFC 4193).
Subnet6 RandomSubnet6();
// fe80:: and the modified EUI-64 of the MAC address: neighbour discovery of forwarded packets, and
// of those that wait for nothing, needs a source on the link.
Ipv6 LinkLocalFor(const kernel::MacAddress& mac);

}  // namespace minibox::network
