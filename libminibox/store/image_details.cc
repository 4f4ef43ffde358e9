// SPDX-License-Identifier: Apache-2.0
// Everything that is known of one image: Store::InspectImage and GetHistory.
#include <algorithm>
#include <utility>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/store_impl.h"
#include "store/usage.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr size_t kMaxManifestBytes = 4u << 20, kMaxConfigBytes = 8u << 20;

StatusOr<Platform> ParsePlatform(std::string_view text) {
  const auto parts = core::StrSplit(text, '/');
  const bool bad =
      parts.size() < 2 || parts.size() > 3 ||
      std::any_of(parts.begin(), parts.end(), [](std::string_view part) { return part.empty(); });
  if (bad) return core::InvalidArgument("platform", "must be os/architecture[/variant]");
  Platform platform;
  platform.os = parts[0];
  platform.architecture = parts[1];
  if (parts.size() == 3) platform.variant = parts[2];
  return platform;
}

}  // namespace

StatusOr<ImageDetails> Store::InspectImage(std::string_view name_or_id,
                                           std::string_view platform) const {
  MBX_ASSIGN_OR_RETURN(Impl::Image image, impl_->Resolve(name_or_id));
  if (!platform.empty()) {
    MBX_ASSIGN_OR_RETURN(const Platform wanted, ParsePlatform(platform));
    if (!oci::MatchesPlatform(image.config.platform, wanted)) {
      return core::NotFound("image_not_found",
                            core::StrCat("the image is for ", image.config.platform.os, "/",
                                         image.config.platform.architecture, ", not for ",
                                         core::EscapeControl(platform)));
    }
  }
  MBX_ASSIGN_OR_RETURN(const auto users, store::ContainersByImage(*impl_->root));
  ImageDetails details{.info = std::move(image.info)};
  if (const auto used = users.find(details.info.manifest.ToString()); used != users.end()) {
    details.info.in_use = true;
    details.containers = used->second;
  }
  MBX_ASSIGN_OR_RETURN(details.manifest_json,
                       impl_->blobs.Read(details.info.manifest, kMaxManifestBytes));
  MBX_ASSIGN_OR_RETURN(details.config_json,
                       impl_->blobs.Read(image.manifest.config.digest, kMaxConfigBytes));
  const auto& diff_ids = image.config.diff_ids;
  for (size_t i = 0; i < image.manifest.layers.size() && i < diff_ids.size(); ++i) {
    const oci::Descriptor& layer = image.manifest.layers[i];
    details.layers.push_back({.digest = layer.digest,
                              .diff_id = diff_ids[i],
                              .size = layer.size,
                              .media_type = layer.media_type});
  }
  return details;
}

StatusOr<std::vector<ImageHistory>> Store::GetHistory(std::string_view name_or_id) const {
  MBX_ASSIGN_OR_RETURN(const Impl::Image image, impl_->Resolve(name_or_id));
  const auto& layers = image.manifest.layers;
  std::vector<ImageHistory> history;
  size_t next = 0;
  const auto take_layer = [&](ImageHistory& entry) {
    entry.size = layers[next].size;
    entry.digest = layers[next].digest.ToString();
    ++next;
  };
  for (const oci::History& step : image.config.history) {
    ImageHistory& entry = history.emplace_back();
    entry.created = step.created;
    entry.created_by = step.created_by;
    entry.comment = step.comment;
    entry.empty_layer = step.empty_layer;
    if (!step.empty_layer && next < layers.size()) take_layer(entry);
  }
  // Tools leave it out.
  while (next < layers.size()) take_layer(history.emplace_back());
  std::reverse(history.begin(), history.end());
  return history;
}

}  // namespace v1
}  // namespace minibox
