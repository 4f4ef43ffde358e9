// SPDX-License-Identifier: Apache-2.0
// Ids of a container as archives have them, and as the host sees them on the container's files
// (spec §12.3, §12.17): 0…count-1 are base… . Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace minibox::archive {

struct LiveIds {
  uint32_t base = 0, count = 0;  // count 0: the same on both sides

  // nullopt: the container has no such id.
  std::optional<uint32_t> ToHost(uint64_t id) const;
  // What the container's kernel would say of an id that it has no name for is 65534.
  uint32_t FromHost(uint32_t id) const;
};

// The value of `security.capability` as the host has to write it so that it counts for the
// container's root, and back. What is no such value stays as it is.
std::string CapabilityToHost(const std::string& value, const LiveIds& ids);
std::string CapabilityFromHost(const std::string& value, const LiveIds& ids);

}  // namespace minibox::archive
