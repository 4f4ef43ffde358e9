// SPDX-License-Identifier: Apache-2.0
#include "init/dns_answer.h"

#include <string.h>

namespace minibox::init {
namespace {

constexpr size_t kOptRoom = 11;

// "4.3.2.1.in-addr.arpa"
bool ParseReverse(const char* name, uint8_t* ip) {
  for (int part = 3; part >= 0; --part) {
    uint32_t value = 0;
    int digits = 0;
    for (; *name >= '0' && *name <= '9'; ++name) {
      value = value * 10 + static_cast<uint32_t>(*name - '0');
      if (++digits > 3) return false;
    }
    if (digits == 0 || value > 255 || *name++ != '.') return false;
    ip[part] = static_cast<uint8_t>(value);
  }
  return strcmp(name, "in-addr.arpa") == 0;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// "…x.y.ip6.arpa": 32 digits, the last first
bool ParseReverse6(const char* name, uint8_t* ip) {
  memset(ip, 0, 16);
  for (int i = 31; i >= 0; --i) {
    const int digit = HexDigit(*name);
    if (digit < 0 || name[1] != '.') return false;
    ip[i / 2] = static_cast<uint8_t>(ip[i / 2] | digit << (i % 2 == 0 ? 4 : 0));
    name += 2;
  }
  return strcmp(name, "ip6.arpa") == 0;
}

const DnsContainer* FindReverse(const DnsRecords& records, const char* name) {
  uint8_t ip[16];
  if (ParseReverse(name, ip)) return records.FindByIp(ip);
  if (ParseReverse6(name, ip)) return records.FindByIp6(ip);
  return nullptr;
}

// The addresses from the `skip`-th on, around.
void AddAddresses(const DnsRecords& records, const DnsContainer* asker, const DnsQuery& query,
                  uint32_t turn, DnsAnswer& answer) {
  const bool wants_ip6 = query.type == kDnsAaaa;
  uint32_t count = 0;
  records.ForEach(query.name, asker,
                  [&](const DnsContainer& container) { count += !wants_ip6 || container.has_ip6; });
  if (count == 0) return;
  const uint32_t skip = turn % count;
  for (int round = 0; round < 2; ++round) {
    uint32_t index = 0;
    records.ForEach(query.name, asker, [&](const DnsContainer& container) {
      if (wants_ip6 && !container.has_ip6) return;
      const bool late = index++ < skip;
      if (late != (round == 1)) return;
      (void)(wants_ip6 ? answer.AddAddress(kDnsAaaa, container.ip6, sizeof container.ip6)
                       : answer.AddAddress(kDnsA, container.ip, sizeof container.ip));
    });
  }
}

}  // namespace

DnsDecision DecideDns(const DnsRecords& records, const DnsContainer* asker, const uint8_t* message,
                      size_t size, bool udp, uint32_t turn, DnsQuery* query, uint8_t* out,
                      size_t limit) {
  using Kind = DnsDecision::Kind;
  DnsCode code;
  switch (ParseDnsQuery(message, size, query, &code)) {
    case DnsParse::kIgnore:
      return {Kind::kIgnore, 0};
    case DnsParse::kReject:
      return {Kind::kAnswer, RejectDns(message, size, code, out)};
    case DnsParse::kQuery:
      break;
  }
  size_t room = limit;
  if (udp && query->udp_size < room) room = query->udp_size;
  if (udp && room > kLargestUdpAnswer) room = kLargestUdpAnswer;
  // Never too small for the question itself, which came in no more bytes.
  if (room < query->question_end + kOptRoom) room = query->question_end + kOptRoom;

  if (query->cls == kDnsClassIn && query->name[0] != '\0') {
    const DnsContainer* const reverse = FindReverse(records, query->name);
    const bool known_address = reverse != nullptr && records.Sees(asker, *reverse);
    if (known_address || records.ForEach(query->name, asker, [](const DnsContainer&) {})) {
      DnsAnswer answer(message, *query, out, room);
      if (known_address && query->type == kDnsPtr) {
        (void)answer.AddPointer(reverse->name);
      } else if (query->type == kDnsA || query->type == kDnsAaaa) {
        AddAddresses(records, asker, *query, turn, answer);
      }
      return {Kind::kAnswer, answer.Finish(kDnsNoError)};
    }
  }
  if (!records.internal()) return {Kind::kForward, 0};
  DnsAnswer answer(message, *query, out, room);
  return {Kind::kAnswer, answer.Finish(kDnsRefused)};
}

}  // namespace minibox::init
