// SPDX-License-Identifier: Apache-2.0
// A data root of one test, and small images in it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/failpoint.h"
#include "core/strings.h"
#include "minibox/store.h"
#include "oci/digest.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "oci/media_types.h"
#include "store/blob_store.h"
#include "store/data_root.h"
#include "store/references.h"
#include "support/scratch.h"
#include "support/tar_builder.h"

namespace minibox::store {

inline ImageRef Ref(std::string_view text) { return *ImageRef::Parse(text); }

// Writes manifest, config and plain tar layers of an image whose layers hold one file each.
inline oci::Descriptor PutImage(const BlobStore& blobs, std::string_view mark, int layers = 1) {
  oci::ImageConfig config;
  config.created = "2026-01-02T03:04:05Z";
  config.platform = oci::HostPlatform();
  config.labels = {{"mark", std::string(mark)}};
  std::vector<oci::Descriptor> descriptors;
  for (int i = 0; i < layers; ++i) {
    const std::string tar =
        testing::TarBuilder().File(core::StrCat("file", i), core::StrCat(mark, i)).Take();
    const Digest digest = *blobs.Put(tar);
    config.diff_ids.push_back(digest);
    descriptors.push_back({std::string(oci::kOciLayerTar), digest, tar.size()});
  }
  const std::string config_text = oci::SerializeImageConfig(config);
  oci::Manifest manifest{
      {std::string(oci::kOciConfig), *blobs.Put(config_text), config_text.size()}};
  manifest.layers = std::move(descriptors);
  const std::string text = oci::SerializeManifest(manifest);
  oci::Descriptor entry{std::string(oci::kOciManifest), *blobs.Put(text), text.size()};
  entry.platform = config.platform;
  return entry;
}

class StoreFixture : public ::testing::Test {
 protected:
  std::string RootPath() const { return scratch_ / "root"; }
  const core::RootDir& dir() const { return root_->dir(); }

  // By value: what a temporary StatusOr holds does not live as long as a loop over it.
  std::vector<oci::Descriptor> Entries() const { return *references_.List(); }
  std::vector<std::string> ListDir(std::string_view path) const { return *dir().List(path); }

  // Names of the index entries, "-" for one without.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const oci::Descriptor& entry : Entries()) {
      const std::string name = ShownName(entry);
      names.push_back(name.empty() ? "-" : name);
    }
    return names;
  }

  void ExpectNothingInTmp() const {
    for (const std::string& name : ListDir("tmp")) {
      // Locks of keys are swept at the next open.
      EXPECT_TRUE(name.starts_with("key-")) << name;
    }
  }

  // Makes the n-th step of `attempt` fail, until it succeeds; `check` looks at what each failure
  // left. Returns how often it failed.
  int FailEachStep(const std::function<Status()>& attempt, const std::function<void()>& check) {
    for (int n = 1;; ++n) {
      core::SetFailNth(n);
      const Status status = attempt();
      core::ClearFailpoints();
      if (status.ok()) return n - 1;
      EXPECT_EQ(status.reason(), "failpoint") << status.message();
      check();
      ExpectNothingInTmp();
    }
  }

  testing::Scratch scratch_;
  std::shared_ptr<DataRoot> root_ = *DataRoot::Open(RootPath(), /*create=*/true);
  BlobStore blobs_{root_};
  References references_{root_};
};

}  // namespace minibox::store
