// SPDX-License-Identifier: Apache-2.0
// From a question to what is done with it. Compiled by both worlds: no sockets here.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "init/dns_message.h"
#include "init/dns_records.h"

namespace minibox::init {

struct DnsDecision {
  enum class Kind {
    kAnswer,   // `size` bytes of `out`
    kForward,  // the message as it is
    kIgnore,
  };
  Kind kind;
  size_t size;
};

// `limit`: room in `out`, at least kMaxDnsQuery and kLargestUdpAnswer; of UDP no more is used than
// the sender takes. `turn`: counts questions, so that several addresses take turns. `query` is
// filled in unless the decision is kIgnore.
DnsDecision DecideDns(const DnsRecords& records, const DnsContainer* asker, const uint8_t* message,
                      size_t size, bool udp, uint32_t turn, DnsQuery* query, uint8_t* out,
                      size_t limit);

}  // namespace minibox::init
