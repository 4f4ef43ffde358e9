// SPDX-License-Identifier: Apache-2.0
// No document is both a manifest and an index that names something; what parses and is written
// again parses to the same bytes.
#include <cstdint>
#include <string_view>

#include "core/check.h"
#include "oci/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace oci = minibox::oci;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = oci::ParseManifest(text);
  if (manifest.ok()) {
    const std::string once = oci::SerializeManifest(*manifest);
    const auto again = oci::ParseManifest(once);
    MBX_CHECK(again.ok());
    MBX_CHECK(oci::SerializeManifest(*again) == once);
  }
  const auto index = oci::ParseIndex(text);
  if (index.ok()) {
    MBX_CHECK(!manifest.ok() || index->manifests.empty());
    const std::string once = oci::SerializeIndex(*index);
    // Indented, it may have outgrown the limit.
    const auto again = oci::ParseIndex(once);
    MBX_CHECK(again.ok() || once.size() > (4u << 20));
    if (again.ok()) MBX_CHECK(oci::SerializeIndex(*again) == once);
    const oci::Descriptor* chosen = oci::SelectManifest(*index, oci::HostPlatform());
    MBX_CHECK(chosen == nullptr || !index->manifests.empty());
  }
  return 0;
}
