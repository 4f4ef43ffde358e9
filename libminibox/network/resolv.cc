// SPDX-License-Identifier: Apache-2.0
#include "network/resolv.h"

#include <arpa/inet.h>

#include "core/errors.h"
#include "core/strings.h"
#include "network/ipv4.h"

namespace minibox::network {
namespace {

constexpr Ipv4 kLoopbackNet = 127;

struct HostResolver {
  std::vector<std::string> servers{};  // reachable ones
  std::string search{}, options{};     // whole lines; the last of each kind counts
};

bool IsIpAddress(const std::string& text) {
  if (text.find('\0') != std::string::npos) return false;
  in6_addr address = {};
  return ParseIpv4(text).has_value() || inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

HostResolver ParseResolvConf(std::string_view text) {
  HostResolver resolver;
  for (const std::string_view raw : core::StrSplit(text, '\n')) {
    const std::string_view line = core::TrimSpace(raw);
    const size_t end = line.find_first_of(" \t");
    if (end == std::string_view::npos) continue;
    const std::string_view keyword = line.substr(0, end);
    const std::string_view value = core::TrimSpace(line.substr(end));
    if (keyword == "nameserver") {
      const auto address = ParseIpv4(value.substr(0, value.find_first_of(" \t#;")));
      if (address && *address >> 24 != kLoopbackNet) {
        resolver.servers.push_back(FormatIpv4(*address));
      }
    } else if (keyword == "search" || keyword == "domain") {
      resolver.search = core::StrCat("search ", value);
    } else if (keyword == "options") {
      resolver.options = line;
    }
  }
  return resolver;
}

}  // namespace

bool HasReachableServer(std::string_view host) { return !ParseResolvConf(host).servers.empty(); }

StatusOr<std::string> ContainerResolvConf(std::string_view host,
                                          const std::vector<std::string>& dns) {
  for (const std::string& server : dns) {
    if (!IsIpAddress(server)) {
      return core::InvalidArgument(
          "dns", core::StrCat("'", core::EscapeControl(server), "' is not an IP address"));
    }
  }
  const HostResolver resolver = ParseResolvConf(host);
  std::string text;
  for (const std::string& server : dns.empty() ? resolver.servers : dns) {
    text += core::StrCat("nameserver ", server, "\n");
  }
  if (!resolver.search.empty()) text += resolver.search + "\n";
  if (!resolver.options.empty()) text += resolver.options + "\n";
  return text;
}

}  // namespace minibox::network
