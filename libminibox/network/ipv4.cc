// SPDX-License-Identifier: Apache-2.0
#include "network/ipv4.h"

#include <arpa/inet.h>

#include <cstdio>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::network {
namespace {

constexpr int kShortestPrefix = 8;
constexpr int kLongestPrefix = 29;

}  // namespace

std::optional<Ipv4> ParseIpv4(std::string_view text) {
  in_addr address = {};
  // inet_pton takes a C string: a NUL in the text would hide what follows.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string FormatIpv4(Ipv4 address) {
  return core::StrCat(address >> 24, ".", address >> 16 & 0xff, ".", address >> 8 & 0xff, ".",
                      address & 0xff);
}

std::string Subnet::ToString() const { return core::StrCat(FormatIpv4(base), "/", prefix_length); }

StatusOr<Subnet> ParseSubnet(std::string_view text) {
  const size_t slash = text.find('/');
  const auto base = ParseIpv4(text.substr(0, slash));
  std::optional<uint64_t> length;
  if (slash != std::string_view::npos) length = core::ParseUint64(text.substr(slash + 1));
  if (!base || !length) {
    return core::InvalidArgument(
        "subnet", core::StrCat("'", core::EscapeControl(text), "' is not of the form a.b.c.d/n"));
  }
  if (*length < kShortestPrefix || *length > kLongestPrefix) {
    return core::InvalidArgument(
        "subnet", core::StrCat("the prefix of '", text, "' must be from ", kShortestPrefix, " to ",
                               kLongestPrefix, " long"));
  }
  const Subnet subnet = {*base, static_cast<int>(*length)};
  if ((subnet.base & ~subnet.mask()) != 0) {
    return core::InvalidArgument("subnet",
                                 core::StrCat("'", text, "' has bits set behind its prefix"));
  }
  return subnet;
}

kernel::MacAddress MacFor(Ipv4 address) {
  return {0x02,
          0x4d,
          static_cast<uint8_t>(address >> 24),
          static_cast<uint8_t>(address >> 16),
          static_cast<uint8_t>(address >> 8),
          static_cast<uint8_t>(address)};
}

std::string FormatMac(const kernel::MacAddress& mac) {
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                mac[4], mac[5]);
  return text;
}

std::optional<kernel::MacAddress> ParseMac(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  kernel::MacAddress mac;
  for (size_t i = 0; i < mac.size(); ++i) {
    const char* digits = text.data() + 3 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, mac[i], 16);
    if (error != std::errc() || end != digits + 2) return std::nullopt;
    if (i + 1 < mac.size() && digits[2] != ':') return std::nullopt;
  }
  return mac;
}

}  // namespace minibox::network
