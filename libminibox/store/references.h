// SPDX-License-Identifier: Apache-2.0
// index.json: names of images. Replaced atomically under store.lock; readers need no lock.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "minibox/status.h"
#include "minibox/types.h"
#include "oci/manifest.h"
#include "store/data_root.h"

namespace minibox::store {

inline constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
inline constexpr std::string_view kImageName = "io.containerd.image.name";

class References {
 public:
  explicit References(std::shared_ptr<DataRoot> root) : root_(std::move(root)) {}
  // All entries in order of first registration. A missing file is an empty index; one that
  // does not parse is kDataLoss.
  StatusOr<std::vector<oci::Descriptor>> List() const;
  // Registers the manifest under every name, in one step; an existing name moves in place.
  // With no names it is registered nameless.
  Status Register(const oci::Descriptor& manifest, const std::vector<ImageRef>& names) const;
  // Applies `edit` to the list under the lock and replaces the file if it changed.
  Status Update(const std::function<Status(std::vector<oci::Descriptor>&)>& edit) const;

 private:
  std::shared_ptr<DataRoot> root_;
};

}  // namespace minibox::store
