// SPDX-License-Identifier: Apache-2.0
// Which image of an index is taken (spec §9.2).
#pragma once

#include <string>

#include "minibox/status.h"
#include "oci/manifest.h"

namespace minibox::registry {

// "linux/arm64/v8", "linux/amd64".
std::string PlatformText(const Platform& platform);
// The wanted platform with the host's architecture filled in.
Platform WantedPlatform(Platform platform);
// Whether an image for `have` is just as good as one for `want`.
bool IsFor(const Platform& have, const Platform& want);
// The entry for `want`, of an ARM or x86 variant that is the nearest below if there is no equal
// one. kNotFound "registry_error" lists what there is.
StatusOr<oci::Descriptor> SelectEntry(const oci::Index& index, const Platform& want);

}  // namespace minibox::registry
