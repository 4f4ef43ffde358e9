// SPDX-License-Identifier: Apache-2.0
// Which extended attributes go into and come out of layers (spec §8.7, §11.2).
#pragma once

#include <cstddef>
#include <string_view>

namespace minibox::archive {

inline constexpr size_t kMaxXattrValue = 64u << 10;

enum class XattrRule { kKeep, kIgnore, kRefuse };
XattrRule RuleForUnpacking(std::string_view name);
// Whether a layer that is made has it.
bool IsPacked(std::string_view name);

}  // namespace minibox::archive
