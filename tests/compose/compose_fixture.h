// SPDX-License-Identifier: Apache-2.0
// A project in a folder of its own, on a FakeBackend.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "compose/fake_backend.h"
#include "core/file.h"

namespace minibox::compose {

class ComposeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto dir = core::TempDir::Create("/tmp", "minibox-compose-");
    ASSERT_TRUE(dir.ok());
    dir_.emplace(std::move(*dir));
    options_.directory = dir_->path() + "/p";
    options_.lock_dir = dir_->path() + "/locks";
    std::filesystem::create_directories(options_.directory);
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(options_.directory / name) << text;
  }
  Compose Load(const std::string& text) {
    Write("compose.yaml", text);
    auto project = Compose::Load(options_, backend_);
    if (!project.ok()) ADD_FAILURE() << project.status().ToString();
    return std::move(*project);
  }
  Compose Attach() {
    options_.project = "p";
    return *Compose::Attach(options_, backend_);
  }
  std::vector<std::string> Calls() { return backend_->TakeCalls(); }
  static size_t At(const std::vector<std::string>& calls, const std::string& call) {
    return static_cast<size_t>(std::find(calls.begin(), calls.end(), call) - calls.begin());
  }
  // Both were made, and in this order.
  static void ExpectOrder(const std::vector<std::string>& calls, const std::string& first,
                          const std::string& second) {
    EXPECT_LT(At(calls, first), At(calls, second)) << first << " / " << second;
    EXPECT_LT(At(calls, second), calls.size()) << second;
  }

  std::optional<core::TempDir> dir_;
  ComposeOptions options_{};
  std::shared_ptr<FakeBackend> backend_ = std::make_shared<FakeBackend>();
};

using Calls = std::vector<std::string>;

}  // namespace minibox::compose
