// SPDX-License-Identifier: Apache-2.0
// Capability names and sets as 64-bit masks (bit n = capability n).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"

namespace minibox::kernel {

// "CAP_CHOWN", "chown", "CHOWN"; nullopt if unknown.
std::optional<int> ParseCapability(std::string_view name);
std::string CapabilityName(int capability);  // "CAP_CHOWN"
uint64_t AllCapabilities();                  // what the running kernel knows
// The default set of spec §12.8, which equals Docker's.
uint64_t DefaultCapabilities();
// `base` without `drop`, then with `add` ("ALL" allowed). kInvalidArgument names the entry:
// field "cap_add[1]".
StatusOr<uint64_t> ResolveCapabilities(uint64_t base, const std::vector<std::string>& add,
                                       const std::vector<std::string>& drop);

}  // namespace minibox::kernel
