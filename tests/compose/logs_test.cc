// SPDX-License-Identifier: Apache-2.0
#include "compose/compose_fixture.h"
#include "core/errors.h"
#include "core/strings.h"

namespace minibox::compose {
namespace {

class ComposeLogs : public ComposeTest {
 protected:
  Compose Started() {
    Compose project = Load("services: {a: {image: i}, b: {image: i}}");
    EXPECT_TRUE(project.Up().ok());
    return project;
  }
  static std::string Time(int n) { return core::StrCat("2026-01-01T00:00:00.", 100 + n, "Z"); }
};

TEST_F(ComposeLogs, AreMergedByTime) {
  Compose project = Started();
  for (int i = 0; i < 300; i += 2) {
    backend_->logs["p-a"] += core::StrCat(Time(i), " a", i, "\n");
    backend_->logs["p-b"] += core::StrCat(Time(i + 1), " b", i + 1, "\n");
  }
  for (const bool follow : {false, true}) {
    std::vector<std::string> lines;
    ASSERT_TRUE(project
                    .ReadLogs({.follow = follow},
                              [&](const ComposeLogLine& line) {
                                EXPECT_EQ(line.text.substr(0, 1), line.service);
                                lines.emplace_back(line.text.substr(1));
                                return Status();
                              })
                    .ok());
    ASSERT_EQ(lines.size(), 300u);
    for (int i = 0; i < 300; ++i) EXPECT_EQ(lines[static_cast<size_t>(i)], std::to_string(i));
  }
}

TEST_F(ComposeLogs, LongOnesDoNotWaitForShortOnes) {
  Compose project = Started();
  // Far more than is held of one container.
  for (int i = 0; i < 5000; ++i) backend_->logs["p-a"] += Time(0) + " x\n";
  backend_->logs["p-b"] = Time(1) + " without end";
  size_t lines = 0;
  std::string last;
  ASSERT_TRUE(project
                  .ReadLogs({},
                            [&](const ComposeLogLine& line) {
                              ++lines;
                              last = line.text;
                              return Status();
                            })
                  .ok());
  EXPECT_EQ(lines, 5001u);
  EXPECT_EQ(last, "without end");
}

TEST_F(ComposeLogs, EndWithTheSink) {
  Compose project = Started();
  for (int i = 0; i < 5000; ++i) backend_->logs["p-a"] += Time(0) + " x\n";
  const Status status =
      project.ReadLogs({}, [](const ComposeLogLine&) { return core::Internal("enough"); });
  EXPECT_EQ(status.message(), "enough");
  EXPECT_EQ(project.ReadLogs({.services = {"nope"}}, [](const auto&) { return Status(); }).reason(),
            "service_not_found");
}

}  // namespace
}  // namespace minibox::compose
