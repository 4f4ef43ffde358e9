// SPDX-License-Identifier: Apache-2.0
#include "oci/media_types.h"

namespace minibox::oci {
namespace {

// Pairs of a Docker layer type and the OCI name of the same format.
constexpr std::string_view kLayerTypes[][2] = {
    {kDockerLayerGzip, kOciLayerGzip},
    {kDockerLayerTar, kOciLayerTar},
    {kDockerLayerZstd, kOciLayerZstd},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
     "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar",
     "application/vnd.oci.image.layer.nondistributable.v1.tar"},
};

}  // namespace

bool IsManifest(std::string_view media_type) {
  return media_type == kOciManifest || media_type == kDockerManifest;
}

bool IsIndex(std::string_view media_type) {
  return media_type == kOciIndex || media_type == kDockerList;
}

std::string_view ToOciLayerType(std::string_view media_type) {
  for (const auto& [docker, oci] : kLayerTypes) {
    if (media_type == docker) return oci;
  }
  return media_type;
}

}  // namespace minibox::oci
