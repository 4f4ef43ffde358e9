// SPDX-License-Identifier: Apache-2.0
// What keeps collection and protection apart (spec §10.3). A lease is written with the lock
// shared; garbage is marked again and renamed aside with it held alone. So whoever has added an
// object to a lease and *then* finds it there will keep it.
//
// The locks are flocks on the directories leases/ and blobs/ themselves; they die with their
// holder. Order, where more are held: store.lock, then this one.
#pragma once

#include "core/fd.h"
#include "minibox/status.h"
#include "store/data_root.h"

namespace minibox::store {

class CollectionLock {
 public:
  static StatusOr<CollectionLock> Share(const DataRoot& root);
  static StatusOr<CollectionLock> HoldAlone(const DataRoot& root);

 private:
  CollectionLock(core::Fd gate, core::Fd lock) : gate_(std::move(gate)), lock_(std::move(lock)) {}
  // Held by whoever wants the lock alone, so that those who share it do not keep it for ever.
  core::Fd gate_;
  core::Fd lock_;
};

}  // namespace minibox::store
