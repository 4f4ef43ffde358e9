// SPDX-License-Identifier: Apache-2.0
// `changes` of a commit: instructions that change an image's config (spec §12.17).
#pragma once

#include <string>
#include <vector>

#include "minibox/status.h"
#include "oci/image_config.h"

namespace minibox::runtime {

// ENV, LABEL, CMD, ENTRYPOINT, WORKDIR, USER, EXPOSE, VOLUME, STOPSIGNAL, in order.
// kInvalidArgument names "changes[<n>]"; then `config` is undefined.
Status ApplyChanges(const std::vector<std::string>& changes, oci::ImageConfig& config);

}  // namespace minibox::runtime
