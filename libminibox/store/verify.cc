// SPDX-License-Identifier: Apache-2.0
// Store::Verify: whether every blob is what its name says and everything that is referred to is
// there. Reads only, with no lock: what others remove meanwhile is looked up again before it
// counts as missing.
#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "archive/compression.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"
#include "oci/media_types.h"
#include "store/layout.h"
#include "store/lookup.h"
#include "store/store_impl.h"
#include "store/usage.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr size_t kBufferBytes = 1u << 20;
constexpr size_t kHexDigits = 64;
constexpr size_t kMaxDocument = 8u << 20;
constexpr int kMaxIndexDepth = 4;

class Verifier {
 public:
  Verifier(std::shared_ptr<store::DataRoot> root, std::stop_token stop)
      : root_(root),
        blobs_(root),
        layers_(root, blobs_),
        references_(root),
        snapshots_(root),
        stop_(std::move(stop)) {}

  StatusOr<VerifyReport> Run() {
    MBX_RETURN_IF_ERROR(VerifyBlobs());
    MBX_RETURN_IF_ERROR(VerifyTrees());
    MBX_RETURN_IF_ERROR(VerifyIndex());
    MBX_RETURN_IF_ERROR(VerifyContainers());
    MBX_RETURN_IF_ERROR(VerifySnapshots());
    return std::move(report_);
  }

 private:
  const core::RootDir& dir() const { return root_->dir(); }

  void Report(std::string object, std::string problem) {
    report_.problems.push_back({std::move(object), std::move(problem)});
  }

  Status VerifyBlobs() {
    MBX_ASSIGN_OR_RETURN(const auto names, dir().List(store::kBlobs256));
    std::vector<char> buffer(kBufferBytes);
    for (const std::string& name : names) {
      const std::string object = core::StrCat("blob ", core::EscapeControl(name));
      const auto digest = Digest::Parse(core::StrCat("sha256:", name));
      if (!digest.ok()) {
        Report(object, "is named after no digest");
        continue;
      }
      const auto fd = blobs_.Open(*digest);
      if (fd.status().reason() == "blob_not_found") continue;  // collected meanwhile
      if (!fd.ok()) {
        Report(object, fd.status().message());
        continue;
      }
      core::Sha256 hash;
      const archive::ReadFn read = archive::ReadFromFd(fd->get());
      while (true) {
        if (stop_.stop_requested()) return core::Cancelled("verification");
        const auto count = read(buffer.data(), buffer.size());
        if (!count.ok()) {
          Report(object, count.status().message());
          break;
        }
        if (*count == 0) {
          const std::string actual = hash.FinishHex();
          if (actual != name) Report(object, core::StrCat("has the digest sha256:", actual));
          break;
        }
        hash.Update(std::string_view(buffer.data(), *count));
        report_.bytes += *count;
      }
      ++report_.blobs;
    }
    return {};
  }

  Status VerifyTrees() {
    MBX_ASSIGN_OR_RETURN(const auto names, dir().List(store::kExtracted));
    for (const std::string& name : names) {
      const auto st = dir().LStat(core::StrCat(store::kExtracted, "/", name));
      if (!st.ok() || !S_ISDIR(st->st_mode)) continue;  // collected, or of an older version
      ++report_.layers;
      if (!Digest::Parse(core::StrCat("sha256:", name)).ok()) {
        Report(core::StrCat("layer ", core::EscapeControl(name)), "is named after no digest");
      }
    }
    return {};
  }

  // What is wrong with an image, or OK.
  Status CheckManifest(const Digest& digest) const {
    MBX_ASSIGN_OR_RETURN(const oci::Manifest manifest, store::ReadManifest(blobs_, digest));
    MBX_ASSIGN_OR_RETURN(const oci::ImageConfig config, store::ReadConfig(blobs_, manifest));
    if (config.diff_ids.size() != manifest.layers.size()) {
      return core::DataLoss(core::StrCat("has ", manifest.layers.size(), " layers but ",
                                         config.diff_ids.size(), " diff ids"));
    }
    for (const oci::Descriptor& layer : manifest.layers) {
      MBX_ASSIGN_OR_RETURN(const uint64_t size, blobs_.Size(layer.digest));
      if (size == layer.size) continue;
      return core::DataLoss(core::StrCat("layer ", layer.digest.ToString(), " has ", size,
                                         " bytes instead of ", layer.size));
    }
    return {};
  }

  Status CheckEntry(const oci::Descriptor& entry, int depth) const {
    if (oci::IsManifest(entry.media_type)) return CheckManifest(entry.digest);
    MBX_ASSIGN_OR_RETURN(const uint64_t size, blobs_.Size(entry.digest));
    if (size != entry.size) {
      return core::DataLoss(core::StrCat("has ", size, " bytes instead of ", entry.size));
    }
    if (!oci::IsIndex(entry.media_type)) return {};
    if (depth == kMaxIndexDepth) return core::DataLoss("indexes are nested too deeply");
    MBX_ASSIGN_OR_RETURN(const std::string text, blobs_.Read(entry.digest, kMaxDocument));
    MBX_ASSIGN_OR_RETURN(const oci::Index index, oci::ParseIndex(text));
    for (const oci::Descriptor& child : index.manifests) {
      // Not every platform need be there.
      if (blobs_.Exists(child.digest)) MBX_RETURN_IF_ERROR(CheckEntry(child, depth + 1));
    }
    return {};
  }

  Status VerifyIndex() {
    const auto entries = references_.List();
    if (!entries.ok()) {
      if (entries.status().code() != StatusCode::kDataLoss) return entries.status();
      Report("index.json", entries.status().message());
      return {};
    }
    std::set<Digest> counted;
    for (const oci::Descriptor& entry : *entries) {
      if (stop_.stop_requested()) return core::Cancelled("verification");
      if (counted.insert(entry.digest).second) ++report_.images;
      const Status checked = CheckEntry(entry, 0);
      if (checked.ok()) continue;
      // It may have been removed in the meantime.
      MBX_ASSIGN_OR_RETURN(const auto now, references_.List());
      const bool there = std::any_of(now.begin(), now.end(), [&](const oci::Descriptor& other) {
        return other.digest == entry.digest &&
               store::NormalisedName(other) == store::NormalisedName(entry);
      });
      if (!there) continue;
      const std::string name = store::ShownName(entry);
      Report(core::StrCat("image ", name.empty() ? entry.digest.ToString() : name),
             checked.message());
    }
    return {};
  }

  Status VerifyContainers() {
    const auto pinned = store::PinnedManifests(*root_);
    if (!pinned.ok()) {
      if (pinned.status().code() != StatusCode::kDataLoss) return pinned.status();
      Report("containers", pinned.status().message());
      return {};
    }
    for (const auto& [digest, containers] : *pinned) {
      const Status checked = CheckManifest(digest);
      if (checked.ok()) continue;
      MBX_ASSIGN_OR_RETURN(const auto now, store::PinnedManifests(*root_));
      if (!now.contains(digest)) continue;
      Report(core::StrCat("container ", core::StrJoin(containers, ", ")),
             core::StrCat("its image: ", checked.message()));
    }
    return {};
  }

  Status VerifySnapshots() {
    MBX_ASSIGN_OR_RETURN(const auto names, dir().List(store::kLayers));
    for (const std::string& name : names) {
      if (name.size() != kHexDigits) continue;
      // Half of one is no problem: it is never used, and removed by whoever looks for it.
      if (snapshots_.Peek(name).has_value()) ++report_.snapshots;
    }
    return {};
  }

  const std::shared_ptr<store::DataRoot> root_;
  const store::BlobStore blobs_;
  const store::LayerStore layers_;
  const store::References references_;
  const store::Snapshots snapshots_;
  const std::stop_token stop_;
  VerifyReport report_;
};

}  // namespace

StatusOr<VerifyReport> Store::Verify(std::stop_token stop) const {
  return Verifier(impl_->root, std::move(stop)).Run();
}

}  // namespace v1
}  // namespace minibox
