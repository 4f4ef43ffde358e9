// SPDX-License-Identifier: Apache-2.0
// Pull (spec §9.2):
//
//   reference ──▶ index? ──▶ manifest ──▶ config ──▶ layers, 4 at a time:
//     partial/<hex> ◀── download (resumed, verified) ──▶ blobs/sha256
//          └── read along ──▶ decompress ──▶ unpack, diff_id ──▶ extracted/
//   ──▶ index.json, as the last step
#pragma once

#include <stop_token>

#include "minibox/registry.h"
#include "registry/sources.h"
#include "registry/store_parts.h"
#include "registry/transfer_events.h"

namespace minibox::registry {

struct PullRequest {
  ImageRef image;
  Platform platform{};
  int max_parallel_layers = 4;
  bool is_base = false;  // lines as a build says them (spec §8.8)
};

StatusOr<ImageInfo> PullImage(const PullRequest& request, const StoreParts& store,
                              const Sources& sources, TransferEvents& events, std::stop_token stop);

}  // namespace minibox::registry
