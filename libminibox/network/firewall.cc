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
constexpr const char* kEndpoints = "endpoints";

// Chain priorities, as nft names them.
constexpr int32_t kRaw = -300, kDstNat = -100, kFilter = 0, kSrcNat = 100;

// nft's numbers of data types, for those who list the sets.
constexpr uint32_t kTypeIpv4 = 7, kTypeEther = 9, kTypeProtocol = 12, kTypeService = 13,
                   kTypeIfname = 41;
constexpr uint32_t Concat(uint32_t a, uint32_t b) { return a << 6 | b; }
constexpr uint32_t Concat(uint32_t a, uint32_t b, uint32_t c) { return Concat(Concat(a, b), c); }

// Offsets in headers.
constexpr uint32_t kIpSource = 12, kIpDestination = 16, kDestinationPort = 2;
constexpr uint32_t kEtherSource = 6, kEtherType = 12;
constexpr uint32_t kArpSenderMac = 8, kArpSenderIp = 14;

template <typename T>
std::string Bytes(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
std::string NetBytes(Ipv4 address) { return Bytes(htonl(address)); }
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
Expressions AddressIn(uint32_t offset, const Subnet& subnet) {
  return {kernel::NftPayload{NFT_PAYLOAD_NETWORK_HEADER, offset, 4, 0},
          kernel::NftMask{0, 0, NetBytes(subnet.mask())},
          kernel::NftCompare{0, true, NetBytes(subnet.base)}};
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
Expressions SenderIsKnown(uint32_t mac_base, uint32_t mac_offset, uint32_t ip_offset) {
  return {kernel::NftMeta{NFT_META_IIFNAME, 0}, kernel::NftPayload{mac_base, mac_offset, 6, 4},
          kernel::NftPayload{NFT_PAYLOAD_NETWORK_HEADER, ip_offset, 4, 6},
          kernel::NftLookup{kEndpoints, 0}};
}
Expressions Accept() { return {kernel::NftVerdict{true}}; }
Expressions Drop() { return {kernel::NftVerdict{false}}; }
Expressions Masquerade() { return {kernel::NftMasquerade{}}; }

constexpr Subnet kLoopback = {0x7f000000, 8};

// address . protocol . port of the destination, in three registers.
Expressions Destination(uint32_t to) {
  return {kernel::NftPayload{NFT_PAYLOAD_NETWORK_HEADER, kIpDestination, 4, to},
          kernel::NftMeta{NFT_META_L4PROTO, to + 1},
          kernel::NftPayload{NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, to + 2}};
}

void AddDnatRules(const char* chain, NftTable* table) {
  // Only for an address of the host: traffic that merely passes through is left alone.
  const Expressions to_host = {kernel::NftDestinationType{0},
                               kernel::NftCompare{0, true, Bytes(uint32_t{RTN_LOCAL})}};
  table->rules.push_back(
      {chain, "left to the host",
       to_host + Destination(0) + Expressions{kernel::NftLookup{kSpared, 0}} + Accept()});
  table->rules.push_back(
      {chain, "published on one address",
       to_host + Destination(0) +
           Expressions{kernel::NftMapLookup{kPublishedOn, 0, 0}, kernel::NftDnat{0, 1}}});
  table->rules.push_back(
      {chain, "published on all addresses",
       to_host +
           Expressions{kernel::NftMeta{NFT_META_L4PROTO, 0},
                       kernel::NftPayload{NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, 1},
                       kernel::NftMapLookup{kPublished, 0, 0}, kernel::NftDnat{0, 1}}});
}

NftTable PlanIpTable(const State& state) {
  NftTable table;
  table.family = NftFamily::kIp;
  table.name = kFirewallTable;
  const uint32_t target = Concat(kTypeIpv4, kTypeService);
  table.sets = {
      {kPublished, Concat(kTypeProtocol, kTypeService), 8, target, 8},
      {kPublishedOn, Concat(kTypeIpv4, kTypeProtocol, kTypeService), 12, target, 8},
      {kSpared, Concat(kTypeIpv4, kTypeProtocol, kTypeService), 12, 0, 0},
      {kBridges, kTypeIfname, IFNAMSIZ, 0, 0, {}, true},
      {kInternal, kTypeIfname, IFNAMSIZ, 0, 0, {}, true},
      {kInside, Concat(kTypeIfname, kTypeIfname), 2 * IFNAMSIZ, 0, 0},
      {kResolvers, Concat(kTypeIfname, Concat(kTypeIpv4, kTypeProtocol, kTypeService)),
       IFNAMSIZ + 12, target, 8},
      {kResolverPorts, Concat(kTypeIpv4, kTypeProtocol, kTypeService), 12, 0, 0},
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
  table.rules.push_back(
      {"guard", "to loopback from outside",
       Interface(NFT_META_IIFNAME, false, "lo") + AddressIn(kIpDestination, kLoopback) + Drop()});
  table.rules.push_back(
      {"guard", "from loopback out of a container",
       InterfaceIn(NFT_META_IIFNAME, kBridges) + AddressIn(kIpSource, kLoopback) + Drop()});
  table.rules.push_back(
      {"prerouting", "name server",
       Expressions{kernel::NftMeta{NFT_META_IIFNAME, 0}} + Destination(4) +
           Expressions{kernel::NftMapLookup{kResolvers, 0, 0}, kernel::NftDnat{0, 1}}});
  AddDnatRules("prerouting", &table);
  AddDnatRules("output", &table);
  table.rules.push_back(
      {"input", "name server of another network",
       Destination(0) +
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
    if (network.internal) continue;
    const Expressions from_subnet = AddressIn(kIpSource, network.subnet);
    table.rules.push_back(
        {"postrouting", "leaving " + network.bridge,
         from_subnet + Interface(NFT_META_OIFNAME, false, network.bridge) + Masquerade()});
    // The answer of a published port in the asker's own subnet would bypass the host.
    table.rules.push_back({"postrouting", "hairpin on " + network.bridge,
                           from_subnet + Interface(NFT_META_OIFNAME, true, network.bridge) +
                               ConntrackHas(NFT_CT_STATUS, IPS_DST_NAT) + Masquerade()});
  }
  table.rules.push_back(
      {"postrouting", "from the host's loopback",
       InterfaceIn(NFT_META_OIFNAME, kBridges) + AddressIn(kIpSource, kLoopback) + Masquerade()});
  return table;
}

NftTable PlanBridgeTable() {
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
       EtherTypeIs(ETH_P_IP) + SenderIsKnown(NFT_PAYLOAD_LL_HEADER, kEtherSource, kIpSource) +
           Accept()},
      {"spoofing", "own addresses in ARP",
       EtherTypeIs(ETH_P_ARP) + SenderIsKnown(NFT_PAYLOAD_LL_HEADER, kEtherSource, kArpSenderIp) +
           SenderIsKnown(NFT_PAYLOAD_NETWORK_HEADER, kArpSenderMac, kArpSenderIp) + Accept()},
      {"spoofing", "anything else", Drop()},
  };
  return table;
}

struct Elements {
  std::vector<NftElement> published{}, published_on{}, spared{}, endpoints{};
};

std::string ProtocolOf(const PortMapping& port) {
  return ProtocolBytes(port.protocol == PortMapping::Protocol::kUdp ? IPPROTO_UDP : IPPROTO_TCP);
}

Elements PlanElements(const Lease& lease) {
  Elements elements;
  for (const PortMapping& port : lease.ports) {
    const std::string key = ProtocolOf(port) + PortBytes(port.host_port);
    const std::string target = NetBytes(lease.address) + PortBytes(port.container_port);
    if (const auto host = ParseIpv4(port.host_ip)) {
      elements.published_on.push_back({NetBytes(*host) + key, target});
    } else {
      elements.published.push_back({key, target});
    }
  }
  for (const PortMapping& port : lease.spared) {
    elements.spared.push_back({NetBytes(ParseIpv4(port.host_ip).value_or(0)) + ProtocolOf(port) +
                                   PortBytes(port.host_port),
                               ""});
  }
  const kernel::MacAddress& mac = lease.mac;
  elements.endpoints.push_back({InterfaceBytes(HostLinkName(lease.container, lease.index)) +
                                    std::string(mac.begin(), mac.end()) + std::string(2, '\0') +
                                    NetBytes(lease.address),
                                ""});
  return elements;
}

template <typename Change>
void ForEachSet(const Elements& elements, Change change) {
  change(NftFamily::kIp, kPublished, elements.published);
  change(NftFamily::kIp, kPublishedOn, elements.published_on);
  change(NftFamily::kIp, kSpared, elements.spared);
  change(NftFamily::kBridge, kEndpoints, elements.endpoints);
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
  std::vector<NftTable> tables = {PlanIpTable(state), PlanBridgeTable()};
  for (const NetworkRecord& network : state.networks) {
    const std::string bridge = InterfaceBytes(network.bridge);
    const auto add = [&](const char* set, NftElement element) {
      FindSet(tables, NftFamily::kIp, set).elements.push_back(std::move(element));
    };
    add(kBridges, {bridge, ""});
    add(kInside, {bridge + bridge, ""});
    if (network.internal) add(kInternal, {bridge, ""});
    for (const uint8_t protocol : {IPPROTO_UDP, IPPROTO_TCP}) {
      if (network.resolver_port == 0) break;
      const std::string gateway = NetBytes(network.gateway), bytes = ProtocolBytes(protocol);
      add(kResolvers, {bridge + gateway + bytes + PortBytes(kDnsPort),
                       gateway + PortBytes(network.resolver_port)});
      add(kResolverPorts, {gateway + bytes + PortBytes(network.resolver_port), ""});
    }
    for (const Lease& lease : network.leases) {
      ForEachSet(PlanElements(lease),
                 [&](NftFamily family, const char* name, const std::vector<NftElement>& elements) {
                   std::vector<NftElement>& all = FindSet(tables, family, name).elements;
                   all.insert(all.end(), elements.begin(), elements.end());
                 });
    }
  }
  return tables;
}

StatusOr<kernel::Nftables*> Firewall::Opened() {
  if (!nftables_.has_value()) {
    MBX_ASSIGN_OR_RETURN(kernel::Nftables opened, kernel::Nftables::Open());
    nftables_.emplace(std::move(opened));
  }
  return &*nftables_;
}

Status Firewall::Replace(const State& state) {
  kernel::NftTransaction change;
  for (const NftTable& table : PlanFirewall(state)) change.ReplaceTable(table);
  const absl::MutexLock lock(&mutex_);
  MBX_ASSIGN_OR_RETURN(kernel::Nftables * nftables, Opened());
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

StatusOr<std::vector<std::string>> Firewall::ForeignDrops() {
  const absl::MutexLock lock(&mutex_);
  MBX_ASSIGN_OR_RETURN(kernel::Nftables * nftables, Opened());
  MBX_ASSIGN_OR_RETURN(const std::vector<kernel::NftForwardDrop> drops,
                       nftables->ListForwardDrops());
  std::vector<std::string> warnings;
  for (const kernel::NftForwardDrop& drop : drops) {
    if (drop.table == kFirewallTable) continue;
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
  ForEachSet(PlanElements(lease),
             [&](NftFamily family, const char* set, const std::vector<NftElement>& elements) {
               change.AddElements(family, kFirewallTable, set, elements);
             });
  const absl::MutexLock lock(&mutex_);
  return CommitElements(change);
}

Status Firewall::Remove(const Lease& lease) {
  const Elements elements = PlanElements(lease);
  kernel::NftTransaction change;
  ForEachSet(elements, [&](NftFamily family, const char* set, const std::vector<NftElement>& all) {
    change.DeleteElements(family, kFirewallTable, set, all);
  });
  const absl::MutexLock lock(&mutex_);
  const Status status = CommitElements(change);
  if (status.sys_errno() != ENOENT) return status;

  // Something is gone already, and a transaction is all or nothing: what is left, one by one.
  std::vector<kernel::NftTransaction> singles;
  ForEachSet(elements, [&](NftFamily family, const char* set, const std::vector<NftElement>& all) {
    for (const NftElement& element : all) {
      singles.emplace_back().DeleteElements(family, kFirewallTable, set, {element});
    }
  });
  Status first_error;
  for (kernel::NftTransaction& single : singles) {
    const Status removed = CommitElements(single);
    if (removed.sys_errno() != ENOENT && first_error.ok()) first_error = removed;
  }
  return first_error;
}

}  // namespace minibox::network
