// SPDX-License-Identifier: Apache-2.0
#include "store/lookup.h"

#include <algorithm>
#include <map>
#include <string>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/media_types.h"
#include "store/references.h"

namespace minibox::store {
namespace {

constexpr size_t kMinPrefix = 6, kDigestDigits = 64;
constexpr size_t kMaxManifestBytes = 4u << 20, kMaxConfigBytes = 8u << 20;
constexpr std::string_view kAlgorithm = "sha256:";

using Entries = std::vector<oci::Descriptor>;

Status ImageNotFound() { return core::NotFound("image_not_found", "image not found"); }

// The hex digits of a digest or prefix; empty if `text` is none.
std::string_view HexPrefix(std::string_view text) {
  if (text.starts_with(kAlgorithm)) text.remove_prefix(kAlgorithm.size());
  const bool hex = text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return hex && text.size() >= kMinPrefix && text.size() <= kDigestDigits ? text
                                                                          : std::string_view();
}

const oci::Descriptor* FindReference(const Entries& entries, const ImageRef& ref) {
  const std::string name = ref.ToString();
  for (const oci::Descriptor& entry : entries) {
    if (NormalisedName(entry) == name) return &entry;
  }
  if (ref.digest().empty()) return nullptr;
  // "name:tag@digest", not registered as such: the digest decides what it is, and the rest has
  // to be true of it.
  for (const oci::Descriptor& entry : entries) {
    // Either the manifest's own digest or that of the index it was taken from.
    if (entry.digest.ToString() != ref.digest() &&
        AnnotationOf(entry, kSourceDigest) != ref.digest()) {
      continue;
    }
    const auto other = ImageRef::Parse(NormalisedName(entry));
    if (other.ok() && other->registry() == ref.registry() &&
        other->repository() == ref.repository() &&
        (ref.tag().empty() || other->tag() == ref.tag())) {
      return &entry;
    }
  }
  return nullptr;
}

std::string Describe(const oci::Descriptor& entry) {
  const std::string name = ShownName(entry);
  return name.empty() ? entry.digest.ToString()
                      : core::StrCat(entry.digest.ToString(), " (", name, ")");
}

StatusOr<const oci::Descriptor*> FindPrefix(const BlobStore& blobs, const Entries& entries,
                                            std::string_view prefix) {
  // The first entry of each manifest that matches itself or by its config.
  std::map<Digest, const oci::Descriptor*> matches;
  std::map<Digest, bool> seen;
  for (const oci::Descriptor& entry : entries) {
    if (!seen.emplace(entry.digest, true).second) continue;
    bool match = entry.digest.hex().starts_with(prefix);
    if (const auto source = Digest::Parse(AnnotationOf(entry, kSourceDigest)); source.ok()) {
      match |= source->hex().starts_with(prefix);
    }
    if (!match && oci::IsManifest(entry.media_type)) {
      const auto manifest = ReadManifest(blobs, entry.digest);
      if (manifest.ok()) {
        match = manifest->config.digest.hex().starts_with(prefix);
      } else {
        core::LogWarning("store", core::StrCat(manifest.status().message(), ", ignoring"));
      }
    }
    if (match) matches.emplace(entry.digest, &entry);
  }
  if (matches.empty()) return ImageNotFound();
  if (matches.size() == 1) return matches.begin()->second;
  std::vector<std::string> candidates;
  for (const auto& [digest, entry] : matches) candidates.push_back(Describe(*entry));
  return core::FailedPrecondition("ambiguous_name",
                                  core::StrCat("'", prefix, "' is the start of several images: ",
                                               core::StrJoin(candidates, ", ")));
}

// What a blob holds that has its digest but not its form.
Status Malformed(std::string_view what, const Digest& digest, const Status& why) {
  return core::DataLoss(core::StrCat(what, " ", digest.ToString(), ": ", why.message()));
}

}  // namespace

StatusOr<Found> FindImage(const BlobStore& blobs, const Entries& entries,
                          std::string_view name_or_id) {
  const auto ref = ImageRef::Parse(name_or_id);
  if (ref.ok()) {
    const oci::Descriptor* entry = FindReference(entries, *ref);
    if (entry != nullptr) return Found{*entry, /*by_name=*/true};
  }
  const std::string_view prefix = HexPrefix(name_or_id);
  if (prefix.empty()) return ref.ok() ? ImageNotFound() : ref.status();
  MBX_ASSIGN_OR_RETURN(const oci::Descriptor* entry, FindPrefix(blobs, entries, prefix));
  return Found{*entry, /*by_name=*/false};
}

StatusOr<oci::Manifest> ReadManifest(const BlobStore& blobs, const Digest& digest) {
  auto text = blobs.Read(digest, kMaxManifestBytes);
  if (!text.ok()) return text.status().WithContext("manifest");
  auto manifest = oci::ParseManifest(*text);
  if (!manifest.ok()) return Malformed("manifest", digest, manifest.status());
  return manifest;
}

StatusOr<oci::ImageConfig> ReadConfig(const BlobStore& blobs, const oci::Manifest& manifest) {
  const Digest& digest = manifest.config.digest;
  auto text = blobs.Read(digest, kMaxConfigBytes);
  if (!text.ok()) return text.status().WithContext("image config");
  auto config = oci::ParseImageConfig(*text);
  if (!config.ok()) return Malformed("image config", digest, config.status());
  return config;
}

}  // namespace minibox::store
