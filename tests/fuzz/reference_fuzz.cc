// SPDX-License-Identifier: Apache-2.0
// What parses has a normalised and a shown form that both parse back to the same.
#include <cstdint>
#include <string_view>

#include "core/check.h"
#include "minibox/types.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto ref = minibox::ImageRef::Parse(text);
  if (!ref.ok()) {
    MBX_CHECK(ref.status().reason() == "invalid_reference");
    return 0;
  }
  MBX_CHECK(!ref->repository().empty());
  MBX_CHECK(!ref->tag().empty() || !ref->digest().empty());
  for (const std::string& form : {ref->ToString(), ref->Shown()}) {
    const auto again = minibox::ImageRef::Parse(form);
    MBX_CHECK(again.ok());
    MBX_CHECK(again->ToString() == ref->ToString());
    MBX_CHECK(again->is_local() == ref->is_local());
  }
  return 0;
}
