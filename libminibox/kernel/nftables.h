// SPDX-License-Identifier: Apache-2.0
// nftables without a program: tables, chains, rules and sets as values, applied in one
// transaction over NETLINK_NETFILTER.
//
//   NftTransaction change;
//   change.ReplaceTable(table);                       // whole content
//   change.AddElements(kNftIp, "t", "set", elements);  // O(1) each
//   nftables.Commit(change);                          // all of it or nothing
//
// A rule is a list of expressions that work on registers, as `nft --debug=netlink` prints
// them. Registers are 4 bytes wide and numbered from 0; a value takes as many as it needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kernel/netlink.h"
#include "minibox/status.h"

namespace minibox::kernel {

enum class NftFamily : uint8_t { kIp = 2, kBridge = 7, kIp6 = 10 };

// `key` is NFT_META_*: NFT_META_IIFNAME, …
struct NftMeta {
  uint32_t key = 0, to = 0;
};
// `key` is NFT_CT_*.
struct NftConntrack {
  uint32_t key = 0, to = 0;
};
// The type of the destination address (RTN_LOCAL, …).
struct NftDestinationType {
  uint32_t to = 0;
};
struct NftPayload {
  uint32_t base = 0;  // NFT_PAYLOAD_*_HEADER
  uint32_t offset = 0, length = 0, to = 0;
};
// Goes on with the rule only if the register equals (does not equal) the bytes.
struct NftCompare {
  uint32_t from = 0;
  bool equal = true;
  std::string bytes{};
};
struct NftMask {
  uint32_t from = 0, to = 0;
  std::string mask{};
};
// Goes on only if the key is an element.
struct NftLookup {
  std::string set{};
  uint32_t from = 0;
};
// The same; stores the element's value.
struct NftMapLookup {
  std::string map{};
  uint32_t from = 0, to = 0;
};
// New destination address and port from registers.
struct NftDnat {
  uint32_t address = 0, port = 0;
  NftFamily family = NftFamily::kIp;  // of the address
};
struct NftMasquerade {};
struct NftVerdict {
  bool accept = true;  // false: drop
};

using NftExpression =
    std::variant<NftMeta, NftConntrack, NftDestinationType, NftPayload, NftCompare, NftMask,
                 NftLookup, NftMapLookup, NftDnat, NftMasquerade, NftVerdict>;

struct NftRule {
  std::string chain{};
  std::string comment{};  // what `nft list` shows; also how the rule is known again
  std::vector<NftExpression> expressions{};
};

// A base chain with policy accept.
struct NftChain {
  std::string name{};
  std::string type = "filter";  // "filter", "nat"
  uint32_t hook = 0;            // NF_INET_*, NF_BR_*
  int32_t priority = 0;
};

struct NftElement {
  std::string key{};
  std::string value{};  // of a map
};

// Key and value types are only for programs that list the set: the numbers of nft's types,
// 6 bits each for a concatenation.
struct NftSet {
  std::string name{};
  uint32_t key_type = 0, key_length = 0;
  uint32_t value_type = 0, value_length = 0;  // length 0: a set, not a map
  std::vector<NftElement> elements{};
  bool key_in_host_order = false;  // of a single value: nft lists interface names only so
};

struct NftTable {
  NftFamily family = NftFamily::kIp;
  std::string name{};
  std::vector<NftSet> sets{};
  std::vector<NftChain> chains{};
  std::vector<NftRule> rules{};
};

class NftTransaction {
 public:
  // The table has exactly this content afterwards, whatever was there.
  void ReplaceTable(const NftTable& table);
  // Gone afterwards, whether it was there or not.
  void DeleteTable(NftFamily family, std::string_view name);
  // An element that is there already with the same value is fine; with another, the
  // transaction fails with kAlreadyExists.
  void AddElements(NftFamily family, std::string_view table, std::string_view set,
                   const std::vector<NftElement>& elements);
  // One that is missing fails the transaction with kNotFound.
  void DeleteElements(NftFamily family, std::string_view table, std::string_view set,
                      const std::vector<NftElement>& elements);
  bool empty() const { return operations_ == 0; }

 private:
  friend class Nftables;
  nlmsghdr* Add(uint16_t type, NftFamily family, uint16_t flags, std::string_view call,
                std::string_view object, size_t room);
  void PutElements(uint16_t type, NftFamily family, std::string_view table, std::string_view set,
                   const std::vector<NftElement>& elements);

  NetlinkBatch batch_;
  uint32_t next_set_id_ = 1;
  int operations_ = 0;
};

struct NftRuleName {
  std::string chain{};
  std::string comment{};
  friend bool operator==(const NftRuleName&, const NftRuleName&) = default;
};

// A base chain in the forwarding path of IPv4 ("ip"), IPv6 ("ip6") or all packets ("inet") that
// drops or rejects whatever its rules with a condition do not accept: by its policy, or by a rule
// without condition, be it in a chain that it sends all packets to.
struct NftForwardDrop {
  std::string family{}, table{}, chain{};
};

// The firewall of the network namespace of the thread that opened it. Not thread-safe. Keep it
// for long: to close it the kernel waits until all that transactions removed is freed, which
// takes RCU grace periods (10 ms and more).
class Nftables {
 public:
  // kInternal "unsupported_by_host"; kPermissionDenied.
  static StatusOr<Nftables> Open();
  // Applies all or nothing.
  Status Commit(NftTransaction& transaction);
  // The rules of a table, chain by chain in their order; empty if there is no such table.
  StatusOr<std::vector<NftRuleName>> ListRules(NftFamily family, std::string_view table);
  // Of all tables.
  StatusOr<std::vector<NftForwardDrop>> ListForwardDrops();
  // Counts the transactions of everybody: as long as it stays, nothing was changed.
  StatusOr<uint32_t> Generation();

 private:
  explicit Nftables(NetlinkSocket socket) : socket_(std::move(socket)) {}
  // All objects of a family; `type` is NFT_MSG_GET*.
  StatusOr<std::vector<std::string>> Dump(uint16_t type, std::string_view call, uint8_t family);
  NetlinkSocket socket_;
};

}  // namespace minibox::kernel
