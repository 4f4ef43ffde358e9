// SPDX-License-Identifier: Apache-2.0
// Store::Prune (spec §10.3): what there is is listed, then what is needed is marked, both without
// a lock; with the store's lock what changed meanwhile is marked again and the rest is renamed
// into an operation's directory; it is deleted with no lock held. What appears after the listing
// is no candidate, whatever it is.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/collection_lock.h"
#include "store/disk_usage.h"
#include "store/layout.h"
#include "store/marker.h"
#include "store/partial_blobs.h"
#include "store/store_impl.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr size_t kHexDigits = 64;
// Of older versions (spec §6.3).
constexpr std::array<std::string_view, 2> kOldDirectories = {"base_layers", "images"};

bool IsHexName(std::string_view name) {
  return name.size() == kHexDigits &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

enum class Kind { kBlob, kLayer, kCache, kTemporary };

// Something that may be garbage: one or two entries of the data root that go together.
struct Candidate {
  Kind kind = Kind::kBlob;
  std::string name{};                // what the marks know it by; empty: nothing can need it
  std::vector<std::string> paths{};  // in the order in which they are taken away
  bool snapshot = false;             // else, of Kind::kCache, a cache mount
};

class Collector {
 public:
  Collector(std::shared_ptr<store::DataRoot> root, const PruneOptions& options,
            std::stop_token stop)
      : root_(root),
        references_(root),
        leases_(root),
        snapshots_(root),
        options_(options),
        stop_(std::move(stop)),
        marker_(root, !options.build_cache) {}

  StatusOr<PruneReport> Run() {
    report_.dry_run = options_.dry_run;
    MBX_RETURN_IF_ERROR(SweepTemporary());
    MBX_RETURN_IF_ERROR(ListCandidates());
    MBX_RETURN_IF_ERROR(marker_.MarkRoots());
    MBX_RETURN_IF_ERROR(CheckStop());
    ChooseCache();
    if (options_.dry_run) {
      DropMarked();
      report_.blobs_removed += marker_.useless_entries().size();
      for (const Candidate& candidate : candidates_) Measure(candidate, root_->dir());
    } else {
      MBX_RETURN_IF_ERROR(TakeAway());
    }
    report_.bytes_freed += usage_.total();
    if (!options_.dry_run) {
      root_->events().Emit("image.prune", "",
                           {{"blobs_removed", std::to_string(report_.blobs_removed)},
                            {"bytes_freed", std::to_string(report_.bytes_freed)}});
    }
    return report_;
  }

 private:
  const core::RootDir& dir() const { return root_->dir(); }

  Status CheckStop() const { return stop_.stop_requested() ? core::Cancelled("prune") : Status(); }

  Status SweepTemporary() {
    MBX_ASSIGN_OR_RETURN(const store::Swept swept, root_->SweepTemporary(options_.dry_run));
    report_.temp_removed += swept.count;
    report_.bytes_freed += swept.bytes;
    MBX_ASSIGN_OR_RETURN(const int leases, leases_.Sweep(options_.dry_run));
    MBX_ASSIGN_OR_RETURN(const int partial, store::PartialBlobs(root_).Sweep(
                                                store::PartialBlobs::kKept, options_.dry_run));
    report_.temp_removed += static_cast<uint64_t>(leases) + static_cast<uint64_t>(partial);
    return {};
  }

  Status ListCandidates() {
    MBX_ASSIGN_OR_RETURN(const auto blobs, dir().List(store::kBlobs256));
    for (const std::string& name : blobs) Add(Kind::kBlob, store::kBlobs256, name);
    MBX_ASSIGN_OR_RETURN(const auto trees, dir().List(store::kExtracted));
    for (const std::string& name : trees) {
      const std::string path = core::StrCat(store::kExtracted, "/", name);
      const auto st = dir().LStat(path);
      if (!st.ok()) continue;
      // Older versions had links here.
      const bool tree = S_ISDIR(st->st_mode) && IsHexName(name);
      Add(tree ? Kind::kLayer : Kind::kTemporary, store::kExtracted, name);
    }
    for (const std::string_view name : kOldDirectories) {
      if (dir().Exists(name)) {
        candidates_.push_back({.kind = Kind::kTemporary, .paths = {std::string(name)}});
      }
    }
    return ListCache();
  }

  void Add(Kind kind, std::string_view directory, const std::string& name) {
    candidates_.push_back({.kind = kind,
                           .name = IsHexName(name) && kind != Kind::kTemporary ? name : "",
                           .paths = {core::StrCat(directory, "/", name)}});
  }

  // Snapshots, and halves of them that nobody is publishing.
  Status ListCache() {
    MBX_ASSIGN_OR_RETURN(const auto names, dir().List(store::kLayers));
    std::map<std::string, int> halves;  // 1: record, 2: tree
    for (std::string name : names) {
      if (!core::NameReplacedBy(name).empty()) continue;
      int half = 2;
      if (name.ends_with(store::kRecordSuffix)) {
        name.resize(name.size() - store::kRecordSuffix.size());
        half = 1;
      }
      halves[name] |= half;
    }
    for (const auto& [name, found] : halves) {
      const std::string tree = core::StrCat(store::kLayers, "/", name);
      const std::string record = tree + std::string(store::kRecordSuffix);
      if (found == 3) {
        // Without the record first it would look whole.
        if (options_.build_cache && IsHexName(name)) {
          candidates_.push_back(
              {.kind = Kind::kCache, .name = name, .paths = {record, tree}, .snapshot = true});
        }
        continue;
      }
      if (IsHexName(name)) {
        const auto lock = root_->TryLockKey(core::StrCat(store::kSnapshotLock, name));
        if (!lock.ok() || !lock->has_value()) continue;
        if (snapshots_.Peek(name).has_value()) continue;
        // With the lock, in case it is made again: Find() would remove it too.
        if (!options_.dry_run) {
          usage_.Add(dir(), found == 1 ? record : tree);
          MBX_RETURN_IF_ERROR(dir().RemoveAll(found == 1 ? record : tree));
          ++report_.temp_removed;
          continue;
        }
      }
      candidates_.push_back({.kind = Kind::kTemporary, .paths = {found == 1 ? record : tree}});
    }
    if (!options_.build_cache) return {};
    MBX_ASSIGN_OR_RETURN(const auto mounts, dir().List(store::kCache));
    for (const std::string& name : mounts) {
      candidates_.push_back(
          {.kind = Kind::kCache, .name = name, .paths = {core::StrCat(store::kCache, "/", name)}});
    }
    return {};
  }

  bool IsMarked(const Candidate& candidate) const {
    if (candidate.name.empty()) return false;
    switch (candidate.kind) {
      case Kind::kBlob:
        return marker_.HasBlob(candidate.name);
      case Kind::kLayer:
        return marker_.HasLayer(candidate.name);
      case Kind::kCache:
        return candidate.snapshot ? marker_.HasSnapshot(candidate.name)
                                  : marker_.HasCache(candidate.name);
      case Kind::kTemporary:
        return false;
    }
    return false;
  }

  void DropMarked() {
    std::erase_if(candidates_, [&](const Candidate& candidate) { return IsMarked(candidate); });
  }

  // Of the build cache only what exceeds keep_bytes is dropped, the longest unused first. A
  // snapshot is used whenever one made from it is, and goes after those.
  void ChooseCache() {
    if (!options_.build_cache || !options_.keep_bytes.has_value()) return;
    struct Item {
      size_t index = 0;
      int64_t used = 0;  // nanoseconds
      int depth = 0;
      uint64_t bytes = 0;
    };
    std::vector<Item> items;
    std::map<std::string, size_t, std::less<>> by_key;
    std::vector<std::string> parents;
    uint64_t total = 0;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      if (candidates_[i].kind != Kind::kCache) continue;
      Item item{.index = i};
      store::DiskUsage size;
      for (const std::string& path : candidates_[i].paths) size.Add(dir(), path);
      item.bytes = size.total();
      total += item.bytes;
      if (const auto st = dir().LStat(candidates_[i].paths.front()); st.ok()) {
        item.used = int64_t{st->st_mtim.tv_sec} * 1'000'000'000 + st->st_mtim.tv_nsec;
      }
      if (candidates_[i].snapshot) by_key[candidates_[i].name] = items.size();
      const auto record =
          candidates_[i].snapshot ? snapshots_.Peek(candidates_[i].name) : std::nullopt;
      parents.push_back(record.has_value() ? record->parent : std::string());
      items.push_back(item);
    }
    // Hands each one's use to its ancestors; depths tell them apart at equal times.
    for (size_t i = 0; i < items.size(); ++i) {
      int below = 0;
      for (auto parent = by_key.find(parents[i]); parent != by_key.end();
           parent = by_key.find(parents[parent->second])) {
        Item& ancestor = items[parent->second];
        ancestor.used = std::max(ancestor.used, items[i].used);
        ancestor.depth = std::max(ancestor.depth, ++below);
        if (static_cast<size_t>(below) > items.size()) break;  // a ring cannot be, but who knows
      }
    }
    std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
      return std::pair(a.used, a.depth) < std::pair(b.used, b.depth);
    });
    std::vector<bool> keep(candidates_.size(), false);
    for (const Item& item : items) {
      if (total <= *options_.keep_bytes) {
        keep[item.index] = true;
        const Candidate& kept = candidates_[item.index];
        if (kept.snapshot) marker_.KeepSnapshot(kept.name);
      } else if (!IsMarked(candidates_[item.index])) {
        total -= std::min(total, item.bytes);
      }
    }
    size_t index = 0;
    std::erase_if(candidates_, [&](const Candidate&) { return keep[index++]; });
  }

  void Measure(const Candidate& candidate, const core::RootDir& where) {
    uint64_t bytes = 0;
    for (const std::string& path : candidate.paths) bytes += usage_.Add(where, path);
    Count(candidate.kind, bytes);
  }

  void Count(Kind kind, uint64_t bytes) {
    switch (kind) {
      case Kind::kBlob:
        ++report_.blobs_removed;
        break;
      case Kind::kLayer:
        ++report_.layers_removed;
        break;
      case Kind::kCache:
        ++report_.build_cache_removed;
        report_.build_cache_bytes_freed += bytes;
        break;
      case Kind::kTemporary:
        ++report_.temp_removed;
        break;
    }
  }

  Status TakeAway() {
    MBX_ASSIGN_OR_RETURN(const store::OperationDir aside, root_->NewOperation("prune"));
    std::vector<Candidate> taken;
    MBX_RETURN_IF_ERROR(RenameAside(aside, taken));
    MBX_FAILPOINT("prune.delete");
    for (const Candidate& candidate : taken) Measure(candidate, aside.dir());
    return {};
  }

  // The part that nobody may come in between. An error leaves what was renamed until then to be
  // deleted: it was garbage.
  Status RenameAside(const store::OperationDir& aside, std::vector<Candidate>& taken) {
    uint64_t entries = 0;
    std::optional<store::CollectionLock> alone;
    const auto mark_again = [&](std::vector<oci::Descriptor>& index) -> Status {
      MBX_ASSIGN_OR_RETURN(alone, store::CollectionLock::HoldAlone(*root_));
      MBX_RETURN_IF_ERROR(marker_.MarkRoots());
      DropMarked();
      const auto& useless = marker_.useless_entries();
      entries = std::erase_if(index, [&](const oci::Descriptor& entry) {
        return store::NormalisedName(entry).empty() &&
               std::any_of(useless.begin(), useless.end(),
                           [&](const auto& other) { return other.digest == entry.digest; });
      });
      return {};
    };
    // The index is on disk by then: an entry must not outlive what it names.
    const auto rename = [&]() -> Status {
      int number = 0;
      for (const Candidate& candidate : candidates_) {
        MBX_FAILPOINT("prune.rename");
        Candidate moved{.kind = candidate.kind};
        for (const std::string& path : candidate.paths) {
          std::string name = std::to_string(number++);
          if (renameat(dir().fd(), path.c_str(), aside.dir().fd(), name.c_str()) == 0) {
            moved.paths.push_back(std::move(name));
          } else if (errno != ENOENT) {
            return core::SysError("renameat", path);
          }
        }
        if (!moved.paths.empty()) taken.push_back(std::move(moved));
      }
      return {};
    };
    MBX_RETURN_IF_ERROR(references_.Update(mark_again, rename));
    report_.blobs_removed += entries;
    return {};
  }

  const std::shared_ptr<store::DataRoot> root_;
  const store::References references_;
  const store::Leases leases_;
  const store::Snapshots snapshots_;
  const PruneOptions& options_;
  const std::stop_token stop_;
  store::Marker marker_;
  std::vector<Candidate> candidates_;
  store::DiskUsage usage_;
  PruneReport report_;
};

}  // namespace

StatusOr<PruneReport> Store::Prune(const PruneOptions& options, std::stop_token stop) {
  return Collector(impl_->root, options, std::move(stop)).Run();
}

}  // namespace v1
}  // namespace minibox
