// SPDX-License-Identifier: Apache-2.0
// A directory of one test, removed with everything in it.
#pragma once

#include <string>
#include <string_view>

namespace minibox::testing {

class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  // Writes a file below, making parent directories; returns its path.
  std::string Write(std::string_view name, std::string_view content, int mode = 0644) const;

 private:
  std::string path_;
};

std::string ReadWholeFile(const std::string& path);

// Skips the test with the missing privilege named unless the caller is root with CAP_SYS_ADMIN.
bool HaveRoot();
#define MBX_REQUIRE_ROOT() \
  if (!::minibox::testing::HaveRoot()) GTEST_SKIP() << "needs root with CAP_SYS_ADMIN"

}  // namespace minibox::testing
