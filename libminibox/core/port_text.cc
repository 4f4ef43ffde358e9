// SPDX-License-Identifier: Apache-2.0
#include "core/port_text.h"

#include <arpa/inet.h>

#include <optional>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::core {
namespace {

constexpr uint64_t kMaxPort = 65535;

Status Malformed(std::string_view text, std::string_view why) {
  return Error(StatusCode::kInvalidArgument, "invalid_argument",
               StrCat("'", EscapeControl(text), "' ", why));
}

struct Range {
  uint64_t first = 0, last = 0;
  std::optional<PortMapping::Protocol> protocol;
};

// `port[-port][/proto]`; port 0 only if `free_allowed`.
StatusOr<Range> ParseRange(std::string_view text, bool free_allowed) {
  Range range;
  std::string_view ports = text;
  if (const size_t slash = text.find('/'); slash != text.npos) {
    ports = text.substr(0, slash);
    const std::string_view protocol = text.substr(slash + 1);
    if (protocol == "tcp") {
      range.protocol = PortMapping::Protocol::kTcp;
    } else if (protocol == "udp") {
      range.protocol = PortMapping::Protocol::kUdp;
    } else {
      return Malformed(text, "has a protocol other than tcp and udp");
    }
  }
  const size_t dash = ports.find('-');
  const auto first = ParseUint64(ports.substr(0, dash));
  const auto last = dash == ports.npos ? first : ParseUint64(ports.substr(dash + 1));
  if (!first.has_value() || !last.has_value() || *first > kMaxPort || *last > kMaxPort) {
    return Malformed(text, "is not a port from 1 to 65535");
  }
  if (*first == 0 && (!free_allowed || *last != 0)) {
    return Malformed(text, "is not a port from 1 to 65535");
  }
  if (*first > *last) return Malformed(text, "is a range that ends before it begins");
  range.first = *first;
  range.last = *last;
  return range;
}

}  // namespace

StatusOr<std::vector<PortMapping>> ParsePorts(std::string_view host, std::string_view container) {
  std::string address;
  std::string_view rest = host;
  if (host.starts_with('[')) {
    const size_t close = host.find("]:");
    in6_addr parsed;
    if (close == host.npos ||
        inet_pton(AF_INET6, std::string(host.substr(1, close - 1)).c_str(), &parsed) != 1) {
      return Malformed(host, "does not begin with an IPv6 address in brackets");
    }
    address = host.substr(1, close - 1);
    rest = host.substr(close + 2);
  } else if (const size_t colon = host.rfind(':'); colon != host.npos) {
    in_addr parsed;
    address = host.substr(0, colon);
    if (inet_pton(AF_INET, address.c_str(), &parsed) != 1) {
      return Malformed(host, "does not begin with an IPv4 address (IPv6 stands in brackets)");
    }
    rest = host.substr(colon + 1);
  }
  MBX_ASSIGN_OR_RETURN(const Range outside, ParseRange(rest, /*free_allowed=*/true));
  MBX_ASSIGN_OR_RETURN(const Range inside, ParseRange(container, /*free_allowed=*/false));
  if (outside.last - outside.first != inside.last - inside.first) {
    return Malformed(container, StrCat("and '", host, "' are ranges of different size"));
  }
  if (outside.protocol && inside.protocol && *outside.protocol != *inside.protocol) {
    return Malformed(container, StrCat("and '", host, "' name different protocols"));
  }
  std::vector<PortMapping> ports;
  for (uint64_t i = 0; i <= inside.last - inside.first; ++i) {
    PortMapping port;
    port.host_ip = address;
    port.host_port = static_cast<uint16_t>(outside.first + i);
    port.container_port = static_cast<uint16_t>(inside.first + i);
    if (inside.protocol) port.protocol = *inside.protocol;
    if (outside.protocol) port.protocol = *outside.protocol;
    ports.push_back(std::move(port));
  }
  return ports;
}

std::string HostSide(const PortMapping& port) {
  std::string text;
  if (port.host_ip.find(':') != std::string::npos) {
    text = StrCat("[", port.host_ip, "]:");
  } else if (!port.host_ip.empty()) {
    text = StrCat(port.host_ip, ":");
  }
  text += std::to_string(port.host_port);
  return port.protocol == PortMapping::Protocol::kUdp ? text + "/udp" : text;
}

std::string ContainerSide(const PortMapping& port) {
  const std::string text = std::to_string(port.container_port);
  return port.protocol == PortMapping::Protocol::kUdp ? text + "/udp" : text;
}

}  // namespace minibox::core
