// SPDX-License-Identifier: Apache-2.0
// Digests of bytes. minibox::Digest (minibox/types.h) is the parsed form; its Parse is here.
#pragma once

#include <string_view>

#include "minibox/types.h"

namespace minibox::oci {
Digest DigestOf(std::string_view bytes);
// From 64 lower-case hex digits that are known to be good.
Digest DigestFromHex(std::string_view hex);
}  // namespace minibox::oci
