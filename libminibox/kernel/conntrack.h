// SPDX-License-Identifier: Apache-2.0
// Forgetting connections that the kernel tracks, so that packets which go on are translated by
// the rules of now and not of when they began. That matters for UDP: a sender that never pauses
// keeps its old entry for ever.
#pragma once

#include <cstdint>
#include <optional>

#include "kernel/rtnetlink.h"
#include "minibox/status.h"

namespace minibox::kernel {

// What must be equal; IPv4 addresses and ports in host byte order.
struct ConntrackMatch {
  uint8_t protocol = 0;                        // IPPROTO_*
  std::optional<uint32_t> source{};            // of the first packet
  std::optional<uint32_t> destination{};       // the same, before translation
  std::optional<uint16_t> destination_port{};  // the same
  std::optional<uint32_t> reply_source{};      // who answers, after translation
  // With one of these it is about IPv6.
  std::optional<Ipv6Address> destination6{}, reply_source6{};
};

// In the network namespace of the calling thread; nothing that matches is fine. Walks the whole
// table. An error on kernels that cannot delete by filter.
Status ForgetConnections(const ConntrackMatch& match);

}  // namespace minibox::kernel
