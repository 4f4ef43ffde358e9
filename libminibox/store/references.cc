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

StatusOr<std::vector<oci::Descriptor>> ReadEntries(const DataRoot& root) {
  const auto text = root.dir().ReadFile(kIndexFile, kMaxIndexBytes);
  if (text.status().sys_errno() == ENOENT) return std::vector<oci::Descriptor>();
  if (!text.ok()) return text.status();
  auto index = oci::ParseIndex(*text);
  if (!index.ok()) {
    return core::DataLoss(core::StrCat(kIndexFile, ": ", index.status().message()));
  }
  return std::move(index->manifests);
}

bool HasEntry(const std::vector<oci::Descriptor>& entries, const Digest& digest) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const oci::Descriptor& entry) { return entry.digest == digest; });
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

StatusOr<std::vector<oci::Descriptor>> References::List() const { return ReadEntries(*root_); }

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
  oci::Index index;
  MBX_ASSIGN_OR_RETURN(index.manifests, ReadEntries(*root_));
  const std::string before = oci::SerializeIndex(index);
  MBX_RETURN_IF_ERROR(edit(index.manifests));
  const std::string after = oci::SerializeIndex(index);
  if (after == before) return then ? then() : Status();
  // Otherwise nobody could read it again.
  if (after.size() > kMaxIndexBytes || index.manifests.size() > kMaxEntries) {
    return core::Error(StatusCode::kResourceExhausted, "",
                       core::StrCat("more than ", kMaxEntries, " image names"));
  }
  MBX_RETURN_IF_ERROR(core::ReplaceFileAt(root_->dir().fd(), kIndexFile, after, 0644));
  return then ? then() : Status();
}

}  // namespace minibox::store
