// SPDX-License-Identifier: Apache-2.0
#include "registry/platform.h"

#include <vector>

#include "core/errors.h"
#include "core/strings.h"
#include "oci/media_types.h"

namespace minibox::registry {
namespace {

// Variants are "v<n>", each able to run what is for the lower ones.
int Level(const Platform& platform) {
  std::string_view variant = platform.variant;
  if (variant.empty()) {
    if (platform.architecture == "arm64") return 8;
    if (platform.architecture == "arm") return 7;
    return platform.architecture == "amd64" ? 1 : 0;
  }
  if (variant.starts_with('v')) variant.remove_prefix(1);
  // "v8.1": what is after the point does not matter here.
  const auto level = core::ParseInt64(variant.substr(0, variant.find('.')));
  return level && *level >= 0 && *level < 1000 ? static_cast<int>(*level) : -1;
}

}  // namespace

std::string PlatformText(const Platform& platform) {
  std::string text = core::StrCat(platform.os, "/", platform.architecture);
  if (!platform.variant.empty()) text += core::StrCat("/", platform.variant);
  return core::EscapeControl(text);
}

Platform WantedPlatform(Platform platform) {
  if (platform.os.empty()) platform.os = "linux";
  if (!platform.architecture.empty()) return platform;
  const Platform host = oci::HostPlatform();
  platform.architecture = host.architecture;
  if (platform.variant.empty()) platform.variant = host.variant;
  return platform;
}

bool IsFor(const Platform& have, const Platform& want) {
  return have.os == want.os && have.architecture == want.architecture &&
         (have.variant == want.variant || (Level(have) >= 0 && Level(have) <= Level(want)));
}

StatusOr<oci::Descriptor> SelectEntry(const oci::Index& index, const Platform& want) {
  const oci::Descriptor* best = nullptr;
  std::vector<std::string> there;
  for (const oci::Descriptor& entry : index.manifests) {
    if (!oci::IsManifest(entry.media_type)) continue;
    // Build attestations have the platform unknown/unknown.
    if (!entry.platform || entry.platform->os == "unknown") continue;
    there.push_back(PlatformText(*entry.platform));
    if (!IsFor(*entry.platform, want)) continue;
    if (entry.platform->variant == want.variant) return entry;
    if (best == nullptr || Level(*entry.platform) > Level(*best->platform)) best = &entry;
  }
  if (best != nullptr) return *best;
  return core::Error(
      StatusCode::kNotFound, "registry_error",
      core::StrCat("no image for ", PlatformText(want), "; there is ",
                   there.empty() ? std::string("none") : core::StrJoin(there, ", ")));
}

}  // namespace minibox::registry
