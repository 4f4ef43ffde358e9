// SPDX-License-Identifier: Apache-2.0
#include "minibox/version.h"

#include <gtest/gtest.h>

namespace minibox {
namespace {

TEST(Version, IsThatOfTheHeaders) { EXPECT_EQ(LibraryVersion(), "0.1.0"); }

TEST(Version, UnknownFeaturesAreAbsent) {
  EXPECT_FALSE(HasFeature("no.such.feature"));
  EXPECT_FALSE(HasFeature(""));
}

}  // namespace
}  // namespace minibox
