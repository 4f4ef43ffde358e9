// SPDX-License-Identifier: Apache-2.0
// Links, addresses and routes of one network namespace, over NETLINK_ROUTE.
//
// IPv4 addresses are numbers in host byte order, IPv6 ones bytes as they are in a packet. Not
// thread-safe.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/netlink.h"
#include "minibox/status.h"

namespace minibox::kernel {

using MacAddress = std::array<uint8_t, 6>;
using Ipv6Address = std::array<uint8_t, 16>;

struct Link {
  int index = 0;
  std::string name{};
  std::string kind{};  // "bridge", "veth", …; empty for a device without one
  int master = 0;      // index of the bridge it is a port of
  uint32_t mtu = 0;
  uint32_t group = 0;
  bool up = false;       // administratively
  bool running = false;  // it carries packets: IF_OPER_UP
  bool route_localnet = false;
  MacAddress mac{};
};

struct Address {
  uint32_t address = 0;
  int prefix_length = 0;
  int link = 0;
};

struct Route {
  uint32_t destination = 0;
  int prefix_length = 0;
  int link = 0;  // 0: none, e.g. an unreachable or multipath one
  uint32_t table = 0;
  uint32_t priority = 0;
  uint8_t type = 0;  // RTN_*
};

struct Address6 {
  Ipv6Address address{};
  int prefix_length = 0;
  int link = 0;
  friend bool operator==(const Address6&, const Address6&) = default;
};

struct Route6 {
  Ipv6Address destination{};
  int prefix_length = 0;
  int link = 0;      // 0: none
  uint8_t type = 0;  // RTN_*
};

struct BridgeSpec {
  std::string name{};
  MacAddress mac{};
  uint32_t mtu = 0;  // 0: follows the ports
};

struct VethSpec {
  std::string name{};  // the end in this namespace, made a port of `master` and set up
  int master = 0;      // a bridge, or 0; see LinkChange
  uint32_t mtu = 1500;
  uint32_t group = 0;
  std::string peer_name{};  // the other end, in `peer_netns` from the start, left down
  MacAddress peer_mac{};
  int peer_netns = -1;  // borrowed
};

// What a link is to become, for SetLink; unset members stay as they are.
struct LinkChange {
  int index = 0;
  bool up = false;  // true: set up
  // != 0: becomes a port of this bridge, in hairpin mode. Where br_netfilter is loaded, a frame
  // that DNAT turns back to its sender is bridged, not routed, and would be dropped without.
  int master = 0;
  uint32_t mtu = 0;             // != 0
  bool route_localnet = false;  // true: 127.0.0.0/8 may be routed over it
};

class Rtnetlink {
 public:
  static StatusOr<Rtnetlink> Open();
  // Uses a NETLINK_ROUTE socket that may live in another network namespace; all calls then
  // act there. Borrowed for the call only.
  static StatusOr<Rtnetlink> Wrap(int fd);

  StatusOr<Link> GetLink(std::string_view name);  // kNotFound
  StatusOr<std::vector<Link>> ListLinks();
  StatusOr<std::vector<Address>> ListAddresses(int link);  // 0: of all links
  StatusOr<std::vector<Route>> ListRoutes();               // of all tables

  // A bridge without IPv6 address, down, for SetLink.
  Status CreateBridge(const BridgeSpec& spec);
  // kAlreadyExists if the name is taken.
  Status CreateVeth(const VethSpec& spec);
  Status SetLink(const LinkChange& change);
  // Waits until the link carries packets. The kernel starts the queue of a link, and a bridge
  // forwards to it, only when its link watcher got to hear of the carrier; packets sent before
  // that are lost and come again after a second. kDeadlineExceeded.
  Status AwaitRunning(std::string_view name, std::chrono::milliseconds timeout);
  // Takes several RCU grace periods (tens of ms): never on the path of a request if the
  // namespace of the other end is going away anyhow.
  Status DeleteLink(std::string_view name);  // kNotFound
  Status AddAddress(const Address& address);
  Status DeleteAddress(const Address& address);

  // For the namespace of a container, in one datagram.
  Status SetUpLoopback();
  // Loopback up; `link` up with the address and without any of IPv6; default route, if there is
  // to be one.
  Status SetUpEndpoint(const Address& address, std::optional<uint32_t> gateway);

  // IPv6, in rtnetlink_ipv6.cc. A kernel without it has no addresses and routes.
  StatusOr<std::vector<Address6>> ListAddresses6(int link);  // 0: of all links
  StatusOr<std::vector<Route6>> ListRoutes6();               // of all tables
  Status DeleteAddress6(const Address6& address);
  // Usable at once, without duplicate detection; ones that are there already are fine. With a
  // `gateway` a default route over the link of the first address.
  Status AddAddresses6(const std::vector<Address6>& addresses,
                       const std::optional<Ipv6Address>& gateway = std::nullopt);

 private:
  explicit Rtnetlink(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace minibox::kernel
