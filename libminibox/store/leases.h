// SPDX-License-Identifier: Apache-2.0
// leases/: what a running operation protects from collection (spec §10.2). On disk before
// the first resource.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "minibox/status.h"
#include "minibox/types.h"
#include "store/data_root.h"

namespace minibox::store {

// Removed by the destructor. Methods are thread-safe.
class Lease {
 public:
  Lease(Lease&&) noexcept;
  Lease& operator=(Lease&&) = delete;
  ~Lease();
  // Durable before return. Adding something twice is fine.
  Status AddBlob(const Digest& digest);
  Status AddLayer(const Digest& diff_id);
  Status AddSnapshot(std::string_view key);

 private:
  friend class Leases;
  struct Impl;
  explicit Lease(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class Leases {
 public:
  explicit Leases(std::shared_ptr<DataRoot> root) : root_(std::move(root)) {}
  // `operation` names it for people: "build", "load", "container 1a2b3c4d".
  StatusOr<Lease> Acquire(std::string_view operation) const;
  // Removes the leases whose owner is gone. The owner holds a lock beside the record for as long
  // as it lives, which is what counts: it renews the lease, and holds across pid namespaces. Pid,
  // start time, boot id and expiry in the record are for people and for other tools.
  Status Sweep() const;

 private:
  std::shared_ptr<DataRoot> root_;
};

}  // namespace minibox::store
