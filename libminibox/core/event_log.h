// SPDX-License-Identifier: Apache-2.0
// events.jsonl: what happened, one JSON object a line, appended by any process (spec §5.7, §12.21).
//
//   log.Emit("volume.create", name, {{"driver", "local"}});      // after the change is durable
//
// The file is its own lock. Every line has the number after that of the line before. The newest
// kKeptEvents stay when the file has grown to twice as many; a reader goes on by number then.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/fd.h"
#include "minibox/events.h"
#include "minibox/status.h"

namespace minibox::core {

inline constexpr std::string_view kEventsFile = "events.jsonl";
inline constexpr uint64_t kKeptEvents = 10000;

// Thread-safe; copies nothing, opens the file at each use.
class EventLog {
 public:
  // A log that goes nowhere.
  EventLog() = default;
  // `dir` is borrowed for the call.
  static StatusOr<EventLog> Open(int dir);

  // Appends. A failure is a warning: what happened has happened. Attributes that make the line
  // longer than 8 KiB are left out, the longest first; empty ones too.
  void Emit(std::string_view type, std::string_view id, Labels attributes = {},
            std::optional<TimePoint> time = {}) const;
  // Survives the death of any process when it returns; a loss of power only after Sync.
  Status Append(Event event) const;
  Status Sync() const;

  // One thread at a time.
  class Reader {
   public:
    enum class From { kOldest, kNow };
    // nullopt: that is all for now. An event of type "overflow" if some are not there any more.
    StatusOr<std::optional<Event>> Next();
    // Events that have been written and not read; an estimate from above.
    StatusOr<uint64_t> Behind();

   private:
    friend class EventLog;
    explicit Reader(Fd dir) : dir_(std::move(dir)) {}
    Status Begin(From from);
    Status OpenCurrent();
    // Goes over to the file that has replaced ours; false: none has.
    StatusOr<bool> Reopen();
    StatusOr<bool> Fill();

    Fd dir_, file_;
    uint64_t offset_ = 0;  // of the end of buffer_
    std::string buffer_{};
    size_t used_ = 0;
    uint64_t next_ = 0;  // number of the next event; 0: whatever comes
  };
  StatusOr<Reader> Read(Reader::From from) const;

 private:
  explicit EventLog(Fd dir) : dir_(std::move(dir)) {}
  Fd dir_;
};

// One line without its end, and back.
std::string SerializeEvent(const Event& event);
StatusOr<Event> ParseEvent(std::string_view line);

}  // namespace minibox::core
