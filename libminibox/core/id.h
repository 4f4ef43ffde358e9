// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace minibox::core {
// `digits` random lower-case hex digits from the kernel's generator.
std::string RandomHex(int digits);
}  // namespace minibox::core
