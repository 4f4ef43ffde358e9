// SPDX-License-Identifier: Apache-2.0
#include "init/cgroup_hierarchies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace minibox::init {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Hierarchies Parse(std::string text, const char* path) {
  Hierarchies hierarchies;
  ParseHierarchies(text.data(), path, &hierarchies);
  return hierarchies;
}

std::vector<std::string> Names(const Hierarchies& hierarchies) {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < hierarchies.v1_count; ++i) names.push_back(hierarchies.v1[i].name);
  return names;
}

TEST(ParseHierarchies, TakesThoseTheContainerHasJoined) {
  const Hierarchies found = Parse(
      "9:name=systemd:/\n8:pids:/parent/minibox/abc\n5:cpu,cpuacct:/minibox/abc\n"
      "4:memory:/minibox/abcd\n3:freezer:/minibox/abc/below\n0::/\n",
      "/parent/minibox/abc");
  EXPECT_THAT(Names(found), ElementsAre("pids", "cpu,cpuacct"));
  EXPECT_FALSE(found.v2);
}

TEST(ParseHierarchies, KnowsVersion2) {
  const Hierarchies found = Parse("0::/x.slice/minibox/abc\n", "/minibox/abc");
  EXPECT_THAT(Names(found), IsEmpty());
  EXPECT_TRUE(found.v2);
}

TEST(ParseHierarchies, OfAnUnknownGroupAreNone) {
  EXPECT_THAT(Names(Parse("8:pids:/\n0::/\n", "")), IsEmpty());
  EXPECT_FALSE(Parse("8:pids:/\n0::/\n", "").v2);
}

TEST(ParseHierarchies, SkipsMalformedLines) {
  const std::string long_name(100, 'x');
  const Hierarchies found =
      Parse("\n:\n8:pids\n7\n6:" + long_name + ":/minibox/abc\n2:cpu:/minibox/abc", "/minibox/abc");
  EXPECT_THAT(Names(found), ElementsAre("cpu"));
}

}  // namespace
}  // namespace minibox::init
