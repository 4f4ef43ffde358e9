// SPDX-License-Identifier: Apache-2.0
#include "wire/build_plan.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

TEST(BuildPlanJson, RoundTrips) {
  BuildPlan plan;
  plan.target = "app";
  plan.blocks = {{.name = "app",
                  .line = 3,
                  .generation = 2,
                  .wanted = true,
                  .cached = true,
                  .base = "alpine",
                  .key = "ab",
                  .needs = {"x"},
                  .build_needs = {"y", "z"},
                  .steps = {{.instruction = "RUN \"a\"", .line = 4, .key = "ab", .cached = true}}}};
  const auto parsed = ParseBuildPlan(ToJson(plan));
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  EXPECT_EQ(ToJson(*parsed), ToJson(plan));
  EXPECT_EQ(parsed->blocks[0].steps[0].instruction, "RUN \"a\"");
  EXPECT_FALSE(ParseBuildPlan("{}").ok());
  EXPECT_FALSE(ParseBuildPlan(R"({"mode":"dag","blocks":[{}]})").ok());
}

TEST(BuildPlanJson, DiagnosticsComeBackFromTheErrorText) {
  const auto found = ParseDiagnostics("MiniBox:7:5: unknown: x\nMiniBox:8:1: y\n");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].line, 7);
  EXPECT_EQ(found[0].column, 5);
  EXPECT_EQ(found[0].message, "unknown: x");
  for (const char* text : {"", "image: bad", "MiniBox:x:1: y", "MiniBox:1", "MiniBox:1:2: a\nb"}) {
    EXPECT_TRUE(ParseDiagnostics(text).empty()) << text;
  }
}

}  // namespace
}  // namespace minibox::wire
