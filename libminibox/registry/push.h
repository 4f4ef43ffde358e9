// SPDX-License-Identifier: Apache-2.0
// Push (spec §9.3): layers, then the config, then the manifest, byte for byte as stored. A blob is
// looked for, then mounted from another repository, then uploaded.
#pragma once

#include <chrono>
#include <stop_token>

#include "minibox/registry.h"
#include "registry/remote.h"
#include "registry/store_parts.h"
#include "registry/transfer_events.h"

namespace minibox::registry {

struct PushRequest {
  oci::Descriptor entry;  // of the index
  ImageRef as;
  int max_parallel_layers = 4;
  std::chrono::milliseconds retry_delay{1'000};
};

Status PushImage(const PushRequest& request, const StoreParts& store, Remote& remote,
                 TransferEvents& events, std::stop_token stop);

}  // namespace minibox::registry
