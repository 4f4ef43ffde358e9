// SPDX-License-Identifier: Apache-2.0
// RUN --mount=type=…: what else a step sees (spec §7.8).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "build/diagnostics.h"
#include "build/words.h"

namespace minibox::build {

enum class MountType : uint8_t { kCache, kSecret, kTmpfs, kBind };

// As written: keys and values of one option, not expanded.
struct MountOption {
  struct Key {
    std::string name{};
    size_t offset = 0;            // in the source
    std::optional<Word> value{};  // none: "rw"
  };
  MountType type = MountType::kCache;
  size_t offset = 0;                  // in the source
  std::vector<Key> keys{};            // but for type and from
  std::optional<std::string> from{};  // kBind: name of a block
  size_t from_offset = 0;
};

// Expanded and checked.
struct StepMount {
  MountType type = MountType::kCache;
  std::string target{};            // absolute, clean; empty: a secret that is only a variable
  std::string id{};                // kCache, kSecret
  std::string sharing = "shared";  // kCache: "shared", "private", "locked"
  mode_t mode = 0755;              // kCache, kSecret
  uid_t uid = 0;
  gid_t gid = 0;
  std::string env{};      // kSecret: variable
  bool required = true;   // kSecret
  uint64_t bytes = 0;     // kTmpfs: size; 0: no limit of its own
  int from = -1;          // kBind: block, -1: the context
  std::string source{};   // kBind: relative to that root; "" is all of it
  bool writable = false;  // kBind: what is written is discarded
  // What of it goes into the key, in one order whatever the order of the keys.
  std::string canonical{};
};

// Of the value of --mount. nullopt after an error, which is in the diagnostics.
std::optional<MountOption> ParseMountOption(const Word& value, size_t offset,
                                            Diagnostics& diagnostics);

// `expand` gives nullopt if a value is not known or wrong; so does this then. `workdir` is what
// relative targets are relative to.
std::optional<StepMount> PlanMount(
    const MountOption& option, const std::string& workdir,
    const std::function<std::optional<std::string>(const Word&)>& expand, Diagnostics& diagnostics);

}  // namespace minibox::build
