// SPDX-License-Identifier: Apache-2.0
// Keys of the build cache: SHA-256 over length-prefixed fields, chained (spec §8.3). What is
// in a key is here and nowhere else.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "build/plan.h"
#include "core/sha256.h"

namespace minibox::build {

// Fields that cannot run into each other.
class KeyHash {
 public:
  // `kind` keeps keys of different nodes apart.
  explicit KeyHash(std::string_view kind);
  KeyHash& Add(std::string_view field);
  KeyHash& Add(uint64_t number);
  KeyHash& Add(const std::vector<std::string>& fields);
  std::string Finish();  // 64 hex digits

 private:
  core::Sha256 hash_;
};

// What holds for every action of a build.
struct KeySettings {
  std::string platform{};  // "linux/amd64"
  int64_t epoch = 0;
};

// One entry that COPY takes, as it goes into the key.
struct KeyEntry {
  std::string target{};  // relative to the destination
  mode_t type = 0;       // S_IFMT bits
  mode_t mode = 0;
  std::string link{};
  uint64_t size = 0;
  std::string content{};     // SHA-256 of a file's bytes; of a hard link, its first name's
  std::string capability{};  // security.capability
  uint64_t device = 0;       // of device nodes
  std::string owner{};       // "uid:gid" where the owner is kept
};

// `base` is a manifest digest or "scratch"; `stack` are the final keys of the NEED closure in
// stacking order.
std::string BlockStartKey(std::string_view base, const std::vector<std::string>& stack);
// `network` is the one in force. `entries` belong to COPY and bind mounts. Owners are in the
// canonical instruction: with the root that `previous` stands for it says what the ids are.
std::string ActionKey(std::string_view previous, const Action& action, std::string_view network,
                      const KeySettings& settings, const std::vector<KeyEntry>& entries);

}  // namespace minibox::build
