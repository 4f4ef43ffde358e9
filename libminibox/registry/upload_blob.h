// SPDX-License-Identifier: Apache-2.0
// One blob to a repository (distribution specification, "Pushing blobs").
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "minibox/status.h"
#include "oci/manifest.h"
#include "registry/remote.h"

namespace minibox::registry {

struct UploadJob {
  const oci::Descriptor& descriptor;
  int fd = -1;                          // the blob, borrowed; read with pread
  std::vector<std::string> known_in{};  // other repositories of the registry
  std::chrono::milliseconds retry_delay{1'000};
  std::function<void(uint64_t sent)> progress{};
};

struct Uploaded {
  bool existed = false;
  std::string mounted_from{};
};

StatusOr<Uploaded> UploadBlob(const UploadJob& job, Remote& remote, const std::stop_token& stop);

}  // namespace minibox::registry
