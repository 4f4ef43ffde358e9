// SPDX-License-Identifier: Apache-2.0
#include "runtime/id_ranges.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "core/errors.h"
#include "core/failpoint.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

// The last id, 2^32 - 1, means "no id" to the kernel.
constexpr uint64_t kIdLimit = std::numeric_limits<uint32_t>::max();

// "<slot>" of the first owner, "<slot>-<owner>" of those who share it.
std::optional<uint64_t> SlotOf(std::string_view entry) {
  return core::ParseUint64(entry.substr(0, entry.find('-')));
}

}  // namespace

StatusOr<IdRanges> IdRanges::Open(const core::RootDir& run_dir, uint32_t base, uint32_t count) {
  if (base == 0 || count == 0 || uint64_t{base} + count > kIdLimit) {
    return core::InvalidArgument(
        "subid_base", core::StrCat("a range of ", count, " ids from ", base, " does not fit"));
  }
  MBX_RETURN_IF_ERROR(run_dir.MakeDirs("ids", 0700));
  MBX_ASSIGN_OR_RETURN(core::RootDir dir, run_dir.OpenDir("ids"));
  return IdRanges(std::move(dir), base, count, static_cast<uint32_t>((kIdLimit - base) / count));
}

StatusOr<IdRange> IdRanges::Acquire(std::string_view owner) const {
  MBX_FAILPOINT("id_ranges.acquire");
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> entries, dir_.List(""));
  std::vector<bool> taken(std::min<size_t>(entries.size() + 1, slots_));
  for (const std::string& entry : entries) {
    const auto slot = SlotOf(entry);
    if (slot && *slot < taken.size()) taken[*slot] = true;
  }
  const auto range = [&](uint32_t slot) { return IdRange{base_ + slot * count_, count_, false}; };
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    if (slot < taken.size() && taken[slot]) continue;
    const Status linked = dir_.Symlink(owner, core::StrCat(slot));
    if (linked.ok()) {
      // Its owner may have gone, and somebody who shares it come, since we looked.
      MBX_ASSIGN_OR_RETURN(const std::vector<std::string> now, dir_.List(""));
      const bool shared = std::any_of(now.begin(), now.end(), [slot](const std::string& entry) {
        return SlotOf(entry) == slot && entry != core::StrCat(slot);
      });
      if (!shared) return range(slot);
      MBX_RETURN_IF_ERROR(dir_.Unlink(core::StrCat(slot)));
      continue;
    }
    if (linked.code() != StatusCode::kAlreadyExists) return linked;
  }
  // Every range has an owner: share the last, with a mark of one's own for the sweep.
  const Status linked = dir_.Symlink(owner, core::StrCat(slots_ - 1, "-", owner));
  if (!linked.ok() && linked.code() != StatusCode::kAlreadyExists) return linked;
  IdRange shared = range(slots_ - 1);
  shared.shared = true;
  return shared;
}

Status IdRanges::Join(std::string_view owner, const IdRange& range) const {
  const uint32_t slot = (range.base - base_) / count_;
  const Status linked = dir_.Symlink(owner, core::StrCat(slot, "-", owner));
  return linked.code() == StatusCode::kAlreadyExists ? Status() : linked;
}

Status IdRanges::Release(std::string_view owner) const {
  return Sweep([owner](std::string_view other) { return other != owner; });
}

Status IdRanges::Sweep(const std::function<bool(std::string_view)>& is_alive) const {
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> entries, dir_.List(""));
  Status result;
  for (const std::string& entry : entries) {
    auto owner = dir_.ReadLink(entry);
    if (!owner.ok() || is_alive(*owner)) continue;
    const Status removed = dir_.Unlink(entry);
    if (!removed.ok() && removed.code() != StatusCode::kNotFound && result.ok()) result = removed;
  }
  return result;
}

}  // namespace minibox::runtime
