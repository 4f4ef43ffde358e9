// SPDX-License-Identifier: Apache-2.0
// Descriptors, image manifests and indexes: bytes to values and back. Pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::oci {

struct Descriptor {
  std::string media_type{};
  Digest digest;
  uint64_t size = 0;
  std::optional<Platform> platform{};
  std::map<std::string, std::string> annotations{};
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers{};  // bottom first
  std::map<std::string, std::string> annotations{};
};

struct Index {
  std::vector<Descriptor> manifests{};
};

// OCI and Docker schema 2 forms. kInvalidArgument names the path; limits: 4 MiB, 500 layers.
StatusOr<Manifest> ParseManifest(std::string_view json);
StatusOr<Index> ParseIndex(std::string_view json);
// Compact, fixed key order, OCI media types.
std::string SerializeManifest(const Manifest& manifest);
// 2-space indented (spec §6.2).
std::string SerializeIndex(const Index& index);

// The host's platform with Go's names: {"linux", "amd64", ""}.
Platform HostPlatform();
// Whether an image for `have` runs where `want` is asked for. An empty variant stands for the
// architecture's usual one, an empty architecture of `want` for the host's.
bool MatchesPlatform(const Platform& have, const Platform& want);
// The entry for `want`, else a single one whatever its platform, else nullptr. Entries that
// are no images (attestations) are passed over.
const Descriptor* SelectManifest(const Index& index, const Platform& want);

}  // namespace minibox::oci
