// SPDX-License-Identifier: Apache-2.0
// Which containers use an image or a volume, judged from their records. The records belong to
// the runtime; a record that cannot be read or parsed says nothing and is passed over.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "minibox/types.h"
#include "store/data_root.h"

namespace minibox::store {

// Manifest digest -> ids of the containers pinned to it, sorted. Containers that are being
// removed do not count.
StatusOr<std::map<std::string, std::vector<std::string>>> ContainersByImage(const DataRoot& root);

// The same of containers in any state, for what must not take anything from them: a record that
// is there but cannot be read is kDataLoss.
StatusOr<std::map<Digest, std::vector<std::string>>> PinnedManifests(const DataRoot& root);

// "running", "exited", … as in its record; empty if that cannot be read.
std::string ContainerStatus(const DataRoot& root, std::string_view container);

struct VolumeUsers {
  // Made with the container and removed with it.
  std::vector<std::string> owners{};
  std::vector<std::string> others{};
};
StatusOr<VolumeUsers> FindVolumeUsers(const DataRoot& root, std::string_view volume);

// Volume -> ids of the containers that refer to it, sorted; those being removed do not count.
StatusOr<std::map<std::string, std::vector<std::string>, std::less<>>> UsersByVolume(
    const DataRoot& root);

}  // namespace minibox::store
