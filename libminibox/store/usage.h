// SPDX-License-Identifier: Apache-2.0
// Which containers use an image or a volume, judged from their records. The records belong to
// the runtime; a record that cannot be read or parsed says nothing and is passed over.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "store/data_root.h"

namespace minibox::store {

// Manifest digest -> ids of the containers pinned to it, sorted. Containers that are being
// removed do not count.
StatusOr<std::map<std::string, std::vector<std::string>>> ContainersByImage(const DataRoot& root);

struct VolumeUsers {
  // Made with the container and removed with it.
  std::vector<std::string> owners{};
  std::vector<std::string> others{};
};
StatusOr<VolumeUsers> FindVolumeUsers(const DataRoot& root, std::string_view volume);

}  // namespace minibox::store
