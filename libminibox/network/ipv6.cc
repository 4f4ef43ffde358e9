// SPDX-License-Identifier: Apache-2.0
#include "network/ipv6.h"

#include <arpa/inet.h>

#include <algorithm>

#include "core/check.h"
#include "core/errors.h"
#include "core/id.h"
#include "core/strings.h"

namespace minibox::network {
namespace {

constexpr int kShortestPrefix = 8;
constexpr int kLongestPrefix = 120;

// `address` with everything behind the prefix cleared.
Ipv6 Masked(Ipv6 address, int prefix_length) {
  for (size_t i = 0; i < address.size(); ++i) {
    const int bits = std::clamp(prefix_length - static_cast<int>(8 * i), 0, 8);
    address[i] = static_cast<uint8_t>(address[i] & (0xff00 >> bits));
  }
  return address;
}

Status Malformed(std::string_view text, std::string_view why) {
  return core::InvalidArgument("subnet6", core::StrCat("'", core::EscapeControl(text), "' ", why));
}

}  // namespace

std::optional<Ipv6> ParseIpv6(std::string_view text) {
  Ipv6 address;
  // inet_pton takes a C string: a NUL in the text would hide what follows.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  if (inet_pton(AF_INET6, std::string(text).c_str(), address.data()) != 1) return std::nullopt;
  return address;
}

std::string FormatIpv6(const Ipv6& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(AF_INET6, address.data(), text, sizeof text);
  return text;
}

bool IsLinkLocal(const Ipv6& address) { return address[0] == 0xfe && (address[1] & 0xc0) == 0x80; }

bool Subnet6::Contains(const Ipv6& address) const { return Masked(address, prefix_length) == base; }

Ipv6 Subnet6::Host(uint32_t number) const {
  Ipv6 address = base;
  for (size_t i = 0; i < sizeof number; ++i) {
    address[15 - i] = static_cast<uint8_t>(address[15 - i] | (number >> (8 * i) & 0xff));
  }
  return address;
}

std::string Subnet6::ToString() const { return core::StrCat(FormatIpv6(base), "/", prefix_length); }

StatusOr<Subnet6> ParseSubnet6(std::string_view text) {
  const size_t slash = text.find('/');
  const auto base = ParseIpv6(text.substr(0, slash));
  std::optional<uint64_t> length;
  if (slash != std::string_view::npos) length = core::ParseUint64(text.substr(slash + 1));
  if (!base || !length) return Malformed(text, "is not of the form <IPv6 address>/n");
  if (*length < kShortestPrefix || *length > kLongestPrefix) {
    return Malformed(text, core::StrCat("must have a prefix of ", kShortestPrefix, " to ",
                                        kLongestPrefix, " bits"));
  }
  const Subnet6 subnet = {*base, static_cast<int>(*length)};
  if (!subnet.Contains(*base)) return Malformed(text, "has bits set behind its prefix");
  // Everything else means something: loopback, link-local, multicast, embedded IPv4.
  const bool global = ((*base)[0] & 0xe0) == 0x20, local = ((*base)[0] & 0xfe) == 0xfc;
  if (!global && !local) {
    return Malformed(text, "is neither in 2000::/3 nor in fc00::/7, where hosts have theirs");
  }
  return subnet;
}

Subnet6 RandomSubnet6() {
  // 40 bits that make it unique, and 16 for a subnet.
  const std::string digits = core::RandomHex(14);
  const auto base = ParseIpv6(core::StrCat("fd", digits.substr(0, 2), ":", digits.substr(2, 4), ":",
                                           digits.substr(6, 4), ":", digits.substr(10, 4), "::"));
  MBX_CHECK(base.has_value());
  return {*base, 64};
}

Ipv6 LinkLocalFor(const kernel::MacAddress& mac) {
  return {0xfe,   0x80,   0,    0,    0,      0,      0,     0, static_cast<uint8_t>(mac[0] ^ 2),
          mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
}

}  // namespace minibox::network
