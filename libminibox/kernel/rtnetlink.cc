// SPDX-License-Identifier: Apache-2.0
#include "kernel/rtnetlink.h"

// The order matters: <net/if.h> and <linux/if.h> define the same flags.
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/errors.h"
#include "core/fd.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::kernel {
namespace {

// The index of `lo` in every network namespace.
constexpr int kLoopbackIndex = 1;

ifinfomsg* PutLinkHeader(nlmsghdr* message, int index, unsigned flags) {
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  info->ifi_family = AF_UNSPEC;
  info->ifi_index = index;
  info->ifi_flags = flags;
  info->ifi_change = flags;
  return info;
}

// No address of its own making. A link of ours has no IPv6, and link-local addresses would
// each cost duplicate detection and multicast memberships.
void PutNoIpv6Addresses(nlmsghdr* message) {
  // A kernel without IPv6, or booted with ipv6.disable=1, refuses any setting of it.
  if (access("/proc/sys/net/ipv6", F_OK) != 0) return;
  nlattr* families = mnl_attr_nest_start(message, IFLA_AF_SPEC);
  nlattr* ipv6 = mnl_attr_nest_start(message, AF_INET6);
  mnl_attr_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  mnl_attr_nest_end(message, ipv6);
  mnl_attr_nest_end(message, families);
}

void PutRouteLocalnet(nlmsghdr* message) {
  nlattr* ipv4 = mnl_attr_nest_start(message, AF_INET);
  nlattr* conf = mnl_attr_nest_start(message, IFLA_INET_CONF);
  mnl_attr_put_u32(message, IPV4_DEVCONF_ROUTE_LOCALNET, 1);
  mnl_attr_nest_end(message, conf);
  mnl_attr_nest_end(message, ipv4);
}

// Of a link that is a port of a bridge already, in an RTM_NEWLINK message.
void PutHairpin(nlmsghdr* message) {
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_SLAVE_KIND, "bridge");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_SLAVE_DATA);
  mnl_attr_put_u8(message, IFLA_BRPORT_MODE, BRIDGE_MODE_HAIRPIN);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);
}

void AddSetLoopbackUp(NetlinkBatch& batch) {
  nlmsghdr* message = batch.Add(RTM_SETLINK, NLM_F_ACK, "set link up", "lo");
  PutLinkHeader(message, kLoopbackIndex, IFF_UP);
}

void AddAddAddress(NetlinkBatch& batch, const Address& address, uint16_t type,
                   std::string_view call) {
  in_addr shown = {htonl(address.address)};
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &shown, text, sizeof text);
  const uint16_t flags = type == RTM_NEWADDR ? NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE : NLM_F_ACK;
  nlmsghdr* message = batch.Add(type, flags, call, core::StrCat(text, "/", address.prefix_length));
  auto* info = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg)));
  info->ifa_family = AF_INET;
  info->ifa_prefixlen = static_cast<uint8_t>(address.prefix_length);
  info->ifa_scope = RT_SCOPE_UNIVERSE;
  info->ifa_index = static_cast<unsigned>(address.link);
  mnl_attr_put_u32(message, IFA_LOCAL, htonl(address.address));
  mnl_attr_put_u32(message, IFA_ADDRESS, htonl(address.address));
  if (address.prefix_length < 31) {
    const uint32_t host_bits = 0xffffffffu >> address.prefix_length;
    mnl_attr_put_u32(message, IFA_BROADCAST, htonl(address.address | host_bits));
  }
}

void ParseAfSpec(const nlattr* spec, Link* link) {
  for (const nlattr* family : NestedAttributes(spec)) {
    if (mnl_attr_get_type(family) != AF_INET) continue;
    for (const nlattr* conf : NestedAttributes(family)) {
      constexpr size_t kOffset = (IPV4_DEVCONF_ROUTE_LOCALNET - 1) * sizeof(uint32_t);
      if (mnl_attr_get_type(conf) != IFLA_INET_CONF ||
          mnl_attr_get_payload_len(conf) < kOffset + sizeof(uint32_t)) {
        continue;
      }
      uint32_t value = 0;
      std::memcpy(&value, static_cast<const char*>(mnl_attr_get_payload(conf)) + kOffset,
                  sizeof value);
      link->route_localnet = value != 0;
    }
  }
}

Link ParseLink(const nlmsghdr* message) {
  Link link;
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  link.index = info->ifi_index;
  link.up = (info->ifi_flags & IFF_UP) != 0;
  for (const nlattr* attribute : Attributes(message, sizeof(ifinfomsg))) {
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_IFNAME:
        link.name = mnl_attr_get_str(attribute);
        break;
      case IFLA_MASTER:
        link.master = static_cast<int>(mnl_attr_get_u32(attribute));
        break;
      case IFLA_MTU:
        link.mtu = mnl_attr_get_u32(attribute);
        break;
      case IFLA_OPERSTATE:
        link.running = mnl_attr_get_u8(attribute) == IF_OPER_UP;
        break;
      case IFLA_GROUP:
        link.group = mnl_attr_get_u32(attribute);
        break;
      case IFLA_ADDRESS:
        if (mnl_attr_get_payload_len(attribute) == link.mac.size()) {
          std::memcpy(link.mac.data(), mnl_attr_get_payload(attribute), link.mac.size());
        }
        break;
      case IFLA_LINKINFO: {
        for (const nlattr* kind : NestedAttributes(attribute)) {
          if (mnl_attr_get_type(kind) == IFLA_INFO_KIND) link.kind = mnl_attr_get_str(kind);
        }
        break;
      }
      case IFLA_AF_SPEC:
        ParseAfSpec(attribute, &link);
        break;
      default:
        break;
    }
  }
  return link;
}

const nlmsghdr* Header(const std::string& reply) {
  return reinterpret_cast<const nlmsghdr*>(reply.data());
}

}  // namespace

StatusOr<Rtnetlink> Rtnetlink::Open() {
  MBX_ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_ROUTE));
  return Rtnetlink(std::move(socket));
}

StatusOr<Rtnetlink> Rtnetlink::Wrap(int fd) {
  MBX_ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Wrap(fd));
  return Rtnetlink(std::move(socket));
}

StatusOr<Link> Rtnetlink::GetLink(std::string_view name) {
  NetlinkBatch batch;
  nlmsghdr* message = batch.Add(RTM_GETLINK, NLM_F_ACK, "get link", name);
  PutLinkHeader(message, 0, 0);
  mnl_attr_put_strz(message, IFLA_IFNAME, std::string(name).c_str());
  mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  auto replies = socket_.Exchange(batch);
  if (!replies.ok()) {
    if (replies.status().sys_errno() != ENODEV) return replies.status();
    return core::NotFound("", core::StrCat("no network interface '", name, "'"));
  }
  for (const std::string& reply : *replies) {
    if (Header(reply)->nlmsg_type == RTM_NEWLINK) return ParseLink(Header(reply));
  }
  return core::Internal(core::StrCat("get link ", name, ": the kernel sent no link"));
}

StatusOr<std::vector<Link>> Rtnetlink::ListLinks() {
  NetlinkBatch batch;
  nlmsghdr* message = batch.Add(RTM_GETLINK, NLM_F_DUMP, "list links", "");
  PutLinkHeader(message, 0, 0);
  mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> replies, socket_.Exchange(batch));
  std::vector<Link> links;
  for (const std::string& reply : replies) {
    if (Header(reply)->nlmsg_type == RTM_NEWLINK) links.push_back(ParseLink(Header(reply)));
  }
  return links;
}

StatusOr<std::vector<Address>> Rtnetlink::ListAddresses(int link) {
  NetlinkBatch batch;
  nlmsghdr* message = batch.Add(RTM_GETADDR, NLM_F_DUMP, "list addresses", "");
  auto* info = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg)));
  info->ifa_family = AF_INET;
  info->ifa_index = static_cast<unsigned>(link);
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> replies, socket_.Exchange(batch));
  std::vector<Address> addresses;
  for (const std::string& reply : replies) {
    if (Header(reply)->nlmsg_type != RTM_NEWADDR) continue;
    const auto* found = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(Header(reply)));
    Address address;
    address.prefix_length = found->ifa_prefixlen;
    address.link = static_cast<int>(found->ifa_index);
    for (const nlattr* attribute : Attributes(Header(reply), sizeof(ifaddrmsg))) {
      if (mnl_attr_get_type(attribute) == IFA_LOCAL) {
        address.address = ntohl(mnl_attr_get_u32(attribute));
      }
    }
    addresses.push_back(address);
  }
  return addresses;
}

StatusOr<std::vector<Route>> Rtnetlink::ListRoutes() {
  NetlinkBatch batch;
  nlmsghdr* message = batch.Add(RTM_GETROUTE, NLM_F_DUMP, "list routes", "");
  auto* info = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  info->rtm_family = AF_INET;
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> replies, socket_.Exchange(batch));
  std::vector<Route> routes;
  for (const std::string& reply : replies) {
    if (Header(reply)->nlmsg_type != RTM_NEWROUTE) continue;
    const auto* found = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(Header(reply)));
    Route route;
    route.prefix_length = found->rtm_dst_len;
    route.type = found->rtm_type;
    route.table = found->rtm_table;
    for (const nlattr* attribute : Attributes(Header(reply), sizeof(rtmsg))) {
      switch (mnl_attr_get_type(attribute)) {
        case RTA_DST:
          route.destination = ntohl(mnl_attr_get_u32(attribute));
          break;
        case RTA_OIF:
          route.link = static_cast<int>(mnl_attr_get_u32(attribute));
          break;
        case RTA_TABLE:
          route.table = mnl_attr_get_u32(attribute);
          break;
        case RTA_PRIORITY:
          route.priority = mnl_attr_get_u32(attribute);
          break;
        default:
          break;
      }
    }
    routes.push_back(route);
  }
  return routes;
}

Status Rtnetlink::CreateBridge(const BridgeSpec& spec) {
  NetlinkBatch batch;
  nlmsghdr* message =
      batch.Add(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "create bridge", spec.name);
  PutLinkHeader(message, 0, 0);
  mnl_attr_put_strz(message, IFLA_IFNAME, spec.name.c_str());
  // Without an address of its own a bridge takes the lowest of its ports', which changes as
  // they come and go and leaves neighbours with a wrong one.
  mnl_attr_put(message, IFLA_ADDRESS, spec.mac.size(), spec.mac.data());
  if (spec.mtu != 0) mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, "bridge");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  mnl_attr_put_u8(message, IFLA_BR_MCAST_SNOOPING, 0);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);

  // The address families' settings are only taken for a link that exists.
  message = batch.Add(RTM_SETLINK, NLM_F_ACK, "configure bridge", spec.name);
  PutLinkHeader(message, 0, 0);
  mnl_attr_put_strz(message, IFLA_IFNAME, spec.name.c_str());
  PutNoIpv6Addresses(message);
  return socket_.Send(batch);
}

Status Rtnetlink::CreateVeth(const VethSpec& spec) {
  NetlinkBatch batch;
  nlmsghdr* message =
      batch.Add(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "create link", spec.name);
  PutLinkHeader(message, 0, 0);
  mnl_attr_put_strz(message, IFLA_IFNAME, spec.name.c_str());
  mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
  mnl_attr_put_u32(message, IFLA_GROUP, spec.group);
  if (spec.master != 0) {
    mnl_attr_put_u32(message, IFLA_MASTER, static_cast<uint32_t>(spec.master));
  }
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
  auto* peer_info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  peer_info->ifi_family = AF_UNSPEC;
  mnl_attr_put_strz(message, IFLA_IFNAME, spec.peer_name.c_str());
  mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
  mnl_attr_put(message, IFLA_ADDRESS, spec.peer_mac.size(), spec.peer_mac.data());
  mnl_attr_put_u32(message, IFLA_NET_NS_FD, static_cast<uint32_t>(spec.peer_netns));
  mnl_attr_nest_end(message, peer);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);

  // Without NLM_F_CREATE this changes a link, and unlike RTM_SETLINK also as a port.
  message = batch.Add(RTM_NEWLINK, NLM_F_ACK, "set link up", spec.name);
  PutLinkHeader(message, 0, IFF_UP);
  mnl_attr_put_strz(message, IFLA_IFNAME, spec.name.c_str());
  if (spec.master != 0) PutHairpin(message);
  PutNoIpv6Addresses(message);
  return socket_.Send(batch);
}

Status Rtnetlink::SetLink(const LinkChange& change) {
  NetlinkBatch batch;
  nlmsghdr* message =
      batch.Add(RTM_SETLINK, NLM_F_ACK, "set link", core::StrCat("#", change.index));
  PutLinkHeader(message, change.index, change.up ? IFF_UP : 0);
  if (change.mtu != 0) mnl_attr_put_u32(message, IFLA_MTU, change.mtu);
  if (change.master != 0) {
    mnl_attr_put_u32(message, IFLA_MASTER, static_cast<uint32_t>(change.master));
  }
  if (change.route_localnet) {
    nlattr* families = mnl_attr_nest_start(message, IFLA_AF_SPEC);
    PutRouteLocalnet(message);
    mnl_attr_nest_end(message, families);
  }
  if (change.master != 0) {
    message = batch.Add(RTM_NEWLINK, NLM_F_ACK, "set bridge port", core::StrCat("#", change.index));
    PutLinkHeader(message, change.index, 0);
    PutHairpin(message);
  }
  return socket_.Send(batch);
}

Status Rtnetlink::AwaitRunning(std::string_view name, std::chrono::milliseconds timeout) {
  // Newer kernels' link watcher catches up when the link is asked for; older ones tell later.
  MBX_ASSIGN_OR_RETURN(Link link, GetLink(name));
  if (link.running) return Status();

  const core::Fd events(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  const int group = RTNLGRP_LINK;
  // Bound: one without a number of its own is taken for the sender, the kernel, and left out.
  sockaddr_nl own = {};
  own.nl_family = AF_NETLINK;
  if (!events.valid() ||
      bind(events.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
      setsockopt(events.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return core::SysError("subscribe to links", name);
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    MBX_ASSIGN_OR_RETURN(link, GetLink(name));
    if (link.running) return Status();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return core::Error(StatusCode::kDeadlineExceeded, "",
                         core::StrCat("network interface '", name, "' does not come up"));
    }
    pollfd waited = {events.get(), POLLIN, 0};
    if (poll(&waited, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) {
      return core::SysError("poll", name);
    }
    // What the events say does not matter; an overrun is one, too.
    char dropped[256];
    while (recv(events.get(), dropped, sizeof dropped, MSG_TRUNC) > 0 || errno == ENOBUFS) {
    }
  }
}

Status Rtnetlink::DeleteLink(std::string_view name) {
  NetlinkBatch batch;
  nlmsghdr* message = batch.Add(RTM_DELLINK, NLM_F_ACK, "delete link", name);
  PutLinkHeader(message, 0, 0);
  mnl_attr_put_strz(message, IFLA_IFNAME, std::string(name).c_str());
  const Status status = socket_.Send(batch);
  if (status.sys_errno() != ENODEV) return status;
  return core::NotFound("", core::StrCat("no network interface '", name, "'"));
}

Status Rtnetlink::AddAddress(const Address& address) {
  NetlinkBatch batch;
  AddAddAddress(batch, address, RTM_NEWADDR, "add address");
  return socket_.Send(batch);
}

Status Rtnetlink::DeleteAddress(const Address& address) {
  NetlinkBatch batch;
  AddAddAddress(batch, address, RTM_DELADDR, "delete address");
  return socket_.Send(batch);
}

Status Rtnetlink::SetUpLoopback() {
  NetlinkBatch batch;
  AddSetLoopbackUp(batch);
  return socket_.Send(batch);
}

Status Rtnetlink::SetUpEndpoint(const Address& address, std::optional<uint32_t> gateway) {
  NetlinkBatch batch;
  AddSetLoopbackUp(batch);
  nlmsghdr* message = batch.Add(RTM_SETLINK, NLM_F_ACK, "set link up", "in the container");
  PutLinkHeader(message, address.link, IFF_UP);
  PutNoIpv6Addresses(message);
  AddAddAddress(batch, address, RTM_NEWADDR, "add address");
  if (!gateway) return socket_.Send(batch);

  message = batch.Add(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "add route", "default");
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  route->rtm_family = AF_INET;
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = RT_SCOPE_UNIVERSE;
  route->rtm_type = RTN_UNICAST;
  mnl_attr_put_u32(message, RTA_GATEWAY, htonl(*gateway));
  mnl_attr_put_u32(message, RTA_OIF, static_cast<uint32_t>(address.link));
  return socket_.Send(batch);
}

}  // namespace minibox::kernel
