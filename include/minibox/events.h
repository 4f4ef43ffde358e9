// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "minibox/export.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {

// Something that happened to a container, an image, a volume, a network or the daemon
// (spec §12.21).
struct Event {
  uint64_t seq = 0;    // grows by 1 from event to event of a data root
  TimePoint time{};    // when it happened, which may be long before it was noticed
  std::string type{};  // "container.start"; see `kOverflow`
  std::string id{};    // of the container, image (digest), volume or network (name)
  // name, image, project, labels, and what the type adds: exit_code, signal, …
  Labels attributes{};

  // The type of the last event of a reader that was too slow: what came after is not told.
  static constexpr const char* kOverflow = "overflow";
};

// Which events. Filters of one kind are alternatives, but of `labels` all must hold.
struct EventOptions {
  // Past events from then on come first; unset: none.
  std::optional<TimePoint> since{};
  // Ends with the last event before; unset: goes on until `stop` is requested.
  std::optional<TimePoint> until{};
  std::vector<std::string> types{};       // "container.die", or "container" for the whole family
  std::vector<std::string> containers{};  // ids, unique prefixes of them, or names
  std::vector<std::string> images{};      // name, reference or digest
  std::vector<std::string> projects{};
  std::vector<std::string> labels{};  // "key" or "key=value"
  // Called once, before any event: whatever happens from now on will be told.
  std::function<void()> ready{};
};

// A sink that returns an error ends the stream with that error.
using EventFn = std::function<Status(const Event&)>;

}  // namespace v1
}  // namespace minibox
