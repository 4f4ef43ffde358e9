// SPDX-License-Identifier: Apache-2.0
// DNS messages (RFC 1035, EDNS of RFC 6891): what a question says, and the answers that are made
// here. Everything else is passed on as the bytes that it is. Compiled by both worlds.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace minibox::init {

inline constexpr size_t kDnsHeaderBytes = 12;
inline constexpr size_t kMaxDnsName = 255;         // as text, with the dots between its labels
inline constexpr size_t kMaxDnsQuery = 4096;       // longer ones are malformed
inline constexpr size_t kPlainUdpAnswer = 512;     // without EDNS
inline constexpr size_t kLargestUdpAnswer = 1232;  // that we offer: fits any path unfragmented
inline constexpr uint32_t kDnsTtl = 5;

enum DnsType : uint16_t { kDnsA = 1, kDnsPtr = 12, kDnsAaaa = 28, kDnsOpt = 41 };
inline constexpr uint16_t kDnsClassIn = 1;
enum DnsCode : uint8_t {
  kDnsNoError = 0,
  kDnsFormatError = 1,
  kDnsServerFailure = 2,
  kDnsNotImplemented = 4,
  kDnsRefused = 5,
};

struct DnsQuery {
  uint16_t id;
  bool recursion_desired;
  // Lower case, without the root's dot. Empty for the root, and for names that no host has: with
  // a dot or a control character in a label.
  char name[kMaxDnsName + 1];
  uint16_t type, cls;
  uint32_t question_end;  // where the question ends in the message
  bool edns;
  uint16_t udp_size;  // that the sender takes, at least 512
};

enum class DnsParse { kQuery, kIgnore, kReject };
// kReject: not a question that can be answered; *code and the id say what to send. kIgnore: not
// even that, such as an answer.
DnsParse ParseDnsQuery(const uint8_t* message, size_t size, DnsQuery* query, DnsCode* code);

// Whether `reply` is an answer to the question of `query_message`: the same id, the same question.
bool IsReplyTo(const uint8_t* reply, size_t size, const uint8_t* query_message, size_t question_end,
               uint16_t id);
inline bool DnsTruncated(const uint8_t* reply) { return (reply[2] & 2) != 0; }
inline uint8_t DnsCodeOf(const uint8_t* reply) { return reply[3] & 15; }
inline void SetDnsId(uint8_t* message, uint16_t id) {
  message[0] = static_cast<uint8_t>(id >> 8);
  message[1] = static_cast<uint8_t>(id);
}

// Writes an answer into a buffer. What does not fit sets the truncation bit.
class DnsAnswer {
 public:
  // `message` is the query's; `out` has at least `limit` bytes, `limit` at least
  // kDnsHeaderBytes + the question + 11.
  DnsAnswer(const uint8_t* message, const DnsQuery& query, uint8_t* out, size_t limit);
  // Each false if there is no room for it.
  bool AddAddress(uint16_t type, const uint8_t* bytes, uint16_t size);
  bool AddPointer(const char* name);
  // The finished size.
  size_t Finish(DnsCode code);

 private:
  bool Add(uint16_t type, const uint8_t* data, uint16_t size);
  void Put16(uint16_t value);
  void Put32(uint32_t value);

  const DnsQuery& query_;
  uint8_t* const out_;
  size_t limit_, size_ = 0;
  uint16_t answers_ = 0;
  bool cut_ = false;
};

// An answer to what could not be parsed: only the header. 0 if there is not even an id.
size_t RejectDns(const uint8_t* message, size_t size, DnsCode code, uint8_t* out);

}  // namespace minibox::init
