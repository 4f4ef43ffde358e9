// SPDX-License-Identifier: Apache-2.0
// The state that lines change: workdir, user, shell, environment, metadata (spec §7.4).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "build/scope.h"
#include "minibox/types.h"
#include "oci/image_config.h"

namespace minibox::build {

// Which of 65536 ports are exposed, by protocol.
class PortSet {
 public:
  // "80", "8000-8010/udp"; false if malformed.
  bool Add(std::string_view text);
  void Merge(const PortSet& other);
  std::vector<std::string> ToStrings() const;  // "80/tcp"
  bool empty() const { return tcp_.empty() && udp_.empty(); }

 private:
  std::vector<bool> tcp_, udp_;  // empty, or one flag per port
};

// What lines have set; nullopt and absence mean untouched.
struct Changes {
  std::optional<std::string> workdir{}, user{}, stop_signal{};
  std::optional<std::vector<std::string>> shell{}, start{}, entrypoint{};
  Environment env{};
  Labels labels{};
  PortSet ports{};
  std::set<std::string> volumes{};
  std::optional<oci::Healthcheck> healthcheck{};

  // Later wins; a workdir "/" of `later` does not override.
  void Inherit(const Changes& later);
};

// `base` with the changes (spec §8.6). An ENTRYPOINT without a START empties Cmd.
oci::ImageConfig ApplyChanges(const oci::ImageConfig& base, const Changes& changes);

// "user[:group]", numbers or names (spec §3).
bool IsValidUser(std::string_view text);

}  // namespace minibox::build
