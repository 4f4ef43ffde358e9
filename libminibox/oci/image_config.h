// SPDX-License-Identifier: Apache-2.0
// The OCI image configuration: bytes to values and back. Pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::oci {

struct Healthcheck {
  std::vector<std::string> test{};  // {"CMD", …}, {"CMD-SHELL", s}, {"NONE"}
  int64_t interval_ns = 0, timeout_ns = 0, start_period_ns = 0;
  int retries = 0;
};

struct History {
  std::string created{}, created_by{}, comment{};
  bool empty_layer = false;
};

struct ImageConfig {
  std::string created{};  // RFC 3339
  Platform platform{};
  // "config"
  std::string user{}, working_dir{}, stop_signal{};
  std::vector<std::string> env{}, cmd{}, entrypoint{}, shell{};
  std::vector<std::string> exposed_ports{};  // "80/tcp", sorted
  std::vector<std::string> volumes{};        // absolute paths, sorted
  Labels labels{};
  std::optional<Healthcheck> healthcheck{};
  // "rootfs", "history"
  std::vector<Digest> diff_ids{};  // bottom first
  std::vector<History> history{};
};

// kInvalidArgument names the path; limit 8 MiB. Unknown keys are ignored.
StatusOr<ImageConfig> ParseImageConfig(std::string_view json);
// Compact, fixed key order: equal values give equal bytes.
std::string SerializeImageConfig(const ImageConfig& config);

}  // namespace minibox::oci
