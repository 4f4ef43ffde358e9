// SPDX-License-Identifier: Apache-2.0
// IPv4 addresses and subnets as numbers in host byte order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/rtnetlink.h"
#include "minibox/status.h"

namespace minibox::network {

using Ipv4 = uint32_t;

// Dotted decimal, four parts; nullopt on anything else.
std::optional<Ipv4> ParseIpv4(std::string_view text);
std::string FormatIpv4(Ipv4 address);

struct Subnet {
  Ipv4 base = 0;
  int prefix_length = 0;

  Ipv4 mask() const { return prefix_length == 0 ? 0 : 0xffffffffu << (32 - prefix_length); }
  Ipv4 broadcast() const { return base | ~mask(); }
  bool Contains(Ipv4 address) const { return (address & mask()) == base; }
  bool Overlaps(const Subnet& other) const { return Contains(other.base) || other.Contains(base); }
  // The bridge's address, and the range that containers get theirs from.
  Ipv4 gateway() const { return base + 1; }
  Ipv4 first() const { return base + 2; }
  Ipv4 last() const { return broadcast() - 1; }

  std::string ToString() const;
  friend bool operator==(const Subnet&, const Subnet&) = default;
};

// "a.b.c.d/n" with n from 8 to 29 and no bits set behind the prefix.
StatusOr<Subnet> ParseSubnet(std::string_view text);

// 02:4d: and the four bytes of the address: stable, and unique on the bridge.
kernel::MacAddress MacFor(Ipv4 address);
std::string FormatMac(const kernel::MacAddress& mac);
// nullopt if it is no MAC address of six bytes.
std::optional<kernel::MacAddress> ParseMac(std::string_view text);

}  // namespace minibox::network
