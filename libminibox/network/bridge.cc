// SPDX-License-Identifier: Apache-2.0
#include "network/bridge.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "core/errors.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "network/firewall.h"

namespace minibox::network {
namespace {

constexpr uint32_t kDefaultMtu = 1500;
constexpr std::chrono::seconds kLinkTimeout{5};
constexpr std::string_view kLinkPrefix = "veth-";
constexpr size_t kHashDigits = 8;
constexpr const char* kIpForward = "/proc/sys/net/ipv4/ip_forward";

// Pools of spec §13.1; their /24s are tried in order.
constexpr Subnet kPools[] = {{0xac130000, 16}, {0x0adb0000, 16}};

// Two halves of everything are how VPNs override a default route.
constexpr int kLongestDefaultPrefix = 1;

Status EnableForwarding() {
  MBX_ASSIGN_OR_RETURN(const std::string value, core::ReadFileAt(AT_FDCWD, kIpForward, 64));
  // Writing it, even the same value, resets settings of every interface.
  if (core::TrimSpace(value) != "0") return Status();
  return core::WriteKernelFileAt(AT_FDCWD, kIpForward, "1");
}

bool HasGateway(const std::vector<kernel::Address>& addresses, const Subnet& subnet) {
  return addresses.size() == 1 && addresses[0].address == subnet.gateway() &&
         addresses[0].prefix_length == subnet.prefix_length;
}

Status SetAddress(kernel::Rtnetlink& rtnetlink, int link, const Subnet& subnet) {
  MBX_ASSIGN_OR_RETURN(const auto addresses, rtnetlink.ListAddresses(link));
  bool there = false;
  for (const kernel::Address& address : addresses) {
    if (address.address == subnet.gateway() && address.prefix_length == subnet.prefix_length) {
      there = true;
    } else {
      MBX_RETURN_IF_ERROR(rtnetlink.DeleteAddress(address));
    }
  }
  if (there) return Status();
  return rtnetlink.AddAddress({subnet.gateway(), subnet.prefix_length, link});
}

}  // namespace

std::string HostLinkName(std::string_view container) {
  if (kLinkPrefix.size() + container.size() < IFNAMSIZ) {
    return core::StrCat(kLinkPrefix, container);
  }
  return core::StrCat(kLinkPrefix, core::Sha256::Hex(container).substr(0, kHashDigits));
}

std::string HostRoutes::Conflict(const Subnet& subnet) const {
  for (const kernel::Route& route : routes) {
    if (route.prefix_length <= kLongestDefaultPrefix || route.type == RTN_MULTICAST) continue;
    const Subnet other = {route.destination, route.prefix_length};
    if (!subnet.Overlaps(other)) continue;
    for (const kernel::Link& link : links) {
      if (link.index == route.link) return link.name;
    }
    return other.ToString();
  }
  return "";
}

uint32_t HostRoutes::DefaultRouteMtu() const {
  const kernel::Route* best = nullptr;
  for (const kernel::Route& route : routes) {
    if (route.prefix_length != 0 || route.type != RTN_UNICAST || route.table != RT_TABLE_MAIN) {
      continue;
    }
    if (best == nullptr || route.priority < best->priority) best = &route;
  }
  for (const kernel::Link& link : links) {
    if (best != nullptr && link.index == best->link && link.mtu != 0) return link.mtu;
  }
  return kDefaultMtu;
}

StatusOr<HostRoutes> ReadHostRoutes(kernel::Rtnetlink& rtnetlink, std::string_view bridge) {
  HostRoutes host;
  MBX_ASSIGN_OR_RETURN(host.links, rtnetlink.ListLinks());
  MBX_ASSIGN_OR_RETURN(host.routes, rtnetlink.ListRoutes());
  for (const kernel::Link& link : host.links) {
    if (link.name != bridge) continue;
    std::erase_if(host.routes,
                  [&](const kernel::Route& route) { return route.link == link.index; });
  }
  return host;
}

StatusOr<Subnet> ChooseSubnet(const HostRoutes& routes, const Subnet& configured,
                              const Subnet& previous) {
  const std::string conflict = routes.Conflict(configured);
  if (conflict.empty()) return configured;
  if (previous.prefix_length != 0 && routes.Conflict(previous).empty()) return previous;
  for (const Subnet& pool : kPools) {
    for (Ipv4 base = pool.base; base < pool.broadcast(); base += 256) {
      const Subnet candidate = {base, 24};
      if (routes.Conflict(candidate).empty()) return candidate;
    }
  }
  return core::FailedPrecondition(
      "subnet_conflict", core::StrCat("subnet ", configured.ToString(), " overlaps a route of '",
                                      conflict, "', and no other is free"));
}

StatusOr<bool> BridgeIsIntact(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network) {
  const auto link = rtnetlink.GetLink(network.bridge);
  if (!link.ok()) {
    if (link.status().code() == StatusCode::kNotFound) return false;
    return link.status();
  }
  if (link->kind != "bridge" || !link->up || !link->route_localnet) return false;
  MBX_ASSIGN_OR_RETURN(const auto addresses, rtnetlink.ListAddresses(link->index));
  if (!HasGateway(addresses, network.subnet)) return false;
  MBX_ASSIGN_OR_RETURN(const std::string forward, core::ReadFileAt(AT_FDCWD, kIpForward, 64));
  return core::TrimSpace(forward) != "0";
}

Status EnsureBridge(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network, uint32_t mtu) {
  bool created = false;
  auto link = rtnetlink.GetLink(network.bridge);
  if (!link.ok() && link.status().code() == StatusCode::kNotFound) {
    MBX_RETURN_IF_ERROR(
        rtnetlink.CreateBridge({network.bridge, MacFor(network.subnet.gateway()), mtu}));
    created = true;
    link = rtnetlink.GetLink(network.bridge);
  }
  if (!link.ok()) return link.status();
  if (link->kind != "bridge") {
    return core::FailedPrecondition(
        "", core::StrCat("network interface '", network.bridge, "' exists and is not a bridge"));
  }
  if (!link->up || !link->route_localnet || link->mtu != mtu) {
    MBX_RETURN_IF_ERROR(rtnetlink.SetLink({.index = link->index,
                                           .up = true,
                                           .mtu = link->mtu == mtu ? 0 : mtu,
                                           .route_localnet = true}));
  }
  MBX_RETURN_IF_ERROR(SetAddress(rtnetlink, link->index, network.subnet));
  MBX_RETURN_IF_ERROR(EnableForwarding());
  // Containers that run outlived the bridge they were on.
  if (created && !network.leases.empty()) return AttachLinks(rtnetlink, network);
  return Status();
}

Status AttachLinks(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network) {
  MBX_ASSIGN_OR_RETURN(const kernel::Link bridge, rtnetlink.GetLink(network.bridge));
  MBX_ASSIGN_OR_RETURN(const auto links, rtnetlink.ListLinks());
  Status first_error;
  bool running = false;
  for (const Lease& lease : network.leases) {
    const std::string name = HostLinkName(lease.container);
    const auto link =
        std::find_if(links.begin(), links.end(), [&](const auto& l) { return l.name == name; });
    if (link == links.end() || link->master == bridge.index) continue;
    const Status attached =
        rtnetlink.SetLink({.index = link->index, .up = true, .master = bridge.index});
    running |= link->running;
    // A link whose namespace just died is no longer there to be attached.
    if (!attached.ok() && attached.sys_errno() != ENODEV && first_error.ok()) {
      first_error = attached;
    }
  }
  if (running && first_error.ok()) return rtnetlink.AwaitRunning(network.bridge, kLinkTimeout);
  return first_error;
}

}  // namespace minibox::network
