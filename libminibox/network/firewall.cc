// SPDX-License-Identifier: Apache-2.0
#include "network/firewall.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_bridge.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "core/check.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "network/bridge.h"
#include "network/ports.h"

namespace minibox::network {
namespace {

using kernel::NftElement;
using kernel::NftExpression;
using kernel::NftFamily;
using kernel::NftRule;
using kernel::NftSet;
using kernel::NftTable;

// protocol . port -> address . port, and the same for one host address only.
constexpr const char* kPublished = "published";
constexpr const char* kPublishedOn = "published-on";
// Addresses and ports of the host that stay with somebody else although the port is published.
constexpr const char* kSpared = "spared";
constexpr const char* kBridges = "bridges";
constexpr const char* kInternal = "internal";
constexpr const char* kInside = "inside";  // bridge . bridge
// bridge . gateway . protocol . port 53 -> gateway . the name server's port
constexpr const char* kResolvers = "resolvers";
constexpr const char* kResolverPorts = "resolver-ports";
constexpr uint16_t kDnsPort = 53;
// link . MAC . address
constexpr const char* kEndpoints = "endpoints";
constexpr const char* kEndpoints6 = "endpoints6";

// Chain priorities, as nft names them.
constexpr int32_t kRaw = -300, kDstNat = -100, kFilter = 0, kSrcNat = 100;

// nft's numbers of data types, for those who list the sets.
constexpr uint32_t kTypeIpv4 = 7, kTypeIpv6 = 8, kTypeEther = 9, kTypeProtocol = 12,
                   kTypeService = 13, kTypeIfname = 41;
constexpr uint32_t Concat(uint32_t a, uint32_t b) { return a << 6 | b; }
constexpr uint32_t Concat(uint32_t a, uint32_t b, uint32_t c) { return Concat(Concat(a, b), c); }
constexpr uint32_t Concat(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return Concat(Concat(a, b, c), d);
}

// Offsets in headers.
constexpr uint32_t kDestinationPort = 2;
constexpr uint32_t kEtherSource = 6, kEtherType = 12;
constexpr uint32_t kArpSenderMac = 8, kArpSenderIp = 14;
constexpr uint32_t kAdvertisedTarget = 8;  // of a neighbour advertisement

// ICMPv6 types (RFC 4861).
constexpr uint8_t kRouterAdvertisement = 134, kNeighbourAdvertisement = 136, kRedirect = 137;

// What differs between the tables of IPv4 and IPv6. A register has 4 bytes.
struct IpVersion {
  NftFamily family;
  uint32_t type, bytes;          // of an address
  uint32_t source, destination;  // offsets in the header
  const char* endpoints;
  uint32_t registers() const { return bytes / 4; }
};
constexpr IpVersion kIpv4 = {NftFamily::kIp, kTypeIpv4, 4, 12, 16, kEndpoints};
constexpr IpVersion kIpv6 = {NftFamily::kIp6, kTypeIpv6, 16, 8, 24, kEndpoints6};

template <typename T>
std::string Bytes(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
std::string NetBytes(Ipv4 address) { return Bytes(htonl(address)); }
std::string NetBytes(const Ipv6& address) { return std::string(address.begin(), address.end()); }
// A port in a concatenation is padded to a register.
std::string PortBytes(uint16_t port) { return Bytes(htons(port)) + std::string(2, '\0'); }
std::string ProtocolBytes(uint8_t protocol) {
  return std::string(1, static_cast<char>(protocol)) + std::string(3, '\0');
}
std::string InterfaceBytes(std::string_view name) {
  std::string bytes(name);
  bytes.resize(IFNAMSIZ, '\0');
  return bytes;
}

// Pieces of rules; all use the registers from 0 on.
using Expressions = std::vector<NftExpression>;

Expressions operator+(Expressions a, Expressions b) {
  std::move(b.begin(), b.end(), std::back_inserter(a));
  return a;
}
Expressions Interface(uint32_t key, bool equal, std::string_view name) {
  return {kernel::NftMeta{key, 0}, kernel::NftCompare{0, equal, InterfaceBytes(name)}};
}
Expressions InterfaceIn(uint32_t key, const char* set) {
  return {kernel::NftMeta{key, 0}, kernel::NftLookup{set, 0}};
}
// Addresses with a prefix in common, as bytes.
struct Range {
  std::string base{}, mask{};
};
Range RangeOf(const Subnet& subnet) { return {NetBytes(subnet.base), NetBytes(subnet.mask())}; }
Range RangeOf(const Subnet6& subnet) {
  std::string mask;
  for (int left = subnet.prefix_length; mask.size() < subnet.base.size(); left -= 8) {
    mask += static_cast<char>(0xff00 >> std::clamp(left, 0, 8));
  }
  return {NetBytes(subnet.base), mask};
}
Expressions AddressIn(const IpVersion& ip, uint32_t offset, const Range& range) {
  return {kernel::NftPayload{NFT_PAYLOAD_NETWORK_HEADER, offset, ip.bytes, 0},
          kernel::NftMask{0, 0, range.mask}, kernel::NftCompare{0, true, range.base}};
}
Expressions ConntrackHas(uint32_t key, uint32_t bits) {
  return {kernel::NftConntrack{key, 0}, kernel::NftMask{0, 0, Bytes(bits)},
          kernel::NftCompare{0, false, Bytes(uint32_t{0})}};
}
Expressions EtherTypeIs(uint16_t type) {
  return {kernel::NftPayload{NFT_PAYLOAD_LL_HEADER, kEtherType, 2, 0},
          kernel::NftCompare{0, true, Bytes(htons(type))}};
}
// link . MAC . address, each from where it is in the packet.
Expressions SenderIsKnown(const IpVersion& ip, uint32_t mac_base, uint32_t mac_offset,
                          uint32_t ip_base, uint32_t ip_offset) {
  return {kernel::NftMeta{NFT_META_IIFNAME, 0}, kernel::NftPayload{mac_base, mac_offset, 6, 4},
          kernel::NftPayload{ip_base, ip_offset, ip.bytes, 6}, kernel::NftLookup{ip.endpoints, 0}};
}
Expressions Icmpv6Is(uint8_t type) {
  return {kernel::NftMeta{NFT_META_L4PROTO, 0},
          kernel::NftCompare{0, true, std::string(1, static_cast<char>(IPPROTO_ICMPV6))},
          kernel::NftPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, 0},
          kernel::NftCompare{0, true, std::string(1, static_cast<char>(type))}};
}
Expressions Accept() { return {kernel::NftVerdict{true}}; }
Expressions Drop() { return {kernel::NftVerdict{false}}; }
Expressions Masquerade() { return {kernel::NftMasquerade{}}; }

Range Loopback(const IpVersion& ip) {
  Subnet6 host = {{}, 128};
  host.base.back() = 1;
  return ip.family == NftFamily::kIp ? RangeOf(Subnet{0x7f000000, 8}) : RangeOf(host);
}

// address . protocol . port of the destination, each in registers of its own.
Expressions Destination(const IpVersion& ip, uint32_t to) {
  const uint32_t behind = to + ip.registers();
  return {kernel::NftPayload{NFT_PAYLOAD_NETWORK_HEADER, ip.destination, ip.bytes, to},
          kernel::NftMeta{NFT_META_L4PROTO, behind},
          kernel::NftPayload{NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, behind + 1}};
}

// To the value that the key in the registers from 0 on has in the map.
Expressions DnatBy(const IpVersion& ip, const char* map) {
  return {kernel::NftMapLookup{map, 0, 0}, kernel::NftDnat{0, ip.registers(), ip.family}};
}

void AddDnatRules(const IpVersion& ip, const char* chain, NftTable* table) {
  // Only for an address of the host: traffic that merely passes through is left alone.
  const Expressions to_host = {kernel::NftDestinationType{0},
                               kernel::NftCompare{0, true, Bytes(uint32_t{RTN_LOCAL})}};
  table->rules.push_back(
      {chain, "left to the host",
       to_host + Destination(ip, 0) + Expressions{kernel::NftLookup{kSpared, 0}} + Accept()});
  table->rules.push_back(
      {chain, "published on one address", to_host + Destination(ip, 0) + DnatBy(ip, kPublishedOn)});
  table->rules.push_back(
      {chain, "published on all addresses",
       to_host +
           Expressions{kernel::NftMeta{NFT_META_L4PROTO, 0},
                       kernel::NftPayload{NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, 1}} +
           DnatBy(ip, kPublished)});
}

// The subnet of a network in this version; none if it has none.
std::optional<Range> SubnetOf(const IpVersion& ip, const NetworkRecord& network) {
  if (ip.family == NftFamily::kIp) return RangeOf(network.subnet);
  return network.subnet6 ? std::optional(RangeOf(*network.subnet6)) : std::nullopt;
}

NftTable PlanIpTable(const IpVersion& ip, const State& state) {
  NftTable table;
  table.family = ip.family;
  table.name = kFirewallTable;
  const uint32_t target = Concat(ip.type, kTypeService);
  const uint32_t destination = Concat(ip.type, kTypeProtocol, kTypeService);
  table.sets = {
      {kPublished, Concat(kTypeProtocol, kTypeService), 8, target, ip.bytes + 4},
      {kPublishedOn, destination, ip.bytes + 8, target, ip.bytes + 4},
      {kSpared, destination, ip.bytes + 8, 0, 0},
      {kBridges, kTypeIfname, IFNAMSIZ, 0, 0, {}, true},
      {kInternal, kTypeIfname, IFNAMSIZ, 0, 0, {}, true},
      {kInside, Concat(kTypeIfname, kTypeIfname), 2 * IFNAMSIZ, 0, 0},
      {kResolvers, Concat(kTypeIfname, ip.type, kTypeProtocol, kTypeService),
       IFNAMSIZ + ip.bytes + 8, target, ip.bytes + 4},
      {kResolverPorts, destination, ip.bytes + 8, 0, 0},
  };
  table.chains = {
      {"guard", "filter", NF_INET_PRE_ROUTING, kRaw},
      {"prerouting", "nat", NF_INET_PRE_ROUTING, kDstNat},
      {"output", "nat", NF_INET_LOCAL_OUT, kDstNat},
      {"input", "filter", NF_INET_LOCAL_IN, kFilter},
      {"forward", "filter", NF_INET_FORWARD, kFilter},
      {"postrouting", "nat", NF_INET_POST_ROUTING, kSrcNat},
  };

  // Before connection tracking, so replies to connections from the host's loopback still carry
  // the bridge's address. route_localnet and DNAT would otherwise let neighbours and containers
  // reach what listens or is published on loopback only (CVE-2020-8558).
  table.rules.push_back({"guard", "to loopback from outside",
                         Interface(NFT_META_IIFNAME, false, "lo") +
                             AddressIn(ip, ip.destination, Loopback(ip)) + Drop()});
  table.rules.push_back(
      {"guard", "from loopback out of a container",
       InterfaceIn(NFT_META_IIFNAME, kBridges) + AddressIn(ip, ip.source, Loopback(ip)) + Drop()});
  table.rules.push_back({"prerouting", "name server",
                         Expressions{kernel::NftMeta{NFT_META_IIFNAME, 0}} + Destination(ip, 4) +
                             DnatBy(ip, kResolvers)});
  AddDnatRules(ip, "prerouting", &table);
  if (ip.family == NftFamily::kIp6) {
    // There is no route_localnet for IPv6, and a reply that is translated back to ::1 before the
    // bridge is dropped (br_netfilter). A refusal lets clients of 'localhost' go on to 127.0.0.1.
    table.rules.push_back({"output", "to the host's loopback",
                           AddressIn(ip, ip.destination, Loopback(ip)) + Accept()});
  }
  AddDnatRules(ip, "output", &table);
  table.rules.push_back(
      {"input", "name server of another network",
       Destination(ip, 0) +
           Expressions{kernel::NftLookup{kResolverPorts, 0}, kernel::NftConntrack{NFT_CT_STATUS, 0},
                       kernel::NftMask{0, 0, Bytes(uint32_t{IPS_DST_NAT})},
                       kernel::NftCompare{0, true, Bytes(uint32_t{0})}} +
           Drop()});

  table.rules.push_back({"forward", "replies",
                         ConntrackHas(NFT_CT_STATE, NF_CT_STATE_BIT(IP_CT_ESTABLISHED) |
                                                        NF_CT_STATE_BIT(IP_CT_RELATED)) +
                             Accept()});
  table.rules.push_back(
      {"forward", "inside a network",
       Expressions{kernel::NftMeta{NFT_META_IIFNAME, 0}, kernel::NftMeta{NFT_META_OIFNAME, 4},
                   kernel::NftLookup{kInside, 0}} +
           Accept()});
  table.rules.push_back(
      {"forward", "out of an internal network", InterfaceIn(NFT_META_IIFNAME, kInternal) + Drop()});
  table.rules.push_back({"forward", "published ports",
                         InterfaceIn(NFT_META_OIFNAME, kBridges) +
                             ConntrackHas(NFT_CT_STATUS, IPS_DST_NAT) + Accept()});
  table.rules.push_back({"forward", "anything else into a network",
                         InterfaceIn(NFT_META_OIFNAME, kBridges) + Drop()});

  for (const NetworkRecord& network : state.networks) {
    const std::optional<Range> subnet = SubnetOf(ip, network);
    if (network.internal || !subnet) continue;
    const Expressions from_subnet = AddressIn(ip, ip.source, *subnet);
    table.rules.push_back(
        {"postrouting", "leaving " + network.bridge,
         from_subnet + Interface(NFT_META_OIFNAME, false, network.bridge) + Masquerade()});
    // The answer of a published port in the asker's own subnet would bypass the host.
    table.rules.push_back({"postrouting", "hairpin on " + network.bridge,
                           from_subnet + Interface(NFT_META_OIFNAME, true, network.bridge) +
                               ConntrackHas(NFT_CT_STATUS, IPS_DST_NAT) + Masquerade()});
  }
  table.rules.push_back({"postrouting", "from the host's loopback",
                         InterfaceIn(NFT_META_OIFNAME, kBridges) +
                             AddressIn(ip, ip.source, Loopback(ip)) + Masquerade()});
  return table;
}

// What a container may send as IPv6 packets.
void AddIpv6Spoofing(NftTable* table) {
  table->sets.push_back(
      {kEndpoints6, Concat(kTypeIfname, kTypeEther, kTypeIpv6), IFNAMSIZ + 8 + kIpv6.bytes, 0, 0});
  const Expressions is_ipv6 = EtherTypeIs(ETH_P_IPV6);
  const Expressions own_source = SenderIsKnown(kIpv6, NFT_PAYLOAD_LL_HEADER, kEtherSource,
                                               NFT_PAYLOAD_NETWORK_HEADER, kIpv6.source);
  const auto add = [&](const char* comment, Expressions expressions) {
    table->rules.push_back({"spoofing", comment, is_ipv6 + std::move(expressions)});
  };
  add("router advertisement", Icmpv6Is(kRouterAdvertisement) + Drop());
  add("redirect", Icmpv6Is(kRedirect) + Drop());
  // What ARP is for IPv4: nobody answers for another's address.
  add("own addresses in advertisements",
      Icmpv6Is(kNeighbourAdvertisement) + own_source +
          SenderIsKnown(kIpv6, NFT_PAYLOAD_LL_HEADER, kEtherSource, NFT_PAYLOAD_TRANSPORT_HEADER,
                        kAdvertisedTarget) +
          Accept());
  add("other advertisement", Icmpv6Is(kNeighbourAdvertisement) + Drop());
  add("own IPv6 addresses", own_source + Accept());
}

NftTable PlanBridgeTable(bool ipv6) {
  NftTable table;
  table.family = NftFamily::kBridge;
  table.name = kFirewallTable;
  table.sets = {{kEndpoints, Concat(kTypeIfname, kTypeEther, kTypeIpv4), IFNAMSIZ + 8 + 4, 0, 0}};
  table.chains = {{"spoofing", "filter", NF_BR_PRE_ROUTING, kRaw}};
  table.rules = {
      {"spoofing", "not a container",
       Expressions{kernel::NftMeta{NFT_META_IIFGROUP, 0},
                   kernel::NftCompare{0, false, Bytes(kContainerLinkGroup)}} +
           Accept()},
      {"spoofing", "own addresses",
       EtherTypeIs(ETH_P_IP) +
           SenderIsKnown(kIpv4, NFT_PAYLOAD_LL_HEADER, kEtherSource, NFT_PAYLOAD_NETWORK_HEADER,
                         kIpv4.source) +
           Accept()},
      {"spoofing", "own addresses in ARP",
       EtherTypeIs(ETH_P_ARP) +
           SenderIsKnown(kIpv4, NFT_PAYLOAD_LL_HEADER, kEtherSource, NFT_PAYLOAD_NETWORK_HEADER,
                         kArpSenderIp) +
           SenderIsKnown(kIpv4, NFT_PAYLOAD_NETWORK_HEADER, kArpSenderMac,
                         NFT_PAYLOAD_NETWORK_HEADER, kArpSenderIp) +
           Accept()},
  };
  if (ipv6) AddIpv6Spoofing(&table);
  table.rules.push_back({"spoofing", "anything else", Drop()});
  return table;
}

struct SetElements {
  NftFamily family;
  const char* set;
  std::vector<NftElement> elements;
};

std::string ProtocolOf(const PortMapping& port) {
  return ProtocolBytes(port.protocol == PortMapping::Protocol::kUdp ? IPPROTO_UDP : IPPROTO_TCP);
}

// Of one version: `own` is the container's address in it, `on_all` how host_ip says all addresses.
template <typename Address>
void PlanPublished(const Lease& lease, const IpVersion& ip, const Address& own,
                   std::string_view on_all, std::optional<Address> (*parse)(std::string_view),
                   std::vector<SetElements>* all) {
  std::vector<NftElement> published, published_on, spared;
  for (const PortMapping& port : lease.ports) {
    const std::string key = ProtocolOf(port) + PortBytes(port.host_port);
    const std::string target = NetBytes(own) + PortBytes(port.container_port);
    if (port.host_ip == on_all) {
      published.push_back({key, target});
    } else if (const auto host = parse(port.host_ip)) {
      published_on.push_back({NetBytes(*host) + key, target});
    }
  }
  for (const PortMapping& port : lease.spared) {
    if (const auto host = parse(port.host_ip)) {
      spared.push_back({NetBytes(*host) + ProtocolOf(port) + PortBytes(port.host_port), ""});
    }
  }
  all->push_back({ip.family, kPublished, std::move(published)});
  all->push_back({ip.family, kPublishedOn, std::move(published_on)});
  all->push_back({ip.family, kSpared, std::move(spared)});
}

std::vector<SetElements> PlanElements(const Lease& lease) {
  std::vector<SetElements> all;
  const std::string sender = InterfaceBytes(HostLinkName(lease.container, lease.index)) +
                             std::string(lease.mac.begin(), lease.mac.end()) + std::string(2, '\0');
  PlanPublished(lease, kIpv4, lease.address, "", ParseIpv4, &all);
  all.push_back({NftFamily::kBridge, kEndpoints, {{sender + NetBytes(lease.address), ""}}});
  if (lease.address6) {
    PlanPublished(lease, kIpv6, *lease.address6, kAllIpv6, ParseIpv6, &all);
    all.push_back({NftFamily::kBridge,
                   kEndpoints6,
                   {{sender + NetBytes(*lease.address6), ""},
                    {sender + NetBytes(LinkLocalFor(lease.mac)), ""}}});
  }
  return all;
}

bool HasIpv6(const State& state) {
  return std::any_of(state.networks.begin(), state.networks.end(),
                     [](const auto& network) { return network.subnet6.has_value(); });
}

NftSet& FindSet(std::vector<NftTable>& tables, NftFamily family, std::string_view name) {
  NftSet* found = nullptr;
  for (NftTable& table : tables) {
    if (table.family != family) continue;
    for (NftSet& set : table.sets) {
      if (set.name == name) found = &set;
    }
  }
  MBX_CHECK(found != nullptr);
  return *found;
}

}  // namespace

std::vector<NftTable> PlanFirewall(const State& state) {
  const bool ipv6 = HasIpv6(state);
  std::vector<NftTable> tables = {PlanIpTable(kIpv4, state), PlanBridgeTable(ipv6)};
  if (ipv6) tables.push_back(PlanIpTable(kIpv6, state));
  for (const NetworkRecord& network : state.networks) {
    const std::string bridge = InterfaceBytes(network.bridge);
    const auto add_to = [&](NftFamily family, const std::string& gateway) {
      const auto add = [&](const char* set, NftElement element) {
        FindSet(tables, family, set).elements.push_back(std::move(element));
      };
      add(kBridges, {bridge, ""});
      add(kInside, {bridge + bridge, ""});
      if (network.internal) add(kInternal, {bridge, ""});
      for (const uint8_t protocol : {IPPROTO_UDP, IPPROTO_TCP}) {
        if (network.resolver_port == 0) break;
        const std::string bytes = ProtocolBytes(protocol);
        add(kResolvers, {bridge + gateway + bytes + PortBytes(kDnsPort),
                         gateway + PortBytes(network.resolver_port)});
        add(kResolverPorts, {gateway + bytes + PortBytes(network.resolver_port), ""});
      }
    };
    add_to(NftFamily::kIp, NetBytes(network.gateway));
    if (network.subnet6) add_to(NftFamily::kIp6, NetBytes(network.subnet6->gateway()));
    for (const Lease& lease : network.leases) {
      for (SetElements& planned : PlanElements(lease)) {
        std::vector<NftElement>& all = FindSet(tables, planned.family, planned.set).elements;
        std::move(planned.elements.begin(), planned.elements.end(), std::back_inserter(all));
      }
    }
  }
  return tables;
}

namespace {

// If there is one: a kernel without IPv6 knows nothing of such tables.
void DeleteIpv6Table(kernel::Nftables& nftables, kernel::NftTransaction* change) {
  const auto rules = nftables.ListRules(NftFamily::kIp6, kFirewallTable);
  if (rules.ok() && !rules->empty()) change->DeleteTable(NftFamily::kIp6, kFirewallTable);
}

}  // namespace

StatusOr<kernel::Nftables*> Firewall::Opened() {
  if (!nftables_.has_value()) {
    MBX_ASSIGN_OR_RETURN(kernel::Nftables opened, kernel::Nftables::Open());
    nftables_.emplace(std::move(opened));
  }
  return &*nftables_;
}

Status Firewall::CheckSupported() {
  const absl::MutexLock lock(&mutex_);
  return Opened().status().WithContext("set up the firewall");
}

Status Firewall::Replace(const State& state) {
  kernel::NftTransaction change;
  for (const NftTable& table : PlanFirewall(state)) change.ReplaceTable(table);
  const absl::MutexLock lock(&mutex_);
  MBX_ASSIGN_OR_RETURN(kernel::Nftables * nftables, Opened());
  if (!HasIpv6(state)) DeleteIpv6Table(*nftables, &change);
  MBX_ASSIGN_OR_RETURN(const uint32_t before, nftables->Generation());
  MBX_RETURN_IF_ERROR(nftables->Commit(change).WithContext("set up the firewall"));
  MBX_ASSIGN_OR_RETURN(const uint32_t after, nftables->Generation());
  if (after == before + 1) intact_generation_ = after;
  return Status();
}

StatusOr<bool> Firewall::IsIntact(const State& state) {
  const absl::MutexLock lock(&mutex_);
  MBX_ASSIGN_OR_RETURN(kernel::Nftables * nftables, Opened());
  MBX_ASSIGN_OR_RETURN(const uint32_t before, nftables->Generation());
  if (before == intact_generation_) return true;

  State without_leases = state;
  for (NetworkRecord& network : without_leases.networks) network.leases.clear();
  for (const NftTable& table : PlanFirewall(without_leases)) {
    MBX_ASSIGN_OR_RETURN(std::vector<kernel::NftRuleName> there,
                         nftables->ListRules(table.family, table.name));
    std::vector<kernel::NftRuleName> expected;
    for (const NftRule& rule : table.rules) expected.push_back({rule.chain, rule.comment});
    // Only within a chain does the order say anything.
    const auto by_chain = [](const auto& a, const auto& b) { return a.chain < b.chain; };
    std::stable_sort(there.begin(), there.end(), by_chain);
    std::stable_sort(expected.begin(), expected.end(), by_chain);
    if (there != expected) return false;
  }
  MBX_ASSIGN_OR_RETURN(const uint32_t after, nftables->Generation());
  if (after == before) intact_generation_ = after;
  return true;
}

StatusOr<std::vector<std::string>> Firewall::ForeignDrops(const State& state) {
  const absl::MutexLock lock(&mutex_);
  MBX_ASSIGN_OR_RETURN(kernel::Nftables * nftables, Opened());
  MBX_ASSIGN_OR_RETURN(const std::vector<kernel::NftForwardDrop> drops,
                       nftables->ListForwardDrops());
  std::vector<std::string> warnings;
  for (const kernel::NftForwardDrop& drop : drops) {
    if (drop.table == kFirewallTable || (drop.family == "ip6" && !HasIpv6(state))) continue;
    warnings.push_back(core::StrCat("chain '", drop.chain, "' of the firewall table '", drop.family,
                                    " ", drop.table,
                                    "' drops forwarded traffic unless its rules accept it"));
  }
  return warnings;
}

Status Firewall::Delete() {
  kernel::NftTransaction change;
  change.DeleteTable(NftFamily::kIp, kFirewallTable);
  change.DeleteTable(NftFamily::kBridge, kFirewallTable);
  const absl::MutexLock lock(&mutex_);
  MBX_ASSIGN_OR_RETURN(kernel::Nftables * nftables, Opened());
  DeleteIpv6Table(*nftables, &change);
  intact_generation_.reset();
  return nftables->Commit(change).WithContext("remove the firewall");
}

Status Firewall::CommitElements(kernel::NftTransaction& change) {
  MBX_ASSIGN_OR_RETURN(kernel::Nftables * nftables, Opened());
  MBX_RETURN_IF_ERROR(nftables->Commit(change));
  if (intact_generation_.has_value()) {
    MBX_ASSIGN_OR_RETURN(const uint32_t after, nftables->Generation());
    // Anything but the next one: somebody else had a transaction in between.
    if (after == *intact_generation_ + 1) intact_generation_ = after;
  }
  return Status();
}

Status Firewall::Add(const Lease& lease) {
  kernel::NftTransaction change;
  for (const SetElements& planned : PlanElements(lease)) {
    change.AddElements(planned.family, kFirewallTable, planned.set, planned.elements);
  }
  const absl::MutexLock lock(&mutex_);
  return CommitElements(change);
}

Status Firewall::Remove(const Lease& lease) {
  const std::vector<SetElements> all = PlanElements(lease);
  kernel::NftTransaction change;
  for (const SetElements& planned : all) {
    change.DeleteElements(planned.family, kFirewallTable, planned.set, planned.elements);
  }
  const absl::MutexLock lock(&mutex_);
  const Status status = CommitElements(change);
  if (status.sys_errno() != ENOENT) return status;

  // Something is gone already, and a transaction is all or nothing: what is left, one by one.
  Status first_error;
  for (const SetElements& planned : all) {
    for (const NftElement& element : planned.elements) {
      kernel::NftTransaction single;
      single.DeleteElements(planned.family, kFirewallTable, planned.set, {element});
      const Status removed = CommitElements(single);
      if (removed.sys_errno() != ENOENT && first_error.ok()) first_error = removed;
    }
  }
  return first_error;
}

}  // namespace minibox::network
