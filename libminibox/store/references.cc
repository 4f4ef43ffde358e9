// SPDX-License-Identifier: Apache-2.0
#include "store/references.h"

#include <algorithm>
#include <cerrno>

#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

// What oci::ParseIndex takes back.
constexpr size_t kMaxIndexBytes = 4u << 20;
constexpr size_t kMaxEntries = 10'000;

bool HasEntry(const std::vector<oci::Descriptor>& entries, const Digest& digest) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const oci::Descriptor& entry) { return entry.digest == digest; });
}

bool SamePlatform(const std::optional<Platform>& a, const std::optional<Platform>& b) {
  if (!a.has_value() || !b.has_value()) return a.has_value() == b.has_value();
  return a->os == b->os && a->architecture == b->architecture && a->variant == b->variant;
}

bool SameEntry(const oci::Descriptor& a, const oci::Descriptor& b) {
  return a.digest == b.digest && a.size == b.size && a.media_type == b.media_type &&
         a.annotations == b.annotations && SamePlatform(a.platform, b.platform);
}

}  // namespace

std::string_view AnnotationOf(const oci::Descriptor& entry, std::string_view key) {
  const auto found = entry.annotations.find(std::string(key));
  return found == entry.annotations.end() ? std::string_view() : found->second;
}

std::string NormalisedName(const oci::Descriptor& entry) {
  // Of other tools' entries either may be missing, and neither need be a name in our sense
  // (a bare tag, a title).
  for (const std::string_view key : {kImageName, kRefName}) {
    const std::string_view text = AnnotationOf(entry, key);
    if (text.empty()) continue;
    if (const auto ref = ImageRef::Parse(text); ref.ok()) return ref->ToString();
  }
  return "";
}

std::string ShownName(const oci::Descriptor& entry) {
  const auto found = entry.annotations.find(std::string(kRefName));
  if (found != entry.annotations.end() && ImageRef::Parse(found->second).ok()) {
    return found->second;
  }
  const auto ref = ImageRef::Parse(NormalisedName(entry));
  return ref.ok() ? ref->Shown() : "";
}

void SetNames(std::vector<oci::Descriptor>& entries, const oci::Descriptor& manifest,
              const std::vector<ImageRef>& names) {
  oci::Descriptor nameless = manifest;
  nameless.annotations.erase(std::string(kRefName));
  nameless.annotations.erase(std::string(kImageName));
  if (names.empty()) {
    if (!HasEntry(entries, manifest.digest)) entries.push_back(std::move(nameless));
    return;
  }
  std::vector<oci::Descriptor> replaced;
  for (const ImageRef& name : names) {
    oci::Descriptor entry = nameless;
    entry.annotations[std::string(kRefName)] = name.Shown();
    entry.annotations[std::string(kImageName)] = name.ToString();
    const auto old = std::find_if(entries.begin(), entries.end(), [&](const auto& candidate) {
      return NormalisedName(candidate) == name.ToString();
    });
    if (old == entries.end()) {
      entries.push_back(std::move(entry));
    } else {
      std::swap(*old, entry);
      replaced.push_back(std::move(entry));
    }
  }
  // An entry without a name says nothing that the named one does not.
  std::erase_if(entries, [&](const oci::Descriptor& entry) {
    return entry.digest == manifest.digest && NormalisedName(entry).empty();
  });
  // An image that lost its last name stays, nameless, until it is collected.
  for (oci::Descriptor& lost : replaced) {
    if (HasEntry(entries, lost.digest)) continue;
    lost.annotations.erase(std::string(kRefName));
    lost.annotations.erase(std::string(kImageName));
    entries.push_back(std::move(lost));
  }
}

StatusOr<std::vector<oci::Descriptor>> References::List() const {
  MBX_ASSIGN_OR_RETURN(const auto entries, Shared());
  return *entries;
}

StatusOr<std::shared_ptr<const std::vector<oci::Descriptor>>> References::Shared() const {
  auto text = root_->dir().ReadFile(kIndexFile, kMaxIndexBytes);
  if (text.status().sys_errno() == ENOENT) {
    return std::make_shared<const std::vector<oci::Descriptor>>();
  }
  if (!text.ok()) return text.status();
  {
    const absl::MutexLock lock(&parsed_->mutex);
    if (parsed_->entries != nullptr && parsed_->text == *text) return parsed_->entries;
  }
  auto index = oci::ParseIndex(*text);
  if (!index.ok()) {
    return core::DataLoss(core::StrCat(kIndexFile, ": ", index.status().message()));
  }
  auto entries = std::make_shared<const std::vector<oci::Descriptor>>(std::move(index->manifests));
  const absl::MutexLock lock(&parsed_->mutex);
  parsed_->text = *std::move(text);
  parsed_->entries = entries;
  return entries;
}

Status References::Register(const oci::Descriptor& manifest,
                            const std::vector<ImageRef>& names) const {
  return Update([&](std::vector<oci::Descriptor>& entries) {
    SetNames(entries, manifest, names);
    return Status();
  });
}

Status References::Update(const std::function<Status(std::vector<oci::Descriptor>&)>& edit,
                          const std::function<Status()>& then) const {
  MBX_FAILPOINT("references.lock");
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, root_->LockStore());
  MBX_ASSIGN_OR_RETURN(const auto before, Shared());
  oci::Index index{*before};
  MBX_RETURN_IF_ERROR(edit(index.manifests));
  if (std::equal(index.manifests.begin(), index.manifests.end(), before->begin(), before->end(),
                 SameEntry)) {
    return then ? then() : Status();
  }
  const std::string after = oci::SerializeIndex(index);
  // Otherwise nobody could read it again.
  if (after.size() > kMaxIndexBytes || index.manifests.size() > kMaxEntries) {
    return core::Error(StatusCode::kResourceExhausted, "",
                       core::StrCat("more than ", kMaxEntries, " image names"));
  }
  MBX_RETURN_IF_ERROR(core::ReplaceFileAt(root_->dir().fd(), kIndexFile, after, 0644));
  return then ? then() : Status();
}

}  // namespace minibox::store
