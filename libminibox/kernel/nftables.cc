// SPDX-License-Identifier: Apache-2.0
#include "kernel/nftables.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/check.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::kernel {
namespace {

// One attribute is at most 64 KiB long; an element with a concatenated key takes ~100 bytes.
constexpr size_t kElementsPerMessage = 256;
constexpr size_t kElementRoom = 192;
constexpr size_t kRuleRoom = 8192;

// User data in the form that nft writes and reads: tag, length, value. Of a rule the comment, of
// a set the byte order of its keys.
constexpr uint8_t kCommentTag = NFTNL_UDATA_RULE_COMMENT;
constexpr char kHostOrder = 1;

template <typename T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

Owned<nftnl_table> NewTable() {
  return {nftnl_table_alloc(), [](auto* t) { nftnl_table_free(t); }};
}
Owned<nftnl_chain> NewChain() {
  return {nftnl_chain_alloc(), [](auto* c) { nftnl_chain_free(c); }};
}
Owned<nftnl_rule> NewRule() {
  return {nftnl_rule_alloc(), [](auto* r) { nftnl_rule_free(r); }};
}
Owned<nftnl_set> NewSet() {
  return {nftnl_set_alloc(), [](auto* s) { nftnl_set_free(s); }};
}

nftnl_expr* NewExpression(const char* name) {
  nftnl_expr* expression = nftnl_expr_alloc(name);
  MBX_CHECK(expression != nullptr);
  return expression;
}

// Registers of 4 bytes; the first 16-byte one and those after are the same memory.
uint32_t Register(uint32_t number) {
  MBX_CHECK(number <= NFT_REG32_15 - NFT_REG32_00);
  return NFT_REG32_00 + number;
}

void PutString(nftnl_expr* expression, uint16_t attribute, const std::string& bytes) {
  nftnl_expr_set(expression, attribute, bytes.data(), static_cast<uint32_t>(bytes.size()));
}

struct ExpressionBuilder {
  nftnl_expr* operator()(const NftMeta& meta) const {
    nftnl_expr* out = NewExpression("meta");
    nftnl_expr_set_u32(out, NFTNL_EXPR_META_KEY, meta.key);
    nftnl_expr_set_u32(out, NFTNL_EXPR_META_DREG, Register(meta.to));
    return out;
  }
  nftnl_expr* operator()(const NftConntrack& ct) const {
    nftnl_expr* out = NewExpression("ct");
    nftnl_expr_set_u32(out, NFTNL_EXPR_CT_KEY, ct.key);
    nftnl_expr_set_u32(out, NFTNL_EXPR_CT_DREG, Register(ct.to));
    return out;
  }
  nftnl_expr* operator()(const NftDestinationType& type) const {
    nftnl_expr* out = NewExpression("fib");
    nftnl_expr_set_u32(out, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
    nftnl_expr_set_u32(out, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(out, NFTNL_EXPR_FIB_DREG, Register(type.to));
    return out;
  }
  nftnl_expr* operator()(const NftPayload& payload) const {
    nftnl_expr* out = NewExpression("payload");
    nftnl_expr_set_u32(out, NFTNL_EXPR_PAYLOAD_BASE, payload.base);
    nftnl_expr_set_u32(out, NFTNL_EXPR_PAYLOAD_OFFSET, payload.offset);
    nftnl_expr_set_u32(out, NFTNL_EXPR_PAYLOAD_LEN, payload.length);
    nftnl_expr_set_u32(out, NFTNL_EXPR_PAYLOAD_DREG, Register(payload.to));
    return out;
  }
  nftnl_expr* operator()(const NftCompare& compare) const {
    nftnl_expr* out = NewExpression("cmp");
    nftnl_expr_set_u32(out, NFTNL_EXPR_CMP_SREG, Register(compare.from));
    nftnl_expr_set_u32(out, NFTNL_EXPR_CMP_OP, compare.equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    PutString(out, NFTNL_EXPR_CMP_DATA, compare.bytes);
    return out;
  }
  nftnl_expr* operator()(const NftMask& mask) const {
    nftnl_expr* out = NewExpression("bitwise");
    nftnl_expr_set_u32(out, NFTNL_EXPR_BITWISE_SREG, Register(mask.from));
    nftnl_expr_set_u32(out, NFTNL_EXPR_BITWISE_DREG, Register(mask.to));
    nftnl_expr_set_u32(out, NFTNL_EXPR_BITWISE_LEN, static_cast<uint32_t>(mask.mask.size()));
    PutString(out, NFTNL_EXPR_BITWISE_MASK, mask.mask);
    PutString(out, NFTNL_EXPR_BITWISE_XOR, std::string(mask.mask.size(), '\0'));
    return out;
  }
  nftnl_expr* operator()(const NftLookup& lookup) const {
    nftnl_expr* out = NewExpression("lookup");
    nftnl_expr_set_str(out, NFTNL_EXPR_LOOKUP_SET, lookup.set.c_str());
    nftnl_expr_set_u32(out, NFTNL_EXPR_LOOKUP_SREG, Register(lookup.from));
    return out;
  }
  nftnl_expr* operator()(const NftMapLookup& lookup) const {
    nftnl_expr* out = NewExpression("lookup");
    nftnl_expr_set_str(out, NFTNL_EXPR_LOOKUP_SET, lookup.map.c_str());
    nftnl_expr_set_u32(out, NFTNL_EXPR_LOOKUP_SREG, Register(lookup.from));
    nftnl_expr_set_u32(out, NFTNL_EXPR_LOOKUP_DREG, Register(lookup.to));
    return out;
  }
  nftnl_expr* operator()(const NftDnat& nat) const {
    nftnl_expr* out = NewExpression("nat");
    nftnl_expr_set_u32(out, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    nftnl_expr_set_u32(out, NFTNL_EXPR_NAT_FAMILY, static_cast<uint32_t>(nat.family));
    nftnl_expr_set_u32(out, NFTNL_EXPR_NAT_REG_ADDR_MIN, Register(nat.address));
    nftnl_expr_set_u32(out, NFTNL_EXPR_NAT_REG_PROTO_MIN, Register(nat.port));
    return out;
  }
  nftnl_expr* operator()(const NftMasquerade&) const { return NewExpression("masq"); }
  nftnl_expr* operator()(const NftVerdict& verdict) const {
    nftnl_expr* out = NewExpression("immediate");
    nftnl_expr_set_u32(out, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(out, NFTNL_EXPR_IMM_VERDICT, verdict.accept ? NF_ACCEPT : NF_DROP);
    return out;
  }
};

Owned<nftnl_set> ElementSet(std::string_view table, std::string_view name) {
  auto set = NewSet();
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, std::string(table).c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, std::string(name).c_str());
  return set;
}

void PutNfHeader(nlmsghdr* message, uint8_t family, uint16_t resource) {
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = family;
  header->version = NFNETLINK_V0;
  header->res_id = htons(resource);
}

}  // namespace

nlmsghdr* NftTransaction::Add(uint16_t type, NftFamily family, uint16_t flags,
                              std::string_view call, std::string_view object, size_t room) {
  if (operations_++ == 0) {
    PutNfHeader(batch_.Add(NFNL_MSG_BATCH_BEGIN, 0, "nftables transaction", ""), AF_UNSPEC,
                NFNL_SUBSYS_NFTABLES);
  }
  nlmsghdr* message = batch_.Add(static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), flags,
                                 call, object, room);
  PutNfHeader(message, static_cast<uint8_t>(family), 0);
  return message;
}

void NftTransaction::DeleteTable(NftFamily family, std::string_view name) {
  // Deleting one that does not exist is an error, adding one that exists is not.
  for (const uint16_t type : {NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE}) {
    nlmsghdr* message = Add(type, family, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0,
                            "delete nftables table", name, 1024);
    const auto table = NewTable();
    nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, std::string(name).c_str());
    nftnl_table_nlmsg_build_payload(message, table.get());
  }
}

void NftTransaction::ReplaceTable(const NftTable& table) {
  DeleteTable(table.family, table.name);
  nlmsghdr* message =
      Add(NFT_MSG_NEWTABLE, table.family, NLM_F_CREATE, "add nftables table", table.name, 1024);
  const auto raw_table = NewTable();
  nftnl_table_set_str(raw_table.get(), NFTNL_TABLE_NAME, table.name.c_str());
  nftnl_table_nlmsg_build_payload(message, raw_table.get());

  for (const NftSet& set : table.sets) {
    message = Add(NFT_MSG_NEWSET, table.family, NLM_F_CREATE, "add nftables set", set.name, 1024);
    const auto raw = ElementSet(table.name, set.name);
    nftnl_set_set_u32(raw.get(), NFTNL_SET_FAMILY, static_cast<uint32_t>(table.family));
    nftnl_set_set_u32(raw.get(), NFTNL_SET_ID, next_set_id_++);
    nftnl_set_set_u32(raw.get(), NFTNL_SET_KEY_TYPE, set.key_type);
    nftnl_set_set_u32(raw.get(), NFTNL_SET_KEY_LEN, set.key_length);
    if (set.value_length != 0) {
      nftnl_set_set_u32(raw.get(), NFTNL_SET_FLAGS, NFT_SET_MAP);
      nftnl_set_set_u32(raw.get(), NFTNL_SET_DATA_TYPE, set.value_type);
      nftnl_set_set_u32(raw.get(), NFTNL_SET_DATA_LEN, set.value_length);
    }
    if (set.key_in_host_order) {
      const std::string user_data = {
          static_cast<char>(NFTNL_UDATA_SET_KEYBYTEORDER), sizeof(uint32_t), kHostOrder, 0, 0, 0};
      nftnl_set_set_data(raw.get(), NFTNL_SET_USERDATA, user_data.data(),
                         static_cast<uint32_t>(user_data.size()));
    }
    nftnl_set_nlmsg_build_payload(message, raw.get());
  }
  for (const NftChain& chain : table.chains) {
    message =
        Add(NFT_MSG_NEWCHAIN, table.family, NLM_F_CREATE, "add nftables chain", chain.name, 1024);
    const auto raw = NewChain();
    nftnl_chain_set_str(raw.get(), NFTNL_CHAIN_TABLE, table.name.c_str());
    nftnl_chain_set_str(raw.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
    nftnl_chain_set_str(raw.get(), NFTNL_CHAIN_TYPE, chain.type.c_str());
    nftnl_chain_set_u32(raw.get(), NFTNL_CHAIN_HOOKNUM, chain.hook);
    nftnl_chain_set_s32(raw.get(), NFTNL_CHAIN_PRIO, chain.priority);
    nftnl_chain_set_u32(raw.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
    nftnl_chain_nlmsg_build_payload(message, raw.get());
  }
  for (const NftRule& rule : table.rules) {
    message = Add(NFT_MSG_NEWRULE, table.family, NLM_F_CREATE | NLM_F_APPEND, "add nftables rule",
                  rule.comment, kRuleRoom);
    const auto raw = NewRule();
    nftnl_rule_set_str(raw.get(), NFTNL_RULE_TABLE, table.name.c_str());
    nftnl_rule_set_str(raw.get(), NFTNL_RULE_CHAIN, rule.chain.c_str());
    std::string user_data = {static_cast<char>(kCommentTag),
                             static_cast<char>(rule.comment.size() + 1)};
    user_data.append(rule.comment).push_back('\0');
    nftnl_rule_set_data(raw.get(), NFTNL_RULE_USERDATA, user_data.data(),
                        static_cast<uint32_t>(user_data.size()));
    for (const NftExpression& expression : rule.expressions) {
      nftnl_rule_add_expr(raw.get(), std::visit(ExpressionBuilder{}, expression));
    }
    nftnl_rule_nlmsg_build_payload(message, raw.get());
  }
  for (const NftSet& set : table.sets) {
    AddElements(table.family, table.name, set.name, set.elements);
  }
}

void NftTransaction::PutElements(uint16_t type, NftFamily family, std::string_view table,
                                 std::string_view set, const std::vector<NftElement>& elements) {
  for (size_t begin = 0; begin < elements.size(); begin += kElementsPerMessage) {
    const size_t end = std::min(begin + kElementsPerMessage, elements.size());
    const bool add = type == NFT_MSG_NEWSETELEM;
    nlmsghdr* message = Add(type, family, add ? NLM_F_CREATE : 0,
                            add ? "add nftables elements" : "delete nftables elements",
                            core::StrCat(table, " ", set), 1024 + (end - begin) * kElementRoom);
    const auto raw = ElementSet(table, set);
    for (size_t i = begin; i < end; ++i) {
      nftnl_set_elem* element = nftnl_set_elem_alloc();
      MBX_CHECK(element != nullptr);
      const auto size = [](const std::string& bytes) {
        return static_cast<uint32_t>(bytes.size());
      };
      nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, elements[i].key.data(),
                         size(elements[i].key));
      if (add && !elements[i].value.empty()) {
        nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, elements[i].value.data(),
                           size(elements[i].value));
      }
      nftnl_set_elem_add(raw.get(), element);  // takes it over
    }
    nftnl_set_elems_nlmsg_build_payload(message, raw.get());
  }
}

void NftTransaction::AddElements(NftFamily family, std::string_view table, std::string_view set,
                                 const std::vector<NftElement>& elements) {
  PutElements(NFT_MSG_NEWSETELEM, family, table, set, elements);
}

void NftTransaction::DeleteElements(NftFamily family, std::string_view table, std::string_view set,
                                    const std::vector<NftElement>& elements) {
  PutElements(NFT_MSG_DELSETELEM, family, table, set, elements);
}

StatusOr<Nftables> Nftables::Open() {
  // Without any of netfilter's netlink, and with it but without nf_tables.
  const auto unsupported = [] {
    return core::Error(StatusCode::kInternal, "unsupported_by_host", "this kernel has no nftables");
  };
  auto socket = NetlinkSocket::Open(NETLINK_NETFILTER);
  if (socket.status().sys_errno() == EPROTONOSUPPORT) return unsupported();
  if (!socket.ok()) return socket.status();
  Nftables nftables(*std::move(socket));
  const Status asked = nftables.Generation().status();
  if (asked.sys_errno() == EINVAL || asked.sys_errno() == EOPNOTSUPP) return unsupported();
  MBX_RETURN_IF_ERROR(asked);
  return nftables;
}

Status Nftables::Commit(NftTransaction& transaction) {
  if (transaction.empty()) return Status();
  // Only the last change asks for an acknowledgement: it is sent after the commit, and
  // refusals of the others come without being asked for.
  nlmsghdr* last = transaction.batch_.Last();
  last->nlmsg_flags |= NLM_F_ACK;
  PutNfHeader(transaction.batch_.Add(NFNL_MSG_BATCH_END, 0, "nftables transaction", ""), AF_UNSPEC,
              NFNL_SUBSYS_NFTABLES);
  return socket_.Send(transaction.batch_);
}

StatusOr<std::vector<NftRuleName>> Nftables::ListRules(NftFamily family, std::string_view table) {
  NetlinkBatch batch;
  nlmsghdr* message = batch.Add(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NLM_F_DUMP,
                                "list nftables rules", table);
  PutNfHeader(message, static_cast<uint8_t>(family), 0);
  mnl_attr_put_strz(message, NFTA_RULE_TABLE, std::string(table).c_str());
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> replies, socket_.Exchange(batch));
  std::vector<NftRuleName> rules;
  for (const std::string& reply : replies) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
    if (header->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE)) continue;
    NftRuleName rule;
    for (const nlattr* attribute : Attributes(header, sizeof(nfgenmsg))) {
      if (mnl_attr_get_type(attribute) == NFTA_RULE_CHAIN) {
        rule.chain = mnl_attr_get_str(attribute);
      } else if (mnl_attr_get_type(attribute) == NFTA_RULE_USERDATA) {
        const std::string_view data(static_cast<const char*>(mnl_attr_get_payload(attribute)),
                                    mnl_attr_get_payload_len(attribute));
        // Tag, length with the NUL, text.
        if (data.size() > 3 && data[0] == kCommentTag) {
          rule.comment = data.substr(2, data.size() - 3);
        }
      }
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

namespace {

// What happens to a packet that no rule with a condition matches.
enum class Fate { kGoesOn, kAccepted, kDropped };

struct ForeignRule {
  Fate fate = Fate::kGoesOn;
  std::string next{};  // a chain that all packets take first
  bool comes_back = true;
};

// nullopt: it has a condition, or decides nothing.
std::optional<ForeignRule> UnconditionalRule(nftnl_rule* rule) {
  const std::unique_ptr<nftnl_expr_iter, void (*)(nftnl_expr_iter*)> expressions(
      nftnl_expr_iter_create(rule), nftnl_expr_iter_destroy);
  while (nftnl_expr* expression = nftnl_expr_iter_next(expressions.get())) {
    const std::string_view name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
    if (name == "counter" || name == "log") continue;
    if (name == "reject") return ForeignRule{Fate::kDropped};
    // Extensions of xtables, as the iptables program of nftables writes them.
    if (name == "target" &&
        nftnl_expr_get_str(expression, NFTNL_EXPR_TG_NAME) == std::string_view("REJECT")) {
      return ForeignRule{Fate::kDropped};
    }
    if (name != "immediate" || !nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_VERDICT)) break;
    switch (static_cast<int>(nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT))) {
      case NF_DROP:
        return ForeignRule{Fate::kDropped};
      case NF_ACCEPT:
        return ForeignRule{Fate::kAccepted};
      case NFT_RETURN:
        return ForeignRule{Fate::kGoesOn, "", /*comes_back=*/false};
      case NFT_JUMP:
        return ForeignRule{Fate::kGoesOn, nftnl_expr_get_str(expression, NFTNL_EXPR_IMM_CHAIN)};
      case NFT_GOTO:
        return ForeignRule{Fate::kGoesOn, nftnl_expr_get_str(expression, NFTNL_EXPR_IMM_CHAIN),
                           /*comes_back=*/false};
      default:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

// By "table/chain", in order; only those without a condition.
using ForeignRules = std::unordered_map<std::string, std::vector<ForeignRule>>;

std::string ChainKey(std::string_view table, std::string_view chain) {
  return core::StrCat(table, "/", chain);
}

// The kernel refuses loops and deeper nesting (NFT_JUMP_STACK_SIZE).
constexpr int kDeepestJump = 16;

Fate FateIn(const ForeignRules& rules, const std::string& table, std::string_view chain,
            int depth = 0) {
  const auto found = rules.find(ChainKey(table, chain));
  if (found == rules.end() || depth > kDeepestJump) return Fate::kGoesOn;
  for (const ForeignRule& rule : found->second) {
    const Fate fate = rule.next.empty() ? rule.fate : FateIn(rules, table, rule.next, depth + 1);
    if (fate != Fate::kGoesOn || !rule.comes_back) return fate;
  }
  return Fate::kGoesOn;
}

}  // namespace

StatusOr<std::vector<std::string>> Nftables::Dump(uint16_t type, std::string_view call,
                                                  uint8_t family) {
  NetlinkBatch batch;
  PutNfHeader(batch.Add(NFNL_SUBSYS_NFTABLES << 8 | type, NLM_F_DUMP, call, ""), family, 0);
  return socket_.Exchange(batch);
}

StatusOr<std::vector<NftForwardDrop>> Nftables::ListForwardDrops() {
  std::vector<NftForwardDrop> drops;
  constexpr std::pair<uint8_t, const char*> kFamilies[] = {
      {NFPROTO_IPV4, "ip"}, {NFPROTO_IPV6, "ip6"}, {NFPROTO_INET, "inet"}};
  for (const auto& [family, name] : kFamilies) {
    MBX_ASSIGN_OR_RETURN(const std::vector<std::string> chains,
                         Dump(NFT_MSG_GETCHAIN, "list nftables chains", family));
    MBX_ASSIGN_OR_RETURN(const std::vector<std::string> listed,
                         Dump(NFT_MSG_GETRULE, "list nftables rules", family));
    ForeignRules rules;
    for (const std::string& reply : listed) {
      const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
      const auto rule = NewRule();
      if (header->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE) ||
          nftnl_rule_nlmsg_parse(header, rule.get()) != 0) {
        continue;
      }
      if (auto parsed = UnconditionalRule(rule.get())) {
        rules[ChainKey(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE),
                       nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN))]
            .push_back(std::move(*parsed));
      }
    }
    for (const std::string& reply : chains) {
      const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
      if (header->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN)) continue;
      const auto chain = NewChain();
      if (nftnl_chain_nlmsg_parse(header, chain.get()) != 0 ||
          !nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_HOOKNUM) ||
          nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM) != NF_INET_FORWARD) {
        continue;
      }
      const std::string table = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE);
      const std::string own = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME);
      const Fate fate = FateIn(rules, table, own);
      const bool by_policy =
          fate == Fate::kGoesOn && nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_POLICY) == NF_DROP;
      if (fate == Fate::kDropped || by_policy) drops.push_back({name, table, own});
    }
  }
  return drops;
}

StatusOr<uint32_t> Nftables::Generation() {
  NetlinkBatch batch;
  PutNfHeader(batch.Add(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, NLM_F_ACK,
                        "get nftables generation", ""),
              AF_UNSPEC, 0);
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> replies, socket_.Exchange(batch));
  for (const std::string& reply : replies) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
    for (const nlattr* attribute : Attributes(header, sizeof(nfgenmsg))) {
      if (mnl_attr_get_type(attribute) == NFTA_GEN_ID) return ntohl(mnl_attr_get_u32(attribute));
    }
  }
  return core::Internal("nftables sent no generation");
}

}  // namespace minibox::kernel
