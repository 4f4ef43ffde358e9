// SPDX-License-Identifier: Apache-2.0
// What parses and is written again parses to the same bytes.
#include <cstdint>
#include <string_view>

#include "core/check.h"
#include "oci/image_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace oci = minibox::oci;
  const auto config =
      oci::ParseImageConfig(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!config.ok()) {
    MBX_CHECK(!config.status().message().empty());
    return 0;
  }
  const std::string once = oci::SerializeImageConfig(*config);
  const auto again = oci::ParseImageConfig(once);
  MBX_CHECK(again.ok() || once.size() > (8u << 20));
  if (again.ok()) MBX_CHECK(oci::SerializeImageConfig(*again) == once);
  return 0;
}
