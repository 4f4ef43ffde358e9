// SPDX-License-Identifier: Apache-2.0
#include "init/dns_message.h"

#include <string.h>

namespace minibox::init {
namespace {

constexpr size_t kMaxLabel = 63;
constexpr uint16_t kMaxAdditional = 16;
constexpr size_t kOptBytes = 11;
constexpr uint8_t kResponse = 0x80, kOpcode = 0x78, kRecursionDesired = 1;
constexpr uint8_t kAuthoritative = 4, kTruncated = 2, kRecursionAvailable = 0x80;

uint16_t Get16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }

char Lower(uint8_t c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); }

// The name at *at of a question, which has no pointers. False if it is malformed.
bool ReadName(const uint8_t* message, size_t size, size_t* at, char* name) {
  size_t length = 0;
  bool ordinary = true;
  while (true) {
    if (*at >= size) return false;
    const uint8_t label = message[(*at)++];
    if (label == 0) break;
    if (label > kMaxLabel || label > size - *at) return false;
    if (length != 0) name[length++] = '.';
    if (length + label > kMaxDnsName - 1) return false;
    for (uint8_t i = 0; i < label; ++i) {
      const uint8_t c = message[(*at)++];
      ordinary &= c > ' ' && c != '.' && c != 0x7f;
      name[length++] = Lower(c);
    }
  }
  name[ordinary ? length : 0] = '\0';
  return true;
}

// Past a name that may end in a pointer.
bool SkipName(const uint8_t* message, size_t size, size_t* at) {
  while (true) {
    if (*at >= size) return false;
    const uint8_t label = message[(*at)++];
    if (label == 0) return true;
    if (label >= 0xc0) return (*at)++ < size;
    if (label > kMaxLabel || label > size - *at) return false;
    *at += label;
  }
}

// The OPT record among the additional ones.
bool ReadAdditional(const uint8_t* message, size_t size, size_t at, DnsQuery* query) {
  // Queries have no answers; what claims to is passed over no further.
  if (Get16(message + 6) != 0 || Get16(message + 8) != 0) return true;
  const uint16_t count = Get16(message + 10);
  if (count > kMaxAdditional) return false;
  for (uint16_t i = 0; i < count; ++i) {
    if (!SkipName(message, size, &at) || size - at < 10) return false;
    const uint16_t type = Get16(message + at), cls = Get16(message + at + 2);
    const uint16_t length = Get16(message + at + 8);
    at += 10;
    if (length > size - at) return false;
    at += length;
    if (type != kDnsOpt) continue;
    if (query->edns) return false;  // RFC 6891: one at most
    query->edns = true;
    if (cls > kPlainUdpAnswer) query->udp_size = cls;
  }
  return true;
}

}  // namespace

DnsParse ParseDnsQuery(const uint8_t* message, size_t size, DnsQuery* query, DnsCode* code) {
  if (size < kDnsHeaderBytes || (message[2] & kResponse) != 0) return DnsParse::kIgnore;
  query->id = Get16(message);
  query->recursion_desired = (message[2] & kRecursionDesired) != 0;
  query->edns = false;
  query->udp_size = kPlainUdpAnswer;
  *code = kDnsNotImplemented;
  if ((message[2] & kOpcode) != 0) return DnsParse::kReject;
  *code = kDnsFormatError;
  if (Get16(message + 4) != 1) return DnsParse::kReject;
  size_t at = kDnsHeaderBytes;
  if (!ReadName(message, size, &at, query->name) || size - at < 4) return DnsParse::kReject;
  query->type = Get16(message + at);
  query->cls = Get16(message + at + 2);
  query->question_end = static_cast<uint32_t>(at + 4);
  return ReadAdditional(message, size, at + 4, query) ? DnsParse::kQuery : DnsParse::kReject;
}

bool IsReplyTo(const uint8_t* reply, size_t size, const uint8_t* query_message, size_t question_end,
               uint16_t id) {
  if (size < question_end || size < kDnsHeaderBytes || Get16(reply) != id ||
      (reply[2] & kResponse) == 0 || Get16(reply + 4) != 1) {
    return false;
  }
  // Names may come back in another case; lengths of labels are below 'A'.
  for (size_t i = kDnsHeaderBytes; i < question_end; ++i) {
    if (Lower(reply[i]) != Lower(query_message[i])) return false;
  }
  return true;
}

DnsAnswer::DnsAnswer(const uint8_t* message, const DnsQuery& query, uint8_t* out, size_t limit)
    : query_(query), out_(out), limit_(limit - (query.edns ? kOptBytes : 0)) {
  memcpy(out_, message, query.question_end);
  memset(out_ + 6, 0, 6);  // counts but that of questions
  size_ = query.question_end;
}

void DnsAnswer::Put16(uint16_t value) {
  out_[size_++] = static_cast<uint8_t>(value >> 8);
  out_[size_++] = static_cast<uint8_t>(value);
}

void DnsAnswer::Put32(uint32_t value) {
  Put16(static_cast<uint16_t>(value >> 16));
  Put16(static_cast<uint16_t>(value));
}

bool DnsAnswer::Add(uint16_t type, const uint8_t* data, uint16_t size) {
  constexpr size_t kRecordBytes = 12;
  if (kRecordBytes + size > limit_ - size_) {
    cut_ = true;
    return false;
  }
  Put16(0xc000 | kDnsHeaderBytes);  // the name in the question
  Put16(type);
  Put16(kDnsClassIn);
  Put32(kDnsTtl);
  Put16(size);
  memcpy(out_ + size_, data, size);
  size_ += size;
  ++answers_;
  return true;
}

bool DnsAnswer::AddAddress(uint16_t type, const uint8_t* bytes, uint16_t size) {
  return Add(type, bytes, size);
}

bool DnsAnswer::AddPointer(const char* name) {
  uint8_t data[kMaxDnsName + 2];
  size_t size = 0;
  while (*name != '\0') {
    const char* end = strchr(name, '.');
    const size_t length = end == nullptr ? strlen(name) : static_cast<size_t>(end - name);
    if (length == 0 || length > kMaxLabel || size + length + 2 > sizeof data) return false;
    data[size++] = static_cast<uint8_t>(length);
    memcpy(data + size, name, length);
    size += length;
    name += length + (end == nullptr ? 0 : 1);
  }
  data[size++] = 0;
  return Add(kDnsPtr, data, static_cast<uint16_t>(size));
}

size_t DnsAnswer::Finish(DnsCode code) {
  out_[2] = static_cast<uint8_t>(kResponse | (code == kDnsNoError ? kAuthoritative : 0) |
                                 (cut_ ? kTruncated : 0) |
                                 (query_.recursion_desired ? kRecursionDesired : 0));
  out_[3] = static_cast<uint8_t>(kRecursionAvailable | code);
  out_[6] = static_cast<uint8_t>(answers_ >> 8);
  out_[7] = static_cast<uint8_t>(answers_);
  if (query_.edns) {
    out_[11] = 1;
    out_[size_++] = 0;  // the root
    Put16(kDnsOpt);
    Put16(kLargestUdpAnswer);
    Put32(0);  // version 0, no flags
    Put16(0);
  }
  return size_;
}

size_t RejectDns(const uint8_t* message, size_t size, DnsCode code, uint8_t* out) {
  if (size < kDnsHeaderBytes) return 0;
  memset(out, 0, kDnsHeaderBytes);
  out[0] = message[0];
  out[1] = message[1];
  out[2] = static_cast<uint8_t>(kResponse | (message[2] & (kOpcode | kRecursionDesired)));
  out[3] = static_cast<uint8_t>(kRecursionAvailable | code);
  return kDnsHeaderBytes;
}

}  // namespace minibox::init
