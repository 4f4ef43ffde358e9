// SPDX-License-Identifier: Apache-2.0
#include "archive/image_archives.h"

#include <gtest/gtest.h>

#include "core/sha256.h"
#include "oci/manifest.h"
#include "oci/media_types.h"
#include "support/tar_builder.h"

namespace minibox::testing {
namespace {

std::string DescriptorMembers(std::string_view type, std::string_view bytes) {
  return "\"mediaType\":\"" + std::string(type) + "\",\"digest\":\"" + DigestText(bytes) +
         "\",\"size\":" + std::to_string(bytes.size());
}

std::string_view LayerType(archive::Compression compression) {
  switch (compression) {
    case archive::Compression::kGzip:
      return oci::kOciLayerGzip;
    case archive::Compression::kZstd:
      return oci::kOciLayerZstd;
    case archive::Compression::kNone:
      break;
  }
  return oci::kOciLayerTar;
}

}  // namespace

std::string DigestText(std::string_view bytes) { return "sha256:" + HexOf(bytes); }

std::string HexOf(std::string_view bytes) { return core::Sha256::Hex(bytes); }

std::string Compressed(archive::Compression format, std::string_view bytes) {
  std::string out;
  auto compressor = archive::Compressor::Create(format, [&](std::string_view made) {
    out += made;
    return Status();
  });
  EXPECT_TRUE(compressor.ok() && (*compressor)->Write(bytes).ok() && (*compressor)->Finish().ok());
  return out;
}

TestImage MakeImage(const std::vector<std::string>& layer_tars, const ImageOptions& options) {
  TestImage image;
  std::string ids, layers;
  for (size_t i = 0; i < layer_tars.size(); ++i) {
    image.layers.push_back(Compressed(options.compression, layer_tars[i]));
    image.diff_ids.push_back(i < options.diff_ids.size() ? options.diff_ids[i]
                                                         : DigestText(layer_tars[i]));
    ids += (i > 0 ? ",\"" : "\"") + image.diff_ids[i] + "\"";
    layers += (i > 0 ? ",{" : "{") +
              DescriptorMembers(LayerType(options.compression), image.layers[i]) + "}";
  }
  const std::string architecture =
      options.architecture.empty() ? oci::HostPlatform().architecture : options.architecture;
  image.config = "{\"architecture\":\"" + architecture +
                 "\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"/bin/sh\"]},\"rootfs\":{\"type\":"
                 "\"layers\",\"diff_ids\":[" +
                 ids + "]}}";
  image.manifest = "{\"schemaVersion\":2,\"mediaType\":\"" + std::string(oci::kOciManifest) +
                   "\",\"config\":{" + DescriptorMembers(oci::kOciConfig, image.config) +
                   "},\"layers\":[" + layers + "]}";
  return image;
}

void AddBlobs(ArchiveFiles& files, const TestImage& image) {
  for (const std::string& layer : image.layers) files["blobs/sha256/" + HexOf(layer)] = layer;
  files["blobs/sha256/" + HexOf(image.config)] = image.config;
  files["blobs/sha256/" + HexOf(image.manifest)] = image.manifest;
}

std::string IndexEntry(std::string_view media_type, std::string_view bytes,
                       std::string_view annotations, std::string_view platform) {
  std::string entry = "{" + DescriptorMembers(media_type, bytes);
  if (!platform.empty()) {
    entry += ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" + std::string(platform) + "\"}";
  }
  if (!annotations.empty()) entry += ",\"annotations\":{" + std::string(annotations) + "}";
  return entry + "}";
}

std::string IndexOf(const std::vector<std::string>& entries) {
  std::string list;
  for (const std::string& entry : entries) list += (list.empty() ? "" : ",") + entry;
  return "{\"schemaVersion\":2,\"mediaType\":\"" + std::string(oci::kOciIndex) +
         "\",\"manifests\":[" + list + "]}";
}

ArchiveFiles Layout(const std::vector<std::pair<TestImage, std::string>>& images) {
  ArchiveFiles files;
  std::vector<std::string> entries;
  for (const auto& [image, name] : images) {
    AddBlobs(files, image);
    entries.push_back(
        IndexEntry(oci::kOciManifest, image.manifest,
                   name.empty() ? "" : "\"org.opencontainers.image.ref.name\":\"" + name + "\""));
  }
  files["oci-layout"] = "{\"imageLayoutVersion\":\"1.0.0\"}";
  files["index.json"] = IndexOf(entries);
  return files;
}

std::string TarOf(const ArchiveFiles& files) {
  TarBuilder builder;
  for (const auto& [name, content] : files) builder.File(name, content);
  return builder.Take();
}

}  // namespace minibox::testing
