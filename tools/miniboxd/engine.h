// SPDX-License-Identifier: Apache-2.0
// The library's handles and what else requests share.
#pragma once

#include <stop_token>

#include "config.h"
#include "host_paths.h"
#include "metrics.h"
#include "minibox/minibox.h"

namespace miniboxd {

struct Engine {
  Config config;
  minibox::Store store;
  minibox::Network network;
  minibox::Registry registry;
  minibox::Runtime runtime;
  minibox::ImageBuilder builder;
  HostPaths paths;

  // Shutdown (spec §1.2): long polls end at once, builds and the like after the grace period.
  std::stop_source long_polls{};
  std::stop_source operations{};
  RequestMetrics requests{};
};

}  // namespace miniboxd
