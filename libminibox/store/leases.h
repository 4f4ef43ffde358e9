// SPDX-License-Identifier: Apache-2.0
// leases/: what a running operation protects from collection (spec §10.2). On disk before
// the first resource.
//
//   MBX_ASSIGN_OR_RETURN(Lease lease, leases.Acquire("load"));
//   MBX_RETURN_IF_ERROR(lease.AddBlob(digest));
//   if (blobs.Exists(digest)) …   // looked for after it was leased: it stays
//
// A leased manifest protects its config, its layers and their trees too; a leased snapshot its
// parents and its base.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "minibox/types.h"
#include "store/data_root.h"

namespace minibox::store {

// What one lease, or all of them, protect.
struct LeaseItems {
  std::set<std::string> blobs{};      // "sha256:…"
  std::set<std::string> layers{};     // "sha256:…", by diff id
  std::set<std::string> snapshots{};  // cache keys
  std::set<std::string> caches{};     // ids of cache mounts
  std::set<std::string> volumes{};    // names, against a prune of volumes

  LeaseItems& Blob(const Digest& digest);
  LeaseItems& Layer(const Digest& diff_id);
};

// Removed by the destructor, unless it is kept (see Leases::Acquire). Methods are thread-safe.
class Lease {
 public:
  Lease(Lease&&) noexcept;
  Lease& operator=(Lease&&) = delete;
  ~Lease();
  // Durable before return, and not while garbage is being taken away. Adding something twice is
  // fine.
  Status AddBlob(const Digest& digest);
  Status AddLayer(const Digest& diff_id);
  Status AddSnapshot(std::string_view key);
  Status AddCache(std::string_view id);
  // All of them in one write.
  Status Add(const LeaseItems& items);
  // The operation has succeeded: what was fetched is registered and need not be kept for another
  // attempt.
  void Complete();

 private:
  friend class Leases;
  struct Impl;
  explicit Lease(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class Leases {
 public:
  explicit Leases(std::shared_ptr<DataRoot> root) : root_(std::move(root)) {}
  // `operation` names it for people: "build", "load", "container 1a2b3c4d". With `keep` the lease
  // outlives an operation that fails and a process that dies by that time, counted from the last
  // addition: what it protects is there for the next attempt.
  StatusOr<Lease> Acquire(std::string_view operation, const LeaseItems& items = {},
                          std::chrono::seconds keep = {}) const;
  // What all leases protect, those of dead owners that were not swept yet included. kDataLoss if
  // that of a living one cannot be read: then nobody knows.
  StatusOr<LeaseItems> Read() const;
  // Removes the leases whose owner is gone and that are not kept. The owner holds a lock beside
  // the record for as long as it lives, which is what counts: it renews the lease, and holds
  // across pid namespaces. Pid, start time and boot id in the record are for people and for other
  // tools. Returns how many there were; `dry_run` only counts them.
  StatusOr<int> Sweep(bool dry_run = false) const;

 private:
  std::shared_ptr<DataRoot> root_;
};

}  // namespace minibox::store
