// SPDX-License-Identifier: Apache-2.0
#include "wire/changes.h"

#include <gtest/gtest.h>

#include "core/base64.h"

namespace minibox::wire {
namespace {

TEST(PathStat, GoesThereAndBack) {
  PathStat stat;
  stat.name = "na\"me";
  stat.size = 7;
  stat.mode = 0120777;
  stat.mtime = TimePoint(std::chrono::nanoseconds(1234567890'000000005));
  stat.link_target = "../x";
  const std::string header = EncodePathStat(stat);
  EXPECT_EQ(core::Base64Decode(header),
            R"({"name":"na\"me","size":7,"mode":41471,"mtime":"2009-02-13T23:31:30.000000005Z",)"
            R"("link_target":"../x"})");
  const auto back = DecodePathStat(header);
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(back->name, stat.name);
  EXPECT_EQ(back->size, stat.size);
  EXPECT_EQ(back->mode, stat.mode);
  EXPECT_EQ(back->mtime, stat.mtime);
  EXPECT_EQ(back->link_target, stat.link_target);
  for (const char* bad : {"", "!", "e30="}) EXPECT_FALSE(DecodePathStat(bad).ok()) << bad;
}

}  // namespace
}  // namespace minibox::wire
