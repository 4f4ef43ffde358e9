// SPDX-License-Identifier: Apache-2.0
// The firewall of all bridge networks: nftables tables named `minibox`, that of `ip6` only as long
// as a network has IPv6, with the same chains for its addresses.
//
//   ip, ip6 guard        nobody but the host reaches 127.0.0.0/8, over any link
//           prerouting   published ports and name servers of packets that arrive: DNAT by map
//           output       published ports of the host's own connections, loopback included
//           input        a name server answers its own network only
//           forward      into a bridge only replies, published ports and neighbours; out of an
//                        internal one nothing else
//           postrouting  masquerade: out of a subnet, from loopback, hairpin
//   bridge  spoofing     a container sends only with its own MAC and IP addresses, answers only
//                        for them, and is no router
//
// What belongs to a container is only elements of maps and sets, so that neither the cost of a
// packet nor that of a start grows with the number of containers and ports. The tables are
// computed as values, from the records alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "kernel/nftables.h"
#include "minibox/status.h"
#include "network/state.h"

namespace minibox::network {

inline constexpr std::string_view kFirewallTable = "minibox";
// Group of the host's ends of container links: what the spoofing chain looks at.
inline constexpr uint32_t kContainerLinkGroup = 0x4d42;

std::vector<kernel::NftTable> PlanFirewall(const State& state);

// Thread-safe.
class Firewall {
 public:
  // Whether this host has what a firewall needs: before anything is made that one would protect.
  Status CheckSupported() ABSL_LOCKS_EXCLUDED(mutex_);
  // The tables get exactly what the records say, in one transaction.
  Status Replace(const State& state) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether all rules are there. Elements are not looked at. Costs next to nothing if nobody else
  // changed the firewall since the last call.
  StatusOr<bool> IsIntact(const State& state) ABSL_LOCKS_EXCLUDED(mutex_);
  // What to say of chains of others that drop what these networks forward: rules of ours cannot
  // undo that.
  StatusOr<std::vector<std::string>> ForeignDrops(const State& state) ABSL_LOCKS_EXCLUDED(mutex_);
  Status Delete() ABSL_LOCKS_EXCLUDED(mutex_);

  // The elements of one container; those that are there already (or gone) are fine.
  Status Add(const Lease& lease) ABSL_LOCKS_EXCLUDED(mutex_);
  Status Remove(const Lease& lease) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  StatusOr<kernel::Nftables*> Opened() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Commits elements and keeps up with the generation.
  Status CommitElements(kernel::NftTransaction& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Held during an exchange with the kernel, whose answers wait for nothing.
  absl::Mutex mutex_;
  std::optional<kernel::Nftables> nftables_ ABSL_GUARDED_BY(mutex_);
  // In which the rules were complete.
  std::optional<uint32_t> intact_generation_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace minibox::network
