// SPDX-License-Identifier: Apache-2.0
#include "oci/media_types.h"

#include <gtest/gtest.h>

namespace minibox::oci {
namespace {

TEST(MediaTypes, TellManifestsFromIndexes) {
  EXPECT_TRUE(IsManifest(kOciManifest));
  EXPECT_TRUE(IsManifest(kDockerManifest));
  EXPECT_FALSE(IsManifest(kOciIndex));
  EXPECT_TRUE(IsIndex(kOciIndex));
  EXPECT_TRUE(IsIndex(kDockerList));
  EXPECT_FALSE(IsIndex(kDockerManifest));
}

TEST(MediaTypes, DockerLayersGetTheirOciName) {
  EXPECT_EQ(ToOciLayerType(kDockerLayerGzip), kOciLayerGzip);
  EXPECT_EQ(ToOciLayerType(kDockerLayerTar), kOciLayerTar);
  EXPECT_EQ(ToOciLayerType(kDockerLayerZstd), kOciLayerZstd);
  EXPECT_EQ(ToOciLayerType(kOciLayerGzip), kOciLayerGzip);
  EXPECT_EQ(ToOciLayerType("application/x"), "application/x");
}

}  // namespace
}  // namespace minibox::oci
