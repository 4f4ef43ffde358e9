// SPDX-License-Identifier: Apache-2.0
// The name server of a network: a process of minibox-init that outlives this one, and the file
// that tells it the names (init/dns_records.h).
//
//   container ──:53──> DNAT ──> gateway:<port>  minibox-dns  <──inotify── dns/<bridge>
#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/fd.h"
#include "minibox/status.h"
#include "network/state.h"

namespace minibox::network {

// What the file of `network` says, without names if nobody serves it.
std::string FormatDnsRecords(const State& state, const NetworkRecord& network);

class Resolvers {
 public:
  // `dir`: of the record files, borrowed.
  explicit Resolvers(int dir) : dir_(dir) {}

  static bool IsServing(const NetworkRecord& network);
  // Starts it on the gateway's address and notes it in `network`. It serves nothing before
  // Publish. `resolv_conf`: the host's.
  Status Start(const std::string& resolv_conf, NetworkRecord* network) ABSL_LOCKS_EXCLUDED(mutex_);
  // Replaces the file of records: whatever is asked from now on is answered by it.
  Status Publish(const State& state, const NetworkRecord& network) const;
  // Removes the file, and waits until the process is gone.
  Status Stop(NetworkRecord* network) const;

 private:
  const int dir_;
  absl::Mutex mutex_;
  core::Fd image_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace minibox::network
