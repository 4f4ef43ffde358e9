// SPDX-License-Identifier: Apache-2.0
// The first byte says whether the rest is a question or a file of records. Whatever a container
// sends, the answer is an answer to it and within the room that there is; whatever the file says,
// looking names up ends.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/check.h"
#include "init/dns_answer.h"

namespace {

using minibox::init::DnsDecision;

constexpr char kRecords[] =
    "minibox-dns 1\npid 1\nnetwork n\n"
    "container 10.9.0.2 fd00::2 p 00000001\nname web\nname a.b\n"
    "container 10.9.0.3 - - 00000002\nname web\n"
    "network m projects\ncontainer 10.9.1.2 - p 00000001\nname web\n";

void Ask(const minibox::init::DnsRecords& records, const uint8_t* message, size_t size) {
  const uint8_t ip[] = {10, 9, 0, 2};
  for (const bool udp : {true, false}) {
    std::vector<uint8_t> out(udp ? minibox::init::kMaxDnsQuery + minibox::init::kLargestUdpAnswer
                                 : 65535);
    minibox::init::DnsQuery query;
    const DnsDecision decision = DecideDns(records, records.FindByIp(ip), message, size, udp, 1,
                                           &query, out.data(), out.size());
    if (decision.kind != DnsDecision::Kind::kAnswer) continue;
    MBX_CHECK(decision.size >= minibox::init::kDnsHeaderBytes && decision.size <= out.size());
    MBX_CHECK(out[0] == message[0] && out[1] == message[1] && (out[2] & 0x80) != 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool question = (data[0] & 1) == 0;
  std::string text = question ? std::string(kRecords)
                              : std::string(reinterpret_cast<const char*>(data + 1), size - 1);
  minibox::init::DnsRecords records;
  (void)records.Parse(text.data(), text.size());
  if (question) {
    // No more than a server takes.
    const size_t most = minibox::init::kMaxDnsQuery;
    Ask(records, data + 1, size - 1 < most ? size - 1 : most);
  } else {
    const uint8_t web[] = {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'e', 'b', 0, 0, 1, 0, 1};
    Ask(records, web, sizeof web);
  }
  return 0;
}
