// SPDX-License-Identifier: Apache-2.0
#include "network/bridge.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "core/errors.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/address_events.h"
#include "network/firewall.h"

namespace minibox::network {
namespace {

constexpr uint32_t kDefaultMtu = 1500;
constexpr std::chrono::seconds kLinkTimeout{5};
constexpr size_t kHashDigits = 8;
constexpr const char* kIpForward = "/proc/sys/net/ipv4/ip_forward";
constexpr std::string_view kIpv6Settings = "/proc/sys/net/ipv6/conf/";
constexpr int kPoolPrefix = 24;
constexpr int kLinkLocalPrefix = 64;

// Two halves of everything are how VPNs override a default route.
constexpr int kLongestDefaultPrefix = 1;

Status EnableForwarding() {
  MBX_ASSIGN_OR_RETURN(const std::string value, core::ReadFileAt(AT_FDCWD, kIpForward, 64));
  // Writing it, even the same value, resets settings of every interface.
  if (core::TrimSpace(value) != "0") return Status();
  return core::WriteKernelFileAt(AT_FDCWD, kIpForward, "1");
}

// Writes only what is not so already.
Status SetIpv6(std::string_view link, std::string_view setting, std::string_view value) {
  const std::string path = core::StrCat(kIpv6Settings, link, "/", setting);
  MBX_ASSIGN_OR_RETURN(const std::string before, core::ReadFileAt(AT_FDCWD, path, 64));
  if (core::TrimSpace(before) == value) return Status();
  return core::WriteKernelFileAt(AT_FDCWD, path, value);
}

// Whether packets from outside get in, and those of the containers out. The kernel asks the link
// that a packet comes from, or `all`; an internal network's packets never leave it.
StatusOr<bool> ForwardsIpv6(const NetworkRecord& network) {
  for (const std::string_view link : {std::string_view(network.bridge), std::string_view("all")}) {
    if (link == "all" && network.internal) continue;
    MBX_ASSIGN_OR_RETURN(
        const std::string value,
        core::ReadFileAt(AT_FDCWD, core::StrCat(kIpv6Settings, link, "/forwarding"), 64));
    if (core::TrimSpace(value) == "0") return false;
  }
  return true;
}

std::vector<kernel::Address6> Addresses6Of(const NetworkRecord& network, int link) {
  if (!network.subnet6) return {};
  return {{network.subnet6->gateway(), network.subnet6->prefix_length, link},
          {LinkLocalFor(MacFor(network.gateway)), kLinkLocalPrefix, link}};
}

bool HasAll(const std::vector<kernel::Address6>& there,
            const std::vector<kernel::Address6>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& each) {
    return std::find(there.begin(), there.end(), each) != there.end();
  });
}

Status EnsureIpv6(kernel::Rtnetlink& rtnetlink, int link, const NetworkRecord& network) {
  MBX_ASSIGN_OR_RETURN(const auto there, rtnetlink.ListAddresses6(link));
  const std::vector<kernel::Address6> wanted = Addresses6Of(network, link);
  for (const kernel::Address6& address : there) {
    if (HasAll(wanted, {address})) continue;
    MBX_RETURN_IF_ERROR(rtnetlink.DeleteAddress6(address));
  }
  if (!network.subnet6) return Status();
  MBX_RETURN_IF_ERROR(CheckHostHasIpv6());
  MBX_RETURN_IF_ERROR(SetIpv6(network.bridge, "disable_ipv6", "0"));
  // Containers are no routers for the host.
  MBX_RETURN_IF_ERROR(SetIpv6(network.bridge, "accept_ra", "0"));
  MBX_RETURN_IF_ERROR(SetIpv6(network.bridge, "forwarding", "1"));
  MBX_ASSIGN_OR_RETURN(const bool forwards, ForwardsIpv6(network));
  if (!forwards) MBX_RETURN_IF_ERROR(SetIpv6("all", "forwarding", "1"));
  std::vector<kernel::Address6> missing;
  std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(missing),
               [&](const auto& each) { return !HasAll(there, {each}); });
  MBX_ASSIGN_OR_RETURN(auto events, kernel::AddressEvents::Open());
  MBX_RETURN_IF_ERROR(rtnetlink.AddAddresses6(missing));
  return events.Await(std::move(missing), kLinkTimeout);
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

template <typename Net, typename Route>
std::string ConflictIn(const std::vector<Route>& routes, const std::vector<kernel::Link>& links,
                       const Net& subnet, std::string_view except) {
  for (const Route& route : routes) {
    if (route.prefix_length <= kLongestDefaultPrefix || route.type == RTN_MULTICAST) continue;
    const Net other = {route.destination, route.prefix_length};
    if (!subnet.Overlaps(other)) continue;
    const auto link = std::find_if(links.begin(), links.end(),
                                   [&](const auto& each) { return each.index == route.link; });
    if (link == links.end()) return other.ToString();
    if (link->name != except) return link->name;
  }
  return "";
}

}  // namespace

Status CheckHostHasIpv6() {
  if (access("/proc/sys/net/ipv6", F_OK) == 0) return Status();
  return core::Error(StatusCode::kInternal, "unsupported_by_host", "this kernel has no IPv6")
      .WithField("subnet6");
}

std::string HostLinkName(std::string_view container, int index) {
  const std::string prefix = index == 0 ? "veth-" : core::StrCat("ve", index, "-");
  if (prefix.size() + container.size() < IFNAMSIZ) return core::StrCat(prefix, container);
  return core::StrCat(prefix, core::Sha256::Hex(container).substr(0, kHashDigits));
}

std::string HostRoutes::Conflict(const Subnet& subnet, std::string_view except) const {
  return ConflictIn<Subnet>(routes, links, subnet, except);
}

std::string HostRoutes::Conflict(const Subnet6& subnet, std::string_view except) const {
  return ConflictIn<Subnet6>(routes6, links, subnet, except);
}

std::string HostRoutes::Conflict(const NetworkRecord& network) const {
  std::string conflict = Conflict(network.subnet, network.bridge);
  if (conflict.empty() && network.subnet6) conflict = Conflict(*network.subnet6, network.bridge);
  return conflict;
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
  MBX_ASSIGN_OR_RETURN(host.routes6, rtnetlink.ListRoutes6());
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

Subnet6 FreeSubnet6(const HostRoutes& routes, const State& state) {
  while (true) {
    const Subnet6 candidate = RandomSubnet6();
    const bool taken =
        std::any_of(state.networks.begin(), state.networks.end(), [&](const auto& network) {
          return network.subnet6 && network.subnet6->Overlaps(candidate);
        });
    if (!taken && routes.Conflict(candidate).empty()) return candidate;
  }
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
  if (network.subnet6) {
    MBX_ASSIGN_OR_RETURN(const auto addresses6, rtnetlink.ListAddresses6(link->index));
    if (!HasAll(addresses6, Addresses6Of(network, link->index))) return false;
    MBX_ASSIGN_OR_RETURN(const bool forwards, ForwardsIpv6(network));
    if (!forwards) return false;
  }
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
  MBX_RETURN_IF_ERROR(EnsureIpv6(rtnetlink, link->index, network));
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
