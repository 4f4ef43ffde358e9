// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>

#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/rtnetlink.h"

namespace minibox::kernel {
namespace {

// Calls visit(header of the family, attributes) for each IPv6 entry of a dump's replies.
template <typename Header, typename Visit>
void ForEachEntry(const std::vector<std::string>& replies, uint16_t type, Visit visit) {
  for (const std::string& reply : replies) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(reply.data());
    if (message->nlmsg_type != type) continue;
    const auto* header = static_cast<const Header*>(mnl_nlmsg_get_payload(message));
    visit(*header, Attributes(message, sizeof(Header)));
  }
}

bool ReadAddress(const nlattr* attribute, Ipv6Address* address) {
  if (mnl_attr_get_payload_len(attribute) != address->size()) return false;
  std::memcpy(address->data(), mnl_attr_get_payload(attribute), address->size());
  return true;
}

void AddChangeAddress(NetlinkBatch& batch, uint16_t type, uint16_t flags, std::string_view call,
                      const Address6& address) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, address.address.data(), text, sizeof text);
  nlmsghdr* message = batch.Add(type, static_cast<uint16_t>(NLM_F_ACK | flags), call,
                                core::StrCat(text, "/", address.prefix_length));
  auto* info = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg)));
  info->ifa_family = AF_INET6;
  info->ifa_prefixlen = static_cast<uint8_t>(address.prefix_length);
  info->ifa_flags = IFA_F_NODAD;
  info->ifa_index = static_cast<unsigned>(address.link);
  mnl_attr_put(message, IFA_LOCAL, address.address.size(), address.address.data());
  mnl_attr_put(message, IFA_ADDRESS, address.address.size(), address.address.data());
}

}  // namespace

StatusOr<std::vector<Address6>> Rtnetlink::ListAddresses6(int link) {
  NetlinkBatch batch;
  nlmsghdr* message = batch.Add(RTM_GETADDR, NLM_F_DUMP, "list IPv6 addresses", "");
  auto* info = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg)));
  info->ifa_family = AF_INET6;
  info->ifa_index = static_cast<unsigned>(link);
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> replies, socket_.Exchange(batch));
  std::vector<Address6> addresses;
  ForEachEntry<ifaddrmsg>(replies, RTM_NEWADDR, [&](const ifaddrmsg& found, const auto& list) {
    if (found.ifa_family != AF_INET6) return;
    Address6 address;
    address.prefix_length = found.ifa_prefixlen;
    address.link = static_cast<int>(found.ifa_index);
    // With a peer there are two, and IFA_LOCAL is the own one.
    for (const uint16_t wanted : {IFA_ADDRESS, IFA_LOCAL}) {
      for (const nlattr* attribute : list) {
        if (mnl_attr_get_type(attribute) == wanted) (void)ReadAddress(attribute, &address.address);
      }
    }
    if (link == 0 || address.link == link) addresses.push_back(address);
  });
  return addresses;
}

StatusOr<std::vector<Route6>> Rtnetlink::ListRoutes6() {
  NetlinkBatch batch;
  nlmsghdr* message = batch.Add(RTM_GETROUTE, NLM_F_DUMP, "list IPv6 routes", "");
  auto* info = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  info->rtm_family = AF_INET6;
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> replies, socket_.Exchange(batch));
  std::vector<Route6> routes;
  ForEachEntry<rtmsg>(replies, RTM_NEWROUTE, [&](const rtmsg& found, const auto& list) {
    if (found.rtm_family != AF_INET6) return;
    Route6 route;
    route.prefix_length = found.rtm_dst_len;
    route.type = found.rtm_type;
    for (const nlattr* attribute : list) {
      if (mnl_attr_get_type(attribute) == RTA_DST) {
        (void)ReadAddress(attribute, &route.destination);
      } else if (mnl_attr_get_type(attribute) == RTA_OIF) {
        route.link = static_cast<int>(mnl_attr_get_u32(attribute));
      }
    }
    routes.push_back(route);
  });
  return routes;
}

Status Rtnetlink::DeleteAddress6(const Address6& address) {
  NetlinkBatch batch;
  AddChangeAddress(batch, RTM_DELADDR, 0, "delete address", address);
  return socket_.Send(batch);
}

Status Rtnetlink::AddAddresses6(const std::vector<Address6>& addresses,
                                const std::optional<Ipv6Address>& gateway) {
  NetlinkBatch batch;
  for (const Address6& address : addresses) {
    AddChangeAddress(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, "add address", address);
  }
  if (gateway && !addresses.empty()) {
    nlmsghdr* message = batch.Add(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, "add route",
                                  "default (IPv6)");
    auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
    route->rtm_family = AF_INET6;
    route->rtm_table = RT_TABLE_MAIN;
    route->rtm_protocol = RTPROT_STATIC;
    route->rtm_scope = RT_SCOPE_UNIVERSE;
    route->rtm_type = RTN_UNICAST;
    mnl_attr_put(message, RTA_GATEWAY, gateway->size(), gateway->data());
    mnl_attr_put_u32(message, RTA_OIF, static_cast<uint32_t>(addresses.front().link));
  }
  return batch.empty() ? Status() : socket_.Send(batch);
}

}  // namespace minibox::kernel
