// SPDX-License-Identifier: Apache-2.0
#include "oci/manifest.h"

#include "core/errors.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/media_types.h"

namespace minibox::oci {
namespace {

constexpr size_t kMaxManifestBytes = 4u << 20;
constexpr size_t kMaxLayers = 500;
constexpr size_t kMaxIndexEntries = 10'000;
constexpr int64_t kSchemaVersion = 2;

StatusOr<Platform> ParsePlatform(const json::Value& value) {
  Platform platform;
  MBX_ASSIGN_OR_RETURN(platform.os, value.GetString("os", ""));
  MBX_ASSIGN_OR_RETURN(platform.architecture, value.GetString("architecture", ""));
  MBX_ASSIGN_OR_RETURN(platform.variant, value.GetString("variant", ""));
  return platform;
}

StatusOr<Digest> ParseDigest(const json::Value& value) {
  MBX_ASSIGN_OR_RETURN(const std::string text, value.AsString());
  auto digest = Digest::Parse(text);
  if (!digest.ok()) return value.Expected("sha256: and 64 lower-case hex digits");
  return digest;
}

StatusOr<Descriptor> ParseDescriptor(const json::Value& value) {
  if (value.type() != json::Type::kObject) return value.Expected("an object");
  MBX_ASSIGN_OR_RETURN(std::string media_type, value.GetString("mediaType"));
  if (media_type.empty()) return value.Get("mediaType").Expected("a media type");
  MBX_ASSIGN_OR_RETURN(Digest digest, ParseDigest(value.Get("digest")));
  MBX_ASSIGN_OR_RETURN(const int64_t size, value.GetInt("size"));
  if (size < 0) return value.Get("size").Expected("a size");
  Descriptor descriptor{std::move(media_type), std::move(digest), static_cast<uint64_t>(size)};
  if (const json::Value platform = value.Get("platform"); !platform.empty()) {
    if (platform.type() != json::Type::kObject) return platform.Expected("an object");
    MBX_ASSIGN_OR_RETURN(descriptor.platform, ParsePlatform(platform));
  }
  MBX_ASSIGN_OR_RETURN(descriptor.annotations, value.GetStringMap("annotations"));
  return descriptor;
}

// The document if it is what its own mediaType and fields say. A document that could be read
// as a manifest and as an index is refused (CVE-2021-41190).
StatusOr<json::Value> ParseDocument(std::string_view text, bool (*is_wanted)(std::string_view),
                                    std::string_view wanted, std::string_view foreign_key) {
  MBX_ASSIGN_OR_RETURN(json::Value root, json::Parse(text, {.max_bytes = kMaxManifestBytes}));
  if (root.type() != json::Type::kObject) return root.Expected("an object");
  MBX_ASSIGN_OR_RETURN(const int64_t version, root.GetInt("schemaVersion", kSchemaVersion));
  if (version != kSchemaVersion) return root.Get("schemaVersion").Expected("2");
  MBX_ASSIGN_OR_RETURN(const std::string media_type, root.GetString("mediaType", ""));
  if (!media_type.empty() && !is_wanted(media_type)) return root.Get("mediaType").Expected(wanted);
  if (!root.Get(foreign_key).empty()) {
    return root.Get(foreign_key).Expected(core::StrCat("no such key in ", wanted));
  }
  return root;
}

void WriteDescriptor(json::Writer& out, const Descriptor& descriptor, std::string_view media_type) {
  out.BeginObject();
  out.Key("mediaType").String(media_type);
  out.Key("digest").String(descriptor.digest.ToString());
  out.Key("size").Uint(descriptor.size);
  if (descriptor.platform.has_value()) {
    out.Key("platform").BeginObject();
    out.Key("architecture").String(descriptor.platform->architecture);
    out.Key("os").String(descriptor.platform->os);
    if (!descriptor.platform->variant.empty()) {
      out.Key("variant").String(descriptor.platform->variant);
    }
    out.EndObject();
  }
  if (!descriptor.annotations.empty()) out.Key("annotations").StringMap(descriptor.annotations);
  out.EndObject();
}

// What an empty variant means.
std::string_view Variant(const Platform& platform) {
  if (!platform.variant.empty()) return platform.variant;
  if (platform.architecture == "arm64") return "v8";
  if (platform.architecture == "arm") return "v7";
  if (platform.architecture == "amd64") return "v1";
  return "";
}

}  // namespace

StatusOr<Manifest> ParseManifest(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root,
                       ParseDocument(text, IsManifest, "an image manifest", "manifests"));
  MBX_ASSIGN_OR_RETURN(Descriptor config, ParseDescriptor(root.Get("config")));
  Manifest manifest{std::move(config)};
  const json::Value layers = root.Get("layers");
  if (!layers.empty() && layers.type() != json::Type::kArray) return layers.Expected("an array");
  if (layers.size() > kMaxLayers) return layers.Expected("at most 500 layers");
  for (const json::Value& layer : layers.Elements()) {
    MBX_ASSIGN_OR_RETURN(Descriptor descriptor, ParseDescriptor(layer));
    manifest.layers.push_back(std::move(descriptor));
  }
  MBX_ASSIGN_OR_RETURN(manifest.annotations, root.GetStringMap("annotations"));
  return manifest;
}

StatusOr<Index> ParseIndex(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root,
                       ParseDocument(text, IsIndex, "an image index", "layers"));
  const json::Value manifests = root.Get("manifests");
  if (!manifests.empty() && manifests.type() != json::Type::kArray) {
    return manifests.Expected("an array");
  }
  if (manifests.size() > kMaxIndexEntries) return manifests.Expected("at most 10000 manifests");
  Index index;
  for (const json::Value& entry : manifests.Elements()) {
    MBX_ASSIGN_OR_RETURN(Descriptor descriptor, ParseDescriptor(entry));
    index.manifests.push_back(std::move(descriptor));
  }
  return index;
}

std::string SerializeManifest(const Manifest& manifest) {
  json::Writer out;
  out.BeginObject();
  out.Key("schemaVersion").Int(kSchemaVersion);
  out.Key("mediaType").String(kOciManifest);
  out.Key("config");
  const std::string& config_type = manifest.config.media_type;
  WriteDescriptor(out, manifest.config, config_type == kDockerConfig ? kOciConfig : config_type);
  out.Key("layers").BeginArray();
  for (const Descriptor& layer : manifest.layers) {
    WriteDescriptor(out, layer, ToOciLayerType(layer.media_type));
  }
  out.EndArray();
  if (!manifest.annotations.empty()) out.Key("annotations").StringMap(manifest.annotations);
  out.EndObject();
  return out.Take();
}

std::string SerializeIndex(const Index& index) {
  json::Writer out(2);
  out.BeginObject();
  out.Key("schemaVersion").Int(kSchemaVersion);
  out.Key("mediaType").String(kOciIndex);
  out.Key("manifests").BeginArray();
  for (const Descriptor& entry : index.manifests) WriteDescriptor(out, entry, entry.media_type);
  out.EndArray();
  out.EndObject();
  return out.Take();
}

Platform HostPlatform() {
  Platform host;
#if defined(__x86_64__)
  host.architecture = "amd64";
#elif defined(__i386__)
  host.architecture = "386";
#elif defined(__aarch64__)
  host.architecture = "arm64";
#elif defined(__arm__)
  host.architecture = "arm";
#elif defined(__riscv) && __riscv_xlen == 64
  host.architecture = "riscv64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
  host.architecture = "ppc64le";
#elif defined(__s390x__)
  host.architecture = "s390x";
#elif defined(__loongarch64)
  host.architecture = "loong64";
#else
#error "name this architecture as Go does"
#endif
  return host;
}

bool MatchesPlatform(const Platform& have, const Platform& want) {
  Platform wanted = want;
  if (wanted.architecture.empty()) wanted.architecture = HostPlatform().architecture;
  return have.os == wanted.os && have.architecture == wanted.architecture &&
         Variant(have) == Variant(wanted);
}

const Descriptor* SelectManifest(const Index& index, const Platform& want) {
  const Descriptor* single = nullptr;
  int images = 0;
  for (const Descriptor& entry : index.manifests) {
    if (!IsManifest(entry.media_type)) continue;
    if (!entry.platform.has_value()) {
      single = &entry;
      ++images;
      continue;
    }
    // Build attestations are listed with the platform unknown/unknown.
    if (entry.platform->os == "unknown") continue;
    if (MatchesPlatform(*entry.platform, want)) return &entry;
    single = &entry;
    ++images;
  }
  return images == 1 ? single : nullptr;
}

}  // namespace minibox::oci
