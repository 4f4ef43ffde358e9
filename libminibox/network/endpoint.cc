// SPDX-License-Identifier: Apache-2.0
#include "network/endpoint.h"

#include <fcntl.h>
#include <netinet/in.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/address_events.h"
#include "kernel/conntrack.h"
#include "kernel/netns.h"
#include "network/bridge.h"
#include "network/firewall.h"
#include "network/ipv4.h"
#include "network/ipv6.h"
#include "network/ports.h"

namespace minibox::network {
namespace {

constexpr std::chrono::seconds kLinkTimeout{5};
constexpr int kLinkLocalPrefix = 64;

void Forget(const kernel::ConntrackMatch& match) {
  const Status status = kernel::ForgetConnections(match);
  if (!status.ok()) core::LogDebug("network", core::StrCat(status.message(), ", ignoring"));
}

// The interface inside is up, and IPv6 still off on it.
Status SetUpIpv6(const Endpoint& endpoint, const kernel::Link& inner, int netns,
                 kernel::Rtnetlink& inside) {
  const auto address = ParseIpv6(endpoint.ip6), gateway = ParseIpv6(endpoint.gateway6);
  if (!address || !gateway) {
    return core::InvalidArgument("endpoint", "has no valid IPv6 address or gateway");
  }
  // No netlink attribute sets these.
  std::optional<kernel::AddressEvents> events;
  MBX_RETURN_IF_ERROR(kernel::RunInNetns(netns, [&]() -> Status {
    MBX_ASSIGN_OR_RETURN(events, kernel::AddressEvents::Open());
    const std::string settings = core::StrCat("/proc/sys/net/ipv6/conf/", inner.name, "/");
    // Siblings are no routers.
    MBX_RETURN_IF_ERROR(core::WriteKernelFileAt(AT_FDCWD, settings + "accept_ra", "0"));
    return core::WriteKernelFileAt(AT_FDCWD, settings + "disable_ipv6", "0");
  }));
  const std::vector<kernel::Address6> addresses = {
      {*address, endpoint.prefix_length6, inner.index},
      {LinkLocalFor(inner.mac), kLinkLocalPrefix, inner.index}};
  MBX_RETURN_IF_ERROR(
      inside.AddAddresses6(addresses, endpoint.default_route ? gateway : std::nullopt));
  return events->Await(addresses, kLinkTimeout);
}

bool PublishesUdp(const Lease& lease) {
  return std::any_of(lease.ports.begin(), lease.ports.end(), [](const PortMapping& port) {
    return port.protocol == PortMapping::Protocol::kUdp;
  });
}

}  // namespace

Endpoint EndpointOf(const NetworkRecord& network, const Lease& lease) {
  Endpoint endpoint;
  endpoint.network = network.name;
  endpoint.ip = FormatIpv4(lease.address);
  endpoint.mac = FormatMac(lease.mac);
  endpoint.gateway = FormatIpv4(network.gateway);
  endpoint.prefix_length = network.subnet.prefix_length;
  if (network.subnet6 && lease.address6) {
    endpoint.ip6 = FormatIpv6(*lease.address6);
    endpoint.gateway6 = FormatIpv6(network.subnet6->gateway());
    endpoint.prefix_length6 = network.subnet6->prefix_length;
  }
  endpoint.ports = lease.ports;
  endpoint.index = lease.index;
  endpoint.default_route = !network.internal && lease.index == 0;
  return endpoint;
}

Status CreateEndpoint(const Endpoint& endpoint, std::string_view container, std::string_view bridge,
                      int netns, int rtnetlink) {
  const auto address = ParseIpv4(endpoint.ip);
  const auto gateway = ParseIpv4(endpoint.gateway);
  const std::string inner_name = core::StrCat("eth", endpoint.index);
  const auto mac = ParseMac(endpoint.mac);
  if (!address || !gateway || !mac) {
    return core::InvalidArgument("endpoint", "has no valid address, gateway or mac");
  }
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink host, kernel::Rtnetlink::Open());
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink inside, kernel::Rtnetlink::Wrap(rtnetlink));
  MBX_ASSIGN_OR_RETURN(const kernel::Link master, host.GetLink(bridge));

  const std::string name = HostLinkName(container, endpoint.index);
  kernel::VethSpec veth;
  veth.name = name;
  veth.master = master.index;
  veth.mtu = master.mtu;
  veth.group = kContainerLinkGroup;
  veth.peer_name = inner_name;
  veth.peer_mac = *mac;
  veth.peer_netns = netns;
  Status created = host.CreateVeth(veth);
  if (created.code() == StatusCode::kAlreadyExists) {
    // The container was here a moment ago, and the kernel has not yet come to its namespace.
    const Status deleted = host.DeleteLink(name);
    if (!deleted.ok() && deleted.code() != StatusCode::kNotFound) return deleted;
    created = host.CreateVeth(veth);
  }
  MBX_RETURN_IF_ERROR(created);
  // The namespace would take the link along, but the caller may keep it for another attempt.
  absl::Cleanup undo = [&] { (void)host.DeleteLink(name); };

  MBX_FAILPOINT("network.attach.link");
  MBX_ASSIGN_OR_RETURN(const kernel::Link inner, inside.GetLink(inner_name));
  MBX_RETURN_IF_ERROR(inside.SetUpEndpoint({*address, endpoint.prefix_length, inner.index},
                                           endpoint.default_route ? gateway : std::nullopt));
  if (!endpoint.ip6.empty()) MBX_RETURN_IF_ERROR(SetUpIpv6(endpoint, inner, netns, inside));
  // Nothing that the workload sends or gets at its first instruction may be lost. The bridge has
  // a carrier, and a queue, only from its first port on.
  MBX_RETURN_IF_ERROR(host.AwaitRunning(name, kLinkTimeout));
  MBX_RETURN_IF_ERROR(host.AwaitRunning(bridge, kLinkTimeout));
  MBX_FAILPOINT("network.attach.configured");
  std::move(undo).Cancel();
  return Status();
}

void ForgetUdpBefore(const Lease& lease) {
  // Each conntrack walk costs as much as the table is large, so only where it can matter.
  if (!PublishesUdp(lease)) return;
  auto rtnetlink = kernel::Rtnetlink::Open();
  if (!rtnetlink.ok()) return;
  const auto addresses = rtnetlink->ListAddresses(0);
  const auto addresses6 = rtnetlink->ListAddresses6(0);
  for (const PortMapping& port : lease.ports) {
    if (port.protocol != PortMapping::Protocol::kUdp) continue;
    kernel::ConntrackMatch match;
    match.protocol = IPPROTO_UDP;
    match.destination_port = port.host_port;
    match.destination = ParseIpv4(port.host_ip);
    const bool all6 = port.host_ip == kAllIpv6;
    if (!all6) match.destination6 = ParseIpv6(port.host_ip);
    if (match.destination.has_value() || match.destination6.has_value()) {
      Forget(match);
      continue;
    }
    // One address after the other: the same port of other hosts is none of ours.
    if (all6 && addresses6.ok()) {
      for (const kernel::Address6& address : *addresses6) {
        match.destination6 = address.address;
        Forget(match);
      }
    }
    if (all6 || !addresses.ok()) continue;
    for (const kernel::Address& address : *addresses) {
      match.destination = address.address;
      Forget(match);
    }
  }
}

void ForgetUdpOf(const Lease& lease) {
  if (!PublishesUdp(lease)) return;
  kernel::ConntrackMatch match;
  match.protocol = IPPROTO_UDP;
  match.reply_source = lease.address;
  Forget(match);
  if (!lease.address6) return;
  match.reply_source.reset();
  match.reply_source6 = lease.address6;
  Forget(match);
}

}  // namespace minibox::network
