// SPDX-License-Identifier: Apache-2.0
// The image half of the public Store.
#include <algorithm>
#include <optional>
#include <thread>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/thread_pool.h"
#include "store/layout.h"
#include "store/lookup.h"
#include "store/store_impl.h"
#include "store/usage.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr size_t kDescribedAtOnce = 64;  // images by one thread
constexpr unsigned kMaxDescribers = 4;

using Entries = std::vector<oci::Descriptor>;

Status InUse(std::string_view image, const std::string& why) {
  return core::FailedPrecondition("image_in_use",
                                  core::StrCat("image '", core::EscapeControl(image), "' ", why));
}

// Takes the entries of one image, or of one name of it, out of the index; returns the names.
StatusOr<std::vector<std::string>> RemoveEntries(const store::DataRoot& root,
                                                 const store::BlobStore& blobs,
                                                 std::string_view name_or_id, bool force,
                                                 Entries& entries, std::string& removed) {
  MBX_ASSIGN_OR_RETURN(const store::Found found, store::FindImage(blobs, entries, name_or_id));
  const Digest& digest = found.entry.digest;
  removed = digest.ToString();
  const std::string name = store::NormalisedName(found.entry);
  std::vector<std::string> names;
  for (const oci::Descriptor& entry : entries) {
    const std::string shown = store::ShownName(entry);
    if (entry.digest == digest && !shown.empty()) names.push_back(shown);
  }
  const bool all = !found.by_name || names.size() <= 1;
  if (!force && !found.by_name && names.size() > 1) {
    return InUse(name_or_id, core::StrCat("has several names: ", core::StrJoin(names, ", ")));
  }
  if (!force && all) {
    MBX_ASSIGN_OR_RETURN(const auto users, store::ContainersByImage(root));
    if (const auto used = users.find(digest.ToString()); used != users.end()) {
      return InUse(name_or_id,
                   core::StrCat("is used by container ", core::StrJoin(used->second, ", ")));
    }
  }
  std::erase_if(entries, [&](const oci::Descriptor& entry) {
    return entry.digest == digest && (all || store::NormalisedName(entry) == name);
  });
  return all ? names : std::vector<std::string>{store::ShownName(found.entry)};
}

}  // namespace

StatusOr<ImageInfo> Store::GetImage(std::string_view name_or_id) const {
  MBX_ASSIGN_OR_RETURN(Impl::Image image, impl_->Resolve(name_or_id));
  MBX_ASSIGN_OR_RETURN(const auto users, store::ContainersByImage(*impl_->root));
  image.info.in_use = users.contains(image.info.manifest.ToString());
  return std::move(image.info);
}

StatusOr<std::vector<ImageInfo>> Store::ListImages() const {
  MBX_ASSIGN_OR_RETURN(const auto index, impl_->references.Shared());
  const Entries& entries = *index;
  MBX_ASSIGN_OR_RETURN(const auto users, store::ContainersByImage(*impl_->root));
  MBX_ASSIGN_OR_RETURN(const core::RootDir blobs, impl_->root->dir().OpenDir(store::kBlobs256));
  std::vector<std::optional<ImageInfo>> described(entries.size());
  const auto describe = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      auto info = impl_->Summarise(blobs, entries[i]);
      if (!info.ok()) {
        // One damaged image must not hide the others.
        core::LogWarning("store", core::StrCat(info.status().message(), ", not listed"));
        continue;
      }
      info->in_use = users.contains(info->manifest.ToString());
      described[i] = *std::move(info);
    }
  };
  if (entries.size() <= kDescribedAtOnce) {
    describe(0, entries.size());
  } else {
    // Two documents each to read and to parse: that is what takes the time.
    const unsigned cpus = std::clamp(std::thread::hardware_concurrency(), 1u, kMaxDescribers);
    core::ThreadPool pool(static_cast<int>(cpus));
    for (size_t begin = 0; begin < entries.size(); begin += kDescribedAtOnce) {
      const size_t end = std::min(begin + kDescribedAtOnce, entries.size());
      pool.Submit([&describe, begin, end] { describe(begin, end); });
    }
  }
  std::vector<ImageInfo> images;
  for (std::optional<ImageInfo>& info : described) {
    if (info.has_value()) images.push_back(*std::move(info));
  }
  std::stable_sort(images.begin(), images.end(),
                   [](const ImageInfo& a, const ImageInfo& b) { return a.name < b.name; });
  return images;
}

Status Store::TagImage(std::string_view name_or_id, std::string_view reference) {
  MBX_ASSIGN_OR_RETURN(const ImageRef ref, ImageRef::Parse(reference));
  if (!ref.digest().empty()) {
    return core::Error(StatusCode::kInvalidArgument, "invalid_reference",
                       core::StrCat("'", reference, "': a name to give takes no digest"));
  }
  // Looked up under the lock: the image may lose its entry meanwhile.
  std::string digest;
  MBX_RETURN_IF_ERROR(impl_->references.Update([&](Entries& entries) -> Status {
    MBX_ASSIGN_OR_RETURN(const store::Found found,
                         store::FindImage(impl_->blobs, entries, name_or_id));
    store::SetNames(entries, found.entry, {ref});
    digest = found.entry.digest.ToString();
    return Status();
  }));
  impl_->root->events().Emit("image.tag", digest, {{"name", ref.Shown()}});
  return Status();
}

StatusOr<std::vector<std::string>> Store::RemoveImage(std::string_view name_or_id,
                                                      const RemoveImageOptions& options) {
  std::vector<std::string> removed;
  std::string digest;
  MBX_RETURN_IF_ERROR(impl_->references.Update([&](Entries& entries) -> Status {
    MBX_ASSIGN_OR_RETURN(removed, RemoveEntries(*impl_->root, impl_->blobs, name_or_id,
                                                options.force, entries, digest));
    return Status();
  }));
  const core::EventLog& events = impl_->root->events();
  if (removed.empty()) events.Emit("image.remove", digest);
  for (const std::string& name : removed) events.Emit("image.remove", digest, {{"name", name}});
  return removed;
}

}  // namespace v1
}  // namespace minibox
