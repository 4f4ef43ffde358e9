// SPDX-License-Identifier: Apache-2.0
// index.json: names of images. Replaced atomically under store.lock; readers need no lock.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "minibox/status.h"
#include "minibox/types.h"
#include "oci/manifest.h"
#include "store/data_root.h"

namespace minibox::store {

inline constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
inline constexpr std::string_view kImageName = "io.containerd.image.name";
// What the registry gave for the reference: of the index, if the image came out of one.
inline constexpr std::string_view kSourceDigest = "io.minibox.source.digest";
// "host/path,…": repositories that are known to have the image's blobs.
inline constexpr std::string_view kSourceRepositories = "io.minibox.source.repositories";

// Of an index entry: the normalised reference, and the name as last registered. Empty if it has
// no name, or none that is an image reference.
std::string NormalisedName(const oci::Descriptor& entry);
std::string ShownName(const oci::Descriptor& entry);
// An annotation; empty if there is none.
std::string_view AnnotationOf(const oci::Descriptor& entry, std::string_view key);

// Gives `manifest` the names, for an edit of References::Update; see References::Register.
void SetNames(std::vector<oci::Descriptor>& entries, const oci::Descriptor& manifest,
              const std::vector<ImageRef>& names);

class References {
 public:
  explicit References(std::shared_ptr<DataRoot> root)
      : root_(std::move(root)), parsed_(std::make_shared<Parsed>()) {}
  // All entries in order of first registration. A missing file is an empty index; one that
  // does not parse is kDataLoss.
  StatusOr<std::vector<oci::Descriptor>> List() const;
  // The same without a copy. What the file held last is kept parsed, by all copies of this object
  // together; the file itself is read each time, since other processes replace it.
  StatusOr<std::shared_ptr<const std::vector<oci::Descriptor>>> Shared() const;
  // Registers the manifest under every name, in one step; an existing name moves in place, and
  // an image that loses its last name that way stays nameless. With no names the manifest is
  // registered nameless, unless it has an entry.
  Status Register(const oci::Descriptor& manifest, const std::vector<ImageRef>& names) const;
  // Applies `edit` to the list under the lock and replaces the file if it changed. An error of
  // `edit` is returned and changes nothing. `then`, if given, follows with the lock still held and
  // the new list on disk.
  Status Update(const std::function<Status(std::vector<oci::Descriptor>&)>& edit,
                const std::function<Status()>& then = {}) const;

 private:
  struct Parsed {
    absl::Mutex mutex;
    std::string text ABSL_GUARDED_BY(mutex){};
    std::shared_ptr<const std::vector<oci::Descriptor>> entries ABSL_GUARDED_BY(mutex){};
  };
  std::shared_ptr<DataRoot> root_;
  std::shared_ptr<Parsed> parsed_;
};

}  // namespace minibox::store
