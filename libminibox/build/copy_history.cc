// SPDX-License-Identifier: Apache-2.0
#include "build/copy_history.h"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "build/paths.h"

namespace minibox::build {
namespace {

bool SameEntry(const KeyEntry& a, const KeyEntry& b) {
  return a.type == b.type && a.mode == b.mode && a.size == b.size && a.device == b.device &&
         a.content == b.content && a.link == b.link && a.capability == b.capability &&
         a.owner == b.owner;
}

bool HasLinks(const CopyMatch& match) {
  return std::any_of(match.entries.begin(), match.entries.end(), [](const CopyEntry& entry) {
    return entry.first_name >= 0 || (S_ISREG(entry.st.st_mode) && entry.st.st_nlink > 1);
  });
}

}  // namespace

std::shared_ptr<const CopyHistory::Known> CopyHistory::Find(std::string_view shape) const {
  absl::MutexLock lock(&mutex_);
  for (const Shape& known : shapes_) {
    if (known.name == shape) return known.known;
  }
  return nullptr;
}

void CopyHistory::Remember(std::string_view shape, std::string_view key,
                           std::vector<KeyEntry> entries) {
  absl::MutexLock lock(&mutex_);
  const auto old = std::find_if(shapes_.begin(), shapes_.end(),
                                [&](const Shape& known) { return known.name == shape; });
  if (old != shapes_.end() && old->known->key == key) {
    shapes_.splice(shapes_.begin(), shapes_, old);
    return;
  }
  if (old != shapes_.end()) shapes_.erase(old);
  if (entries.size() > kMaxEntries) return;
  shapes_.push_front({std::string(shape),
                      std::make_shared<const Known>(Known{std::string(key), std::move(entries)})});
  size_t total = 0, kept = 0;
  auto next = shapes_.begin();
  for (; next != shapes_.end() && kept < kMaxShapes; ++next, ++kept) {
    total += next->known->entries.size();
    if (total > kMaxEntries) break;
  }
  shapes_.erase(next, shapes_.end());
}

std::optional<CopyPlan> PlanDifference(const CopyPlan& plan, const std::vector<KeyEntry>& now,
                                       const std::vector<KeyEntry>& before,
                                       std::string_view destination, const core::RootDir& below) {
  if (plan.matches.size() != 1 || !plan.matches.front().directory) return std::nullopt;
  const CopyMatch& match = plan.matches.front();
  // The first is no entry but says how many follow.
  if (now.size() != match.entries.size() + 1 || before.size() < 2) return std::nullopt;
  const bool had_links = std::any_of(before.begin(), before.end(), [](const KeyEntry& entry) {
    return S_ISREG(entry.type) && !entry.link.empty();
  });
  if (had_links || HasLinks(match)) return std::nullopt;
  std::unordered_map<std::string_view, const KeyEntry*> old;
  for (size_t i = 1; i < before.size(); ++i) old.emplace(before[i].target, &before[i]);
  if (old.size() != before.size() - 1) return std::nullopt;

  CopyPlan difference;
  difference.notes = plan.notes;
  CopyMatch& changed = difference.matches.emplace_back();
  changed.name = match.name;
  changed.directory = true;
  size_t found = 0;
  for (size_t i = 0; i < match.entries.size(); ++i) {
    const KeyEntry& entry = now[i + 1];
    const auto known = old.find(entry.target);
    const bool is_new = known == old.end();
    if (!is_new) ++found;
    const bool differs = is_new || !SameEntry(*known->second, entry);
    if (i == 0) {
      // The destination itself, which is there already.
      if (differs || !entry.target.empty()) return std::nullopt;
      changed.entries.push_back(match.entries[i]);
      continue;
    }
    if (!differs) continue;
    if (!is_new) {
      if (known->second->type != entry.type) return std::nullopt;
      if (below.Exists(JoinPath(destination, entry.target))) return std::nullopt;
    }
    changed.entries.push_back(match.entries[i]);
  }
  // Nothing may have gone.
  if (found != old.size()) return std::nullopt;
  return difference;
}

}  // namespace minibox::build
