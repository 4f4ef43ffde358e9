// SPDX-License-Identifier: Apache-2.0
// Where blocks begin: nothing, a local image, an archive in the context (spec §8.2).
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "build/file_digests.h"
#include "build/graph.h"
#include "build/source_tree.h"
#include "build/store_parts.h"
#include "minibox/status.h"

namespace minibox::build {

struct Base {
  std::string key = "scratch";                // manifest digest, or "scratch"
  std::optional<oci::Descriptor> manifest{};  // of the image; none of scratch
  std::vector<oci::Descriptor> layers{};      // bottom first
  oci::ImageConfig config{};
  std::vector<std::string> directories{};  // unpacked layers, relative to the data root
};

// The configuration of `name` if it can be had at once: for checking a file before a build.
std::optional<oci::ImageConfig> PeekBaseConfig(const BaseName& name, const StoreParts& store);

// The base if all of it is here, changing nothing; nullopt if it would have to be fetched or
// unpacked.
StatusOr<std::optional<Base>> PeekBase(const BaseName& name, const Platform& platform,
                                       const StoreParts& store, const SourceTree& context,
                                       FileDigests& digests, std::stop_token stop);

// `platform` is what is wanted where the file does not say, `pull` that of BuildOptions. Everything
// used is added to `lease`. `log` gets the lines "[base] …".
StatusOr<Base> ResolveBase(const BaseName& name, const Platform& platform, const StoreParts& store,
                           const SourceTree& context, store::Lease& lease, FileDigests& digests,
                           const std::string& pull, const std::function<void(std::string)>& log,
                           std::stop_token stop);

}  // namespace minibox::build
