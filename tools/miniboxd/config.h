// SPDX-License-Identifier: Apache-2.0
// The daemon's configuration from its environment (spec §2.1).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/log.h"
#include "minibox/registry.h"
#include "minibox/status.h"

namespace miniboxd {

// What the HTTP server of this build lacks must not be configured (spec §1.1).
struct ServerFeatures {
  bool unix_socket = false, tls = false, ipv6 = false;
};

struct Config {
  std::string data_root = "/var/lib/minibox";
  std::string run_dir{};  // resolved: never empty after ReadConfig
  std::string host = "127.0.0.1";
  int port = 8080;
  std::string api_token{};
  std::vector<std::string> allowed_hosts{};
  int max_connections = 512;
  std::vector<std::string> build_prefixes{};
  std::vector<std::string> bind_prefixes{};
  uint32_t subid_base = 100000, subid_count = 65536;
  std::string subnet = "172.19.0.0/24";
  bool ipv6 = false;
  std::vector<std::string> subnet_pool{"172.19.0.0/16", "10.219.0.0/16"};
  bool bridge_on_startup = true;
  minibox::LogSeverity log_level = minibox::LogSeverity::kInfo;
  int build_workers = 0;  // 0: number of CPUs
  minibox::RegistryOptions registry{};
};

using Environment = std::function<std::optional<std::string>(std::string_view name)>;

// Checks every variable, also those that this version does not use yet: what would protect
// (TLS, encryption) is refused then, never dropped. The error reads "<VARIABLE>: <reason>".
minibox::StatusOr<Config> ReadConfig(const Environment& environment,
                                     const ServerFeatures& features);

// The environment of this process.
std::optional<std::string> ProcessEnvironment(std::string_view name);

}  // namespace miniboxd
