// SPDX-License-Identifier: Apache-2.0
// Host id ranges of running containers and build steps (spec §12.3). Range n is
// subid_base + n * subid_count; RunDir/ids/<n> is a link whose text is the owner's id, so
// taking one is atomic between processes and survives a crash, for the sweep to find.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::runtime {

struct IdRange {
  uint32_t base = 0, count = 0;
  // True if there are more containers than ranges and this one has another owner too.
  bool shared = false;
  friend bool operator==(const IdRange&, const IdRange&) = default;
};

// Thread-safe.
class IdRanges {
 public:
  // Makes RunDir/ids. kInvalidArgument if not even one range fits.
  static StatusOr<IdRanges> Open(const core::RootDir& run_dir, uint32_t base, uint32_t count);
  // The lowest free range, or the last one shared if all are taken.
  StatusOr<IdRange> Acquire(std::string_view owner) const;
  // `range`, which has another owner, gets one more and is not free before both have released it.
  // The caller sees to it that the other lives on until then.
  Status Join(std::string_view owner, const IdRange& range) const;
  // Absent is OK.
  Status Release(std::string_view owner) const;
  // Releases the ranges of owners for which `is_alive` says no.
  Status Sweep(const std::function<bool(std::string_view)>& is_alive) const;

 private:
  IdRanges(core::RootDir dir, uint32_t base, uint32_t count, uint32_t slots)
      : dir_(std::move(dir)), base_(base), count_(count), slots_(slots) {}
  core::RootDir dir_;
  uint32_t base_, count_, slots_;
};

}  // namespace minibox::runtime
