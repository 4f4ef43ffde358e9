// SPDX-License-Identifier: Apache-2.0
// A data root that several processes use, a registry to pull from, and the processes.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/fd.h"
#include "core/process.h"
#include "core/strings.h"
#include "minibox/store.h"
#include "registry/fake_registry.h"
#include "support/scratch.h"

namespace minibox::testing {

class ImagesFixture : public ::testing::Test {
 protected:
  // images_worker.cc pulls app:1 to app:6 and own:1.
  static constexpr int kImages = 6;

  void SetUp() override;

  struct Child {
    core::Spawned process;
    core::Fd out;
  };
  static Child Start(std::vector<std::string> arguments);

  std::string App(int number) const { return core::StrCat(registry_.host(), "/app:", number); }
  std::string RootPath() const { return scratch_ / "data"; }
  std::string ArchivePath() const { return scratch_ / "archive.tar"; }
  std::string ContextPath() const { return scratch_ / "context"; }

  // What must hold whatever happened before; opening has swept what the dead left.
  void ExpectSound(const std::string& what) const;

  static int FromEnvironment(const char* name, int by_default);
  // Printed, so that a failure can be repeated: MINIBOX_SEED.
  static unsigned Seed();

  Scratch scratch_;
  FakeRegistry registry_;
};

}  // namespace minibox::testing
