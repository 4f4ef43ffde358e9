// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"

#include <memory>
#include <mutex>
#include <utility>

namespace minibox {
namespace {

using Sink = std::function<void(const LogRecord&)>;

// The one mutable global that an embedder's process-wide sink needs. Constant-initialised, and
// never destroyed because library threads may log while the host program exits.
struct SinkSlot {
  std::mutex mutex;
  std::shared_ptr<const Sink> sink;
};

SinkSlot& Slot() {
  static auto* slot = new SinkSlot;
  return *slot;
}

}  // namespace

inline namespace v1 {

void SetLogSink(std::function<void(const LogRecord&)> sink) {
  std::shared_ptr<const Sink> replacement;
  if (sink) replacement = std::make_shared<const Sink>(std::move(sink));
  std::shared_ptr<const Sink> previous;
  {
    const std::lock_guard lock(Slot().mutex);
    previous = std::exchange(Slot().sink, std::move(replacement));
  }
}

}  // namespace v1

namespace core {

void Log(LogSeverity severity, std::string_view module, std::string_view message) {
  std::shared_ptr<const Sink> sink;
  {
    const std::lock_guard lock(Slot().mutex);
    sink = Slot().sink;
  }
  if (sink != nullptr) (*sink)({severity, module, message});
}

}  // namespace core
}  // namespace minibox
