// SPDX-License-Identifier: Apache-2.0
// What a container does by itself: restart policies and health checks (spec §12.18, §12.19).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/export.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {

// What happens after an exit that nobody asked for. It is acted upon by a Runtime that
// supervises (RuntimeOptions::supervise).
struct RestartPolicy {
  enum class Kind { kNo, kOnFailure, kAlways, kUnlessStopped };
  Kind kind = Kind::kNo;
  int max_retries = 0;  // kOnFailure: at most so many in a row; 0: any number

  // "no", "on-failure[:n]", "always", "unless-stopped"; kInvalidArgument with field "restart".
  MINIBOX_EXPORT static StatusOr<RestartPolicy> Parse(std::string_view text);
  MINIBOX_EXPORT std::string ToString() const;
  friend bool operator==(const RestartPolicy&, const RestartPolicy&) = default;
};

// A command that is run in the container again and again. Unset fields take the image's values,
// then the defaults of spec §4.3.
struct HealthCheck {
  // {"CMD", argument…}, {"CMD-SHELL", script}, {"NONE"}, or an argv.
  std::vector<std::string> test{};
  std::optional<std::chrono::milliseconds> interval{}, timeout{}, start_period{};
  std::optional<int> retries{};  // failures in a row that make it unhealthy
  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

enum class Health { kNone, kStarting, kHealthy, kUnhealthy };
// "none", "starting", "healthy", "unhealthy".
MINIBOX_EXPORT std::string_view HealthName(Health health);

struct HealthProbe {
  TimePoint start{}, end{};
  int exit_code = 0;     // 0: healthy; -1: it could not be run, or its time was up
  std::string output{};  // the first 4 KiB
};
struct HealthLog {
  int failing_streak = 0;             // failures since the last success
  std::vector<HealthProbe> probes{};  // the last five, oldest first
};

}  // namespace v1
}  // namespace minibox
