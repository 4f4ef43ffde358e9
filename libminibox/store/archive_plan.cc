// SPDX-License-Identifier: Apache-2.0
#include "store/archive_plan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "archive/compression.h"
#include "core/errors.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"
#include "oci/media_types.h"
#include "store/layer_store.h"
#include "store/references.h"

namespace minibox::store {
namespace {

constexpr int kMaxIndexDepth = 4;
constexpr size_t kMaxImages = 10'000;
constexpr size_t kHexDigits = 64;

// A parse error of the document or blob `entry`.
Status InEntry(std::string_view entry, const Status& status) {
  if (status.ok() || status.reason() == "invalid_archive") return status;
  return InvalidArchive(entry, status.message());
}

std::string BlobName(const Digest& digest) { return core::StrCat("blobs/sha256/", digest.hex()); }

class Planner {
 public:
  Planner(const StagedArchive& archive, const Platform& platform)
      : archive_(archive), platform_(platform) {}

  StatusOr<std::vector<PlannedImage>> Run() {
    Status status;
    if (archive_.Document("index.json") != nullptr) {
      status = PlanLayout();
    } else if (archive_.Document("manifest.json") != nullptr) {
      status = PlanDockerArchive();
    } else if (archive_.Document("meta.json") != nullptr) {
      status = PlanMeta();
    } else {
      status = core::Error(StatusCode::kInvalidArgument, "invalid_archive",
                           "no image archive: neither index.json nor manifest.json nor meta.json");
    }
    MBX_RETURN_IF_ERROR(status);
    if (images_.empty()) {
      return core::Error(StatusCode::kInvalidArgument, "invalid_archive",
                         "the archive holds no image");
    }
    return std::move(images_);
  }

 private:
  // A file that must be there. `size` is what a descriptor says.
  StatusOr<const StagedFile*> FindBlob(const Digest& digest, std::optional<uint64_t> size) {
    const std::string name = BlobName(digest);
    const StagedFile* file = archive_.Find(name);
    // Archives of older versions have them without the algorithm's directory.
    if (file == nullptr) file = archive_.Find(core::StrCat("blobs/", digest.hex()));
    if (file == nullptr) file = archive_.Find(core::StrCat("blobs/", digest.ToString()));
    if (file == nullptr) return InvalidArchive(name, "is missing");
    if (file->digest != digest) {
      return InvalidArchive(name, core::StrCat("has the digest ", file->digest.ToString()));
    }
    if (size.has_value() && file->size != *size) {
      return InvalidArchive(name, core::StrCat("has ", file->size, " bytes instead of ", *size));
    }
    return file;
  }

  StatusOr<json::Value> ParseDocument(std::string_view name) {
    auto root = json::Parse(*archive_.Document(name), {.max_bytes = kMaxArchiveJson});
    if (!root.ok()) return InEntry(name, root.status());
    return root;
  }

  static StatusOr<ImageRef> ParseName(std::string_view entry, std::string_view text) {
    auto name = ImageRef::Parse(text);
    if (!name.ok()) return InEntry(entry, name.status());
    return name;
  }

  // ---- OCI layout

  Status PlanLayout() {
    if (archive_.Document("oci-layout") != nullptr) {
      MBX_ASSIGN_OR_RETURN(const json::Value layout, ParseDocument("oci-layout"));
      auto version = layout.GetString("imageLayoutVersion");
      if (!version.ok()) return InEntry("oci-layout", version.status());
      if (*version != "1.0.0") return InvalidArchive("oci-layout", "unknown version");
    }
    auto index = oci::ParseIndex(*archive_.Document("index.json"));
    if (!index.ok()) return InEntry("index.json", index.status());
    // Entries of one name are platforms of one image; so may be those without a name.
    struct Group {
      std::optional<ImageRef> name;
      std::vector<const oci::Descriptor*> entries;
    };
    std::vector<Group> groups;
    for (const oci::Descriptor& entry : index->manifests) {
      if (entry.platform.has_value() && entry.platform->os == "unknown") continue;
      MBX_ASSIGN_OR_RETURN(std::optional<ImageRef> name, NameOf(entry));
      const std::string key = name.has_value() ? name->ToString() : "";
      const auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& g) {
        return (g.name.has_value() ? g.name->ToString() : "") == key;
      });
      if (group != groups.end()) {
        group->entries.push_back(&entry);
      } else {
        groups.push_back({std::move(name), {&entry}});
      }
    }
    for (const Group& group : groups) MBX_RETURN_IF_ERROR(PlanGroup(group.name, group.entries));
    return {};
  }

  // The shown name if both annotations mean the same, else the complete one: docker writes the
  // bare tag into the first.
  static StatusOr<std::optional<ImageRef>> NameOf(const oci::Descriptor& entry) {
    const auto find = [&](std::string_view key) -> std::string {
      const auto found = entry.annotations.find(std::string(key));
      return found == entry.annotations.end() ? "" : found->second;
    };
    const std::string shown = find(kRefName), full = find(kImageName);
    if (full.empty() && shown.empty()) return std::optional<ImageRef>();
    if (full.empty()) {
      MBX_ASSIGN_OR_RETURN(ImageRef name, ParseName("index.json", shown));
      return std::optional<ImageRef>(std::move(name));
    }
    MBX_ASSIGN_OR_RETURN(ImageRef name, ParseName("index.json", full));
    if (auto short_name = ImageRef::Parse(shown);
        short_name.ok() && short_name->ToString() == name.ToString()) {
      return std::optional<ImageRef>(*std::move(short_name));
    }
    return std::optional<ImageRef>(std::move(name));
  }

  Status PlanGroup(const std::optional<ImageRef>& name,
                   const std::vector<const oci::Descriptor*>& entries) {
    std::vector<PlannedImage> candidates;
    std::set<Digest> seen;
    for (const oci::Descriptor* entry : entries) {
      // With several to choose from, those that say that they are for others need not be whole.
      if (entries.size() > 1 && entry->platform.has_value() &&
          !oci::MatchesPlatform(*entry->platform, platform_)) {
        continue;
      }
      MBX_ASSIGN_OR_RETURN(PlannedImage image, PlanDescriptor(*entry, 0));
      if (seen.insert(image.descriptor.digest).second) candidates.push_back(std::move(image));
    }
    if (entries.size() > 1 && candidates.size() > 1) {
      std::erase_if(candidates, [&](const PlannedImage& image) {
        return !oci::MatchesPlatform(image.config.platform, platform_);
      });
    }
    const std::string shown = name.has_value() ? name->Shown() : "";
    if (candidates.empty()) return NoPlatform(shown);
    if (name.has_value() && candidates.size() > 1) {
      return InvalidArchive("index.json", core::StrCat("several images are named ", shown));
    }
    for (PlannedImage& image : candidates) {
      if (name.has_value()) image.names.push_back(*name);
      MBX_RETURN_IF_ERROR(Add(std::move(image)));
    }
    return {};
  }

  Status NoPlatform(std::string_view entry) const {
    const std::string& architecture =
        platform_.architecture.empty() ? oci::HostPlatform().architecture : platform_.architecture;
    return InvalidArchive(entry.empty() ? "index.json" : entry,
                          core::StrCat("no image for ", platform_.os, "/", architecture));
  }

  StatusOr<PlannedImage> PlanDescriptor(const oci::Descriptor& descriptor, int depth) {
    if (!oci::IsIndex(descriptor.media_type)) {
      if (!oci::IsManifest(descriptor.media_type)) {
        return InvalidArchive(BlobName(descriptor.digest),
                              core::StrCat("unknown type ", descriptor.media_type));
      }
      return PlanManifest(descriptor.digest, descriptor.size, descriptor.media_type);
    }
    if (depth == kMaxIndexDepth) {
      return InvalidArchive(BlobName(descriptor.digest), "indexes are nested too deeply");
    }
    MBX_ASSIGN_OR_RETURN(const StagedFile* file, FindBlob(descriptor.digest, descriptor.size));
    return PlanIndex(*file, depth);
  }

  StatusOr<PlannedImage> PlanIndex(const StagedFile& file, int depth) {
    const std::string name = BlobName(file.digest);
    MBX_ASSIGN_OR_RETURN(const std::string text, archive_.ReadJson(name, file));
    auto index = oci::ParseIndex(text);
    if (!index.ok()) return InEntry(name, index.status());
    if (const oci::Descriptor* chosen = oci::SelectManifest(*index, platform_)) {
      return PlanDescriptor(*chosen, depth + 1);
    }
    if (index->manifests.size() == 1 && oci::IsIndex(index->manifests[0].media_type)) {
      return PlanDescriptor(index->manifests[0], depth + 1);
    }
    return NoPlatform(name);
  }

  StatusOr<PlannedImage> PlanManifest(const Digest& digest, std::optional<uint64_t> size,
                                      std::string_view media_type) {
    MBX_ASSIGN_OR_RETURN(const StagedFile* file, FindBlob(digest, size));
    const std::string name = BlobName(digest);
    MBX_ASSIGN_OR_RETURN(std::string text, archive_.ReadJson(name, *file));
    auto manifest = oci::ParseManifest(text);
    if (!manifest.ok()) return InEntry(name, manifest.status());
    const std::string& config_type = manifest->config.media_type;
    if (config_type != oci::kOciConfig && config_type != oci::kDockerConfig) {
      return InvalidArchive(name, core::StrCat("is no image: its configuration is ", config_type));
    }
    PlannedImage image{.descriptor = {std::string(media_type), digest, file->size},
                       .manifest = *std::move(manifest)};
    image.manifest_bytes = std::move(text);
    image.manifest_file = file;
    const oci::Descriptor& config = image.manifest.config;
    MBX_ASSIGN_OR_RETURN(image.config_file, FindBlob(config.digest, config.size));
    for (const oci::Descriptor& layer : image.manifest.layers) {
      MBX_ASSIGN_OR_RETURN(const StagedFile* blob, FindBlob(layer.digest, layer.size));
      image.layer_files.push_back(blob);
    }
    MBX_RETURN_IF_ERROR(ReadConfig(BlobName(config.digest), image));
    return image;
  }

  Status ReadConfig(std::string_view name, PlannedImage& image) {
    MBX_ASSIGN_OR_RETURN(const std::string text, archive_.ReadJson(name, *image.config_file));
    auto config = oci::ParseImageConfig(text);
    if (!config.ok()) return InEntry(name, config.status());
    image.config = *std::move(config);
    image.descriptor.platform = image.config.platform;
    if (image.config.diff_ids.size() != image.layer_files.size()) {
      return InvalidArchive(
          name, core::StrCat("names ", image.config.diff_ids.size(), " layers, the image has ",
                             image.layer_files.size()));
    }
    return {};
  }

  // ---- docker-archive

  Status PlanDockerArchive() {
    MBX_ASSIGN_OR_RETURN(const json::Value table, ParseDocument("manifest.json"));
    if (table.type() != json::Type::kArray) {
      return InEntry("manifest.json", table.Expected("an array"));
    }
    for (const json::Value& row : table.Elements()) {
      if (const Status status = PlanTableRow(row); !status.ok()) {
        return InEntry("manifest.json", status);
      }
    }
    return {};
  }

  Status PlanTableRow(const json::Value& row) {
    MBX_ASSIGN_OR_RETURN(const std::string config_name, row.GetString("Config"));
    MBX_ASSIGN_OR_RETURN(const auto tags, row.GetStringArray("RepoTags"));
    MBX_ASSIGN_OR_RETURN(const auto layer_names, row.GetStringArray("Layers"));
    const StagedFile* config_file = archive_.Find(config_name);
    if (config_file == nullptr) return InvalidArchive(config_name, "is missing");
    MBX_RETURN_IF_ERROR(CheckNameOfContent(config_name, *config_file));
    oci::Descriptor config{std::string(oci::kOciConfig), config_file->digest, config_file->size};
    PlannedImage image{.descriptor = config, .manifest = {std::move(config)}};
    image.config_file = config_file;
    for (const std::string& layer_name : layer_names) {
      const StagedFile* layer = archive_.Find(layer_name);
      if (layer == nullptr) return InvalidArchive(layer_name, "is missing");
      MBX_RETURN_IF_ERROR(CheckNameOfContent(layer_name, *layer));
      MBX_ASSIGN_OR_RETURN(const std::string_view type, LayerType(*layer));
      image.manifest.layers.push_back({std::string(type), layer->digest, layer->size});
      image.layer_files.push_back(layer);
    }
    MBX_RETURN_IF_ERROR(ReadConfig(config_name, image));
    image.manifest_bytes = oci::SerializeManifest(image.manifest);
    image.descriptor = {std::string(oci::kOciManifest), oci::DigestOf(image.manifest_bytes),
                        image.manifest_bytes.size(), image.config.platform};
    for (const std::string& tag : tags) {
      MBX_ASSIGN_OR_RETURN(ImageRef name, ParseName("manifest.json", tag));
      image.names.push_back(std::move(name));
    }
    return Add(std::move(image));
  }

  // A file named after a digest ("<hex>.json", "blobs/sha256/<hex>") must have it.
  static Status CheckNameOfContent(std::string_view name, const StagedFile& file) {
    const size_t slash = name.rfind('/');
    std::string_view base = slash == std::string_view::npos ? name : name.substr(slash + 1);
    const bool is_json = base.ends_with(".json");
    if (is_json) base.remove_suffix(5);
    const bool is_blob = name.starts_with("blobs/sha256/");
    if ((!is_json && !is_blob) || base.size() != kHexDigits) return {};
    if (file.digest.hex() == base) return {};
    return InvalidArchive(name, core::StrCat("has the digest ", file.digest.ToString()));
  }

  StatusOr<std::string_view> LayerType(const StagedFile& file) {
    MBX_ASSIGN_OR_RETURN(const core::Fd fd, archive_.Open(file));
    char head[8];
    size_t size = 0;
    const archive::ReadFn read = archive::ReadFromFd(fd.get());
    while (size < sizeof head) {
      MBX_ASSIGN_OR_RETURN(const size_t count, read(head + size, sizeof head - size));
      if (count == 0) break;
      size += count;
    }
    return LayerMediaType(archive::DetectCompression(std::string_view(head, size)));
  }

  // ---- meta.json of older versions

  Status PlanMeta() {
    MBX_ASSIGN_OR_RETURN(const json::Value meta, ParseDocument("meta.json"));
    const json::Value list = meta.Get("images");
    std::vector<json::Value> entries = list.Elements();
    if (entries.empty()) entries.push_back(meta);
    for (const json::Value& entry : entries) {
      if (const Status status = PlanMetaEntry(entry); !status.ok()) {
        return InEntry("meta.json", status);
      }
    }
    return {};
  }

  Status PlanMetaEntry(const json::Value& entry) {
    MBX_ASSIGN_OR_RETURN(const std::string name, entry.GetString("image", ""));
    MBX_ASSIGN_OR_RETURN(std::string text, entry.GetString("manifest_digest"));
    if (!text.starts_with("sha256:")) text.insert(0, "sha256:");
    const auto digest = Digest::Parse(text);
    if (!digest.ok()) return entry.Get("manifest_digest").Expected("a digest");
    MBX_ASSIGN_OR_RETURN(PlannedImage image, PlanManifestOrIndex(*digest));
    if (!name.empty()) {
      MBX_ASSIGN_OR_RETURN(ImageRef ref, ParseName("meta.json", name));
      image.names.push_back(std::move(ref));
    }
    return Add(std::move(image));
  }

  // This form does not say what the digest is of.
  StatusOr<PlannedImage> PlanManifestOrIndex(const Digest& digest) {
    const std::string name = BlobName(digest);
    MBX_ASSIGN_OR_RETURN(const StagedFile* file, FindBlob(digest, std::nullopt));
    MBX_ASSIGN_OR_RETURN(const std::string text, archive_.ReadJson(name, *file));
    auto root = json::Parse(text, {.max_bytes = kMaxArchiveJson});
    if (!root.ok()) return InEntry(name, root.status());
    if (!root->Get("manifests").empty()) return PlanIndex(*file, 0);
    auto type = root->GetString("mediaType", oci::kOciManifest);
    if (!type.ok()) return InEntry(name, type.status());
    return PlanManifest(digest, std::nullopt, *type);
  }

  // ----

  // One image may be listed several times with different names.
  Status Add(PlannedImage image) {
    if (images_.size() == kMaxImages) {
      return core::Error(StatusCode::kInvalidArgument, "invalid_archive", "too many images");
    }
    const auto same = std::find_if(images_.begin(), images_.end(), [&](const PlannedImage& other) {
      return other.descriptor.digest == image.descriptor.digest;
    });
    if (same == images_.end()) {
      images_.push_back(std::move(image));
      return {};
    }
    for (ImageRef& name : image.names) {
      const bool known =
          std::any_of(same->names.begin(), same->names.end(),
                      [&](const ImageRef& other) { return other.ToString() == name.ToString(); });
      if (!known) same->names.push_back(std::move(name));
    }
    return {};
  }

  const StagedArchive& archive_;
  const Platform& platform_;
  std::vector<PlannedImage> images_;
};

}  // namespace

StatusOr<std::vector<PlannedImage>> PlanArchive(const StagedArchive& archive,
                                                const Platform& platform) {
  return Planner(archive, platform).Run();
}

}  // namespace minibox::store
