// SPDX-License-Identifier: Apache-2.0
// A store, a registry, and a proxy between them that breaks things on request.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/image_archives.h"
#include "core/strings.h"
#include "minibox/registry.h"
#include "registry/fake_registry.h"
#include "store/blob_store.h"
#include "store/data_root.h"
#include "store/references.h"
#include "support/fault_proxy.h"
#include "support/scratch.h"
#include "support/tar_builder.h"

namespace minibox::registry {

using testing::Fault;
using testing::FaultRule;
using testing::TestImage;

// Not compressible, and the same for the same seed.
std::string Noise(size_t size, unsigned seed);
std::string Tar(std::string_view file, std::string_view content);

class RegistryFixture : public ::testing::Test {
 protected:
  void SetUp() override { MBX_REQUIRE_ROOT(); }

  // Two layers, the second of several hundred kilobytes.
  static TestImage SampleImage(const testing::ImageOptions& options = {});

  RegistryOptions Options() const;
  Registry Open(const RegistryOptions& options) { return *Registry::Open(store_, options); }
  // "127.0.0.1:<proxy>/<rest>"
  ImageRef Ref(std::string_view rest) const;

  StatusOr<ImageInfo> Pull(std::string_view rest, std::stop_token stop = {}) {
    return Pull(Open(Options()), Ref(rest), std::move(stop));
  }
  // Keeps the lines.
  StatusOr<ImageInfo> Pull(Registry registry, const ImageRef& image, std::stop_token stop = {},
                           PullOptions options = {});
  Status Push(std::string_view image, std::optional<ImageRef> as = {},
              const std::optional<Credentials>& credentials = {});

  bool HasLine(std::string_view part) const;
  // Every blob hashes to its name, every image resolves, nothing is left in tmp/.
  void ExpectSoundStore() const;
  std::string FileOf(const TestImage& image, size_t layer, std::string_view name) const;
  std::vector<std::string> List(std::string_view path) const { return *root_->dir().List(path); }

  testing::Scratch scratch_;
  Store store_ = *Store::Open({.root = scratch_ / "root"});
  std::shared_ptr<store::DataRoot> root_ = *store::DataRoot::Open(scratch_ / "root", false);
  testing::FakeRegistry fake_;
  testing::FaultProxy proxy_{fake_.port()};
  std::vector<std::string> lines_;
  std::vector<Progress> progress_;
};

}  // namespace minibox::registry
