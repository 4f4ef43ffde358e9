// SPDX-License-Identifier: Apache-2.0
// A user's view of wrong MiniBox files: every file of wrong/ gives, with `build --check`, exactly
// the text beside it (NAME.MiniBox, NAME.expected).
// MINIBOX_WRITE_EXPECTED=1 writes those texts anew: read them before they are committed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "build_view.h"
#include "minibox/image_builder.h"
#include "support/scratch.h"

namespace minibox::cli {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = MBX_WRONG_FILES;

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".MiniBox") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(WrongFiles, AreThereInNumbers) { EXPECT_GE(Names().size(), 80u); }

TEST(WrongFiles, AreToldLikeThis) {
  for (const auto& name : Names()) {
    SCOPED_TRACE(name);
    const std::string source = testing::ReadWholeFile(kFolder / (name + ".MiniBox"));
    const auto found = ImageBuilder::Check(source);
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](const Diagnostic& diagnostic) {
      return diagnostic.severity == Diagnostic::Severity::kError;
    }));
    const fs::path expected = kFolder / (name + ".expected");
    if (getenv("MINIBOX_WRITE_EXPECTED") != nullptr) {
      std::ofstream(expected) << WithSource(found, source);
    }
    EXPECT_EQ(WithSource(found, source), testing::ReadWholeFile(expected));
  }
}

}  // namespace
}  // namespace minibox::cli
