// SPDX-License-Identifier: Apache-2.0
// A builder on a data root of its own, with busybox as base and no network.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/image_builder.h"
#include "minibox/network.h"
#include "minibox/runtime.h"
#include "minibox/store.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "support/busybox_image.h"
#include "support/scratch.h"

namespace minibox::testing {

// A data root with everything that a build needs.
struct Engine {
  Engine(const std::string& root, int workers);
  std::string root;
  std::optional<Store> store;
  std::optional<Runtime> runtime;
  std::optional<ImageBuilder> builder;
  std::string failure;
};

class BuildTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  struct Result {
    StatusOr<ImageInfo> image = Status(StatusCode::kUnknown, "not built");
    std::vector<std::string> lines{};  // durations as "(<d>)"
    std::string Text() const;
    bool Has(std::string_view line) const;   // exactly this line
    int Count(std::string_view part) const;  // lines that contain it
    // Those that begin so, without that beginning.
    std::vector<std::string> Of(std::string_view prefix) const;
  };
  BuildOptions Options(std::string_view text) const;
  Result Build(std::string_view text);
  Result Build(const BuildOptions& options, std::stop_token stop = {});
  static Result BuildWith(Engine& engine, const BuildOptions& options, std::stop_token stop = {});
  // Fails the test with the log unless it succeeds.
  Result BuildOk(std::string_view text);

  struct Image {
    oci::Manifest manifest;
    oci::ImageConfig config{};
    std::vector<std::string> trees{};  // absolute, bottom first
    // Of the whole image; "(none)" where there is no file.
    std::string Read(const std::string& path) const;
  };
  Image Open(const ImageInfo& info) const { return Open(*engine_, info); }
  static Image Open(const Engine& engine, const ImageInfo& info);
  // The tree of the last layer: path -> "type mode uid:gid", whiteouts as "whiteout".
  std::map<std::string, std::string> TopLayer(const ImageInfo& info) const;

  std::string Write(std::string_view name, std::string_view content, int mode = 0644) const {
    return scratch_.Write("context/" + std::string(name), content, mode);
  }
  // Names in a directory of the data root.
  std::vector<std::string> DataEntries(std::string_view directory) const;

  Scratch scratch_;
  std::string root_, context_;
  std::optional<Engine> engine_;
};

// A program's output, both streams, and its exit status.
std::pair<int, std::string> RunProgram(const std::string& command);

}  // namespace minibox::testing
