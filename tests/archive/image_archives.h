// SPDX-License-Identifier: Apache-2.0
// Images and archives of them, made by hand.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive/compression.h"
#include "minibox/types.h"

namespace minibox::testing {

// Name in the archive -> content.
using ArchiveFiles = std::map<std::string, std::string>;

struct TestImage {
  std::vector<std::string> layers{};    // blobs
  std::vector<std::string> diff_ids{};  // "sha256:…"
  std::string config{};
  std::string manifest{};
};

std::string DigestText(std::string_view bytes);
std::string HexOf(std::string_view bytes);
std::string Compressed(archive::Compression format, std::string_view bytes);

struct ImageOptions {
  archive::Compression compression = archive::Compression::kGzip;
  std::string architecture{};           // empty: the host's
  std::vector<std::string> diff_ids{};  // instead of the right ones
};
TestImage MakeImage(const std::vector<std::string>& layer_tars, const ImageOptions& options = {});

// Manifest, config and layers below blobs/sha256/.
void AddBlobs(ArchiveFiles& files, const TestImage& image);
// One entry of an index; `annotations` are JSON members: "\"key\":\"value\"".
std::string IndexEntry(std::string_view media_type, std::string_view bytes,
                       std::string_view annotations = "", std::string_view platform = "");
std::string IndexOf(const std::vector<std::string>& entries);
// A complete OCI layout with one name annotation per image; "" for none.
ArchiveFiles Layout(const std::vector<std::pair<TestImage, std::string>>& images);

std::string TarOf(const ArchiveFiles& files);

}  // namespace minibox::testing
