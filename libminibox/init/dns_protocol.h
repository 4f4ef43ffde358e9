// SPDX-License-Identifier: Apache-2.0
// How the engine starts the name server of a network: minibox-init with kDnsServe instead of
// kLaunch as its first message. It answers kDnsServing or kFailed, and goes on in a process of its
// own that is nobody's child. It ends by itself when its file of records (dns_records.h) is
// removed or names another process.
#pragma once

#include <stdint.h>

namespace minibox::init {

// kDnsServe, with the descriptor of the directory of record files.
struct DnsServeMessage {
  uint8_t ip[4];           // to listen on
  uint8_t ip6[16];         // the same; all zero: none
  uint16_t port;           // if it is free; else, and with 0, any
  char records[64];        // file name in the directory
  char resolv_conf[4096];  // the host's resolver configuration
};

// kDnsServing
struct DnsServingMessage {
  int32_t pid;
  uint16_t port;  // of UDP and TCP
};

}  // namespace minibox::init
