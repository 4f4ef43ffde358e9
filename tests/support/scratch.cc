// SPDX-License-Identifier: Apache-2.0
#include "support/scratch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace minibox::testing {

Scratch::Scratch() {
  const char* base = getenv("TMPDIR");
  path_ = std::string(base != nullptr ? base : "/tmp") + "/minibox-test-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) abort();
}

Scratch::~Scratch() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (error) ADD_FAILURE() << "cannot remove " << path_ << ": " << error.message();
}

std::string Scratch::Write(std::string_view name, std::string_view content, int mode) const {
  const std::string path = *this / name;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << content;
  if (chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) abort();
  return path;
}

std::string ReadWholeFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

bool HaveRoot() {
  std::istringstream status(ReadWholeFile("/proc/self/status"));
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("CapEff:")) continue;
    const auto mask = std::stoull(line.substr(7), nullptr, 16);
    return geteuid() == 0 && (mask >> 21 & 1) != 0;
  }
  return false;
}

}  // namespace minibox::testing
