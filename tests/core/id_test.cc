// SPDX-License-Identifier: Apache-2.0
#include "core/id.h"

#include <gtest/gtest.h>

#include <set>

namespace minibox::core {
namespace {

TEST(RandomHex, HasTheLengthAndAlphabetAskedFor) {
  for (int digits : {0, 1, 7, 8, 64, 1001}) {
    const std::string id = RandomHex(digits);
    EXPECT_EQ(id.size(), static_cast<size_t>(digits));
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  }
}

TEST(RandomHex, DoesNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(RandomHex(16)).second);
}

}  // namespace
}  // namespace minibox::core
