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
constexpr size_t kHashDigits = 8;
constexpr const char* kIpForward = "/proc/sys/net/ipv4/ip_forward";
constexpr int kPoolPrefix = 24;

// Two halves of everything are how VPNs override a default route.
constexpr int kLongestDefaultPrefix = 1;

Status EnableForwarding() {
  MBX_ASSIGN_OR_RETURN(const std::string value, core::ReadFileAt(AT_FDCWD, kIpForward, 64));
  // Writing it, even the same value, resets settings of every interface.
  if (core::TrimSpace(value) != "0") return Status();
  return core::WriteKernelFileAt(AT_FDCWD, kIpForward, "1");
}

bool HasGateway(const std::vector<kernel::Address>& addresses, const NetworkRecord& network) {
  return addresses.size() == 1 && addresses[0].address == network.gateway &&
         addresses[0].prefix_length == network.subnet.prefix_length;
}

Status SetAddress(kernel::Rtnetlink& rtnetlink, int link, const NetworkRecord& network) {
  MBX_ASSIGN_OR_RETURN(const auto addresses, rtnetlink.ListAddresses(link));
  bool there = false;
  for (const kernel::Address& address : addresses) {
    if (address.address == network.gateway &&
        address.prefix_length == network.subnet.prefix_length) {
      there = true;
    } else {
      MBX_RETURN_IF_ERROR(rtnetlink.DeleteAddress(address));
    }
  }
  if (there) return Status();
  return rtnetlink.AddAddress({network.gateway, network.subnet.prefix_length, link});
}

}  // namespace

std::string HostLinkName(std::string_view container, int index) {
  const std::string prefix = index == 0 ? "veth-" : core::StrCat("ve", index, "-");
  if (prefix.size() + container.size() < IFNAMSIZ) return core::StrCat(prefix, container);
  return core::StrCat(prefix, core::Sha256::Hex(container).substr(0, kHashDigits));
}

std::string HostRoutes::Conflict(const Subnet& subnet, std::string_view except) const {
  for (const kernel::Route& route : routes) {
    if (route.prefix_length <= kLongestDefaultPrefix || route.type == RTN_MULTICAST) continue;
    const Subnet other = {route.destination, route.prefix_length};
    if (!subnet.Overlaps(other)) continue;
    const auto link = std::find_if(links.begin(), links.end(),
                                   [&](const auto& each) { return each.index == route.link; });
    if (link == links.end()) return other.ToString();
    if (link->name != except) return link->name;
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

StatusOr<HostRoutes> ReadHostRoutes(kernel::Rtnetlink& rtnetlink) {
  HostRoutes host;
  MBX_ASSIGN_OR_RETURN(host.links, rtnetlink.ListLinks());
  MBX_ASSIGN_OR_RETURN(host.routes, rtnetlink.ListRoutes());
  return host;
}

StatusOr<Subnet> NextFreeSubnet(const HostRoutes& routes, const SubnetSource& source) {
  for (const Subnet& pool : source.pools) {
    const int length = std::max(kPoolPrefix, pool.prefix_length);
    // As 64 bits: the last subnet of a pool may end with the address space.
    for (uint64_t base = pool.base; base <= pool.broadcast();
         base += uint64_t{1} << (32 - length)) {
      const Subnet candidate = {static_cast<Ipv4>(base), length};
      const bool taken =
          std::any_of(source.taken.begin(), source.taken.end(),
                      [&](const Subnet& other) { return candidate.Overlaps(other); });
      if (!taken && routes.Conflict(candidate).empty()) return candidate;
    }
  }
  return core::FailedPrecondition("subnet_conflict", "no subnet of the pool is free");
}

StatusOr<Subnet> ChooseSubnet(const HostRoutes& routes, const Subnet& configured,
                              const Subnet& previous, const SubnetSource& source,
                              std::string_view bridge) {
  const std::string conflict = routes.Conflict(configured, bridge);
  const auto taken = [&](const Subnet& subnet) {
    return std::any_of(source.taken.begin(), source.taken.end(),
                       [&](const Subnet& other) { return subnet.Overlaps(other); });
  };
  if (conflict.empty() && !taken(configured)) return configured;
  if (previous.prefix_length != 0 && routes.Conflict(previous, bridge).empty() &&
      !taken(previous)) {
    return previous;
  }
  auto next = NextFreeSubnet(routes, source);
  if (next.ok()) return next;
  return core::FailedPrecondition(
      "subnet_conflict",
      core::StrCat(
          "subnet ", configured.ToString(), " overlaps ",
          conflict.empty() ? "another network" : core::StrCat("a route of '", conflict, "'"),
          ", and no other is free"));
}

StatusOr<bool> BridgeIsIntact(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network) {
  const auto link = rtnetlink.GetLink(network.bridge);
  if (!link.ok()) {
    if (link.status().code() == StatusCode::kNotFound) return false;
    return link.status();
  }
  if (link->kind != "bridge" || !link->up || !link->route_localnet) return false;
  MBX_ASSIGN_OR_RETURN(const auto addresses, rtnetlink.ListAddresses(link->index));
  if (!HasGateway(addresses, network)) return false;
  MBX_ASSIGN_OR_RETURN(const std::string forward, core::ReadFileAt(AT_FDCWD, kIpForward, 64));
  return core::TrimSpace(forward) != "0";
}

Status EnsureBridge(kernel::Rtnetlink& rtnetlink, const NetworkRecord& network, uint32_t mtu) {
  bool created = false;
  auto link = rtnetlink.GetLink(network.bridge);
  if (!link.ok() && link.status().code() == StatusCode::kNotFound) {
    MBX_RETURN_IF_ERROR(rtnetlink.CreateBridge({network.bridge, MacFor(network.gateway), mtu}));
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
  MBX_RETURN_IF_ERROR(SetAddress(rtnetlink, link->index, network));
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
    const std::string name = HostLinkName(lease.container, lease.index);
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
