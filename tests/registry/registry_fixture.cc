// SPDX-License-Identifier: Apache-2.0
#include "registry/registry_fixture.h"

#include <random>

#include "oci/digest.h"

namespace minibox::registry {

std::string Noise(size_t size, unsigned seed) {
  std::minstd_rand random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random() >> 8);
  return bytes;
}

std::string Tar(std::string_view file, std::string_view content) {
  return testing::TarBuilder().Dir("dir").File(file, content).Take();
}

TestImage RegistryFixture::SampleImage(const testing::ImageOptions& options) {
  return testing::MakeImage({Tar("dir/first", "one"), Tar("dir/second", Noise(700'000, 7))},
                            options);
}

RegistryOptions RegistryFixture::Options() const {
  RegistryOptions options;
  options.retry_delay = std::chrono::milliseconds(1);
  return options;
}

ImageRef RegistryFixture::Ref(std::string_view rest) const {
  return *ImageRef::Parse(core::StrCat(proxy_.host(), "/", rest));
}

StatusOr<ImageInfo> RegistryFixture::Pull(Registry registry, const ImageRef& image,
                                          std::stop_token stop, PullOptions options) {
  lines_.clear();
  progress_.clear();
  options.log = [this](std::string_view line) { lines_.emplace_back(line); };
  options.progress = [this](const Progress& progress) { progress_.push_back(progress); };
  return registry.Pull(image, options, std::move(stop));
}

Status RegistryFixture::Push(std::string_view image, std::optional<ImageRef> as,
                             const std::optional<Credentials>& credentials) {
  lines_.clear();
  PushOptions options{.as = std::move(as), .credentials = credentials};
  options.log = [this](std::string_view line) { lines_.emplace_back(line); };
  return Open(Options()).Push(image, options);
}

bool RegistryFixture::HasLine(std::string_view part) const {
  for (const std::string& line : lines_) {
    if (line.find(part) != std::string::npos) return true;
  }
  return false;
}

void RegistryFixture::ExpectSoundStore() const {
  const store::BlobStore blobs(root_);
  for (const std::string& hex : List("blobs/sha256")) {
    EXPECT_TRUE(blobs.Read(oci::DigestFromHex(hex), 1 << 30).ok()) << hex;
  }
  const auto entries = store::References(root_).List();
  ASSERT_TRUE(entries.ok());
  for (const oci::Descriptor& entry : *entries) {
    EXPECT_TRUE(store_.GetImage(entry.digest.ToString()).ok());
  }
  for (const std::string& name : List("tmp")) EXPECT_TRUE(name.starts_with("key-")) << name;
}

std::string RegistryFixture::FileOf(const TestImage& image, size_t layer,
                                    std::string_view name) const {
  const std::string hex = image.diff_ids[layer].substr(sizeof "sha256:" - 1);
  const auto content = root_->dir().ReadFile(core::StrCat("extracted/", hex, "/", name), 64u << 20);
  return content.ok() ? *content : content.status().message();
}

}  // namespace minibox::registry
