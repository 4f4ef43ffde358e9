// SPDX-License-Identifier: Apache-2.0
#include "archive/live_ids.h"

#include <gtest/gtest.h>

namespace minibox::archive {
namespace {

TEST(LiveIds, AreShiftedWithinTheirRange) {
  const LiveIds ids{100000, 65536};
  EXPECT_EQ(ids.ToHost(0), 100000u);
  EXPECT_EQ(ids.ToHost(65535), 165535u);
  EXPECT_EQ(ids.ToHost(65536), std::nullopt);
  EXPECT_EQ(ids.FromHost(100000), 0u);
  EXPECT_EQ(ids.FromHost(165535), 65535u);
  EXPECT_EQ(ids.FromHost(165536), 65534u);
  EXPECT_EQ(ids.FromHost(0), 65534u);
  const LiveIds same;
  EXPECT_EQ(same.ToHost(70000), 70000u);
  EXPECT_EQ(same.FromHost(70000), 70000u);
}

TEST(LiveIds, CapabilitiesAreOfTheContainersRoot) {
  const LiveIds ids{0x01020304, 65536};
  const std::string plain("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  const std::string owned =
      std::string("\x01\0\0\x03\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20) + "\x04\x03\x02\x01";
  EXPECT_EQ(CapabilityToHost(plain, ids), owned);
  EXPECT_EQ(CapabilityFromHost(owned, ids), plain);
  EXPECT_EQ(CapabilityToHost(plain, {}), plain);
  EXPECT_EQ(CapabilityFromHost(owned, {}), owned);
  // Somebody else's, and what is none.
  EXPECT_EQ(CapabilityFromHost(owned, {5, 10}), owned);
  EXPECT_EQ(CapabilityToHost("x", ids), "x");
  EXPECT_EQ(CapabilityFromHost("x", ids), "x");
}

}  // namespace
}  // namespace minibox::archive
