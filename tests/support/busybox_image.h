// SPDX-License-Identifier: Apache-2.0
// A small image to run: busybox-static in one layer, loaded into a store. In a library of its
// own, mbx_test_images, so that only tests that need a store link one.
#pragma once

#include <string>
#include <vector>

#include "minibox/status.h"
#include "minibox/store.h"
#include "oci/image_config.h"
#include "support/tar_builder.h"

namespace minibox::testing {

struct BusyboxImage {
  std::string name = "busybox";
  // Entries of the image's config; diff_ids, platform and history are filled in. By default a
  // PATH and the command `sh`.
  oci::ImageConfig config{};
  // Added to the layer behind what is there anyway: /bin with the applets, /etc/passwd with
  // root and www (1000:1000), /etc/group, /tmp, /root, /data with a file `seed`.
  std::vector<TarHeader> entries{};
};

// Loads it under its name.
StatusOr<ImageInfo> AddBusyboxImage(Store& store, const BusyboxImage& image = {});

}  // namespace minibox::testing
