// SPDX-License-Identifier: Apache-2.0
// Which repositories are known to have an image's blobs, as its index entry says: where a blob has
// come from, or gone to, a registry can mount it instead of being sent it (spec §9.3).
#pragma once

#include <string>
#include <vector>

#include "minibox/types.h"
#include "oci/manifest.h"

namespace minibox::registry {

// Adds the repository of `image` to what `entry` and the entries of the same manifest know.
void RememberRepository(const std::vector<oci::Descriptor>& entries, const ImageRef& image,
                        oci::Descriptor* entry);
// Of the same registry, other than its own repository.
std::vector<std::string> KnownRepositories(const oci::Descriptor& entry, const ImageRef& image);

}  // namespace minibox::registry
