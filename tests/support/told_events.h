// SPDX-License-Identifier: Apache-2.0
// What a data root's event log tells, for tests.
#pragma once

#include <string>
#include <vector>

#include "core/event_log.h"
#include "core/strings.h"

namespace minibox::testing {

// "image.pull alpine" for each event, oldest first; the type alone of one without a name.
inline std::vector<std::string> ToldEvents(const core::EventLog& events) {
  std::vector<std::string> told;
  auto reader = events.Read(core::EventLog::Reader::From::kOldest);
  if (!reader.ok()) return {reader.status().ToString()};
  while (true) {
    auto event = reader->Next();
    if (!event.ok()) return {event.status().ToString()};
    if (!event->has_value()) return told;
    const auto name = (*event)->attributes.find("name");
    const bool named = name != (*event)->attributes.end();
    told.push_back(named ? core::StrCat((*event)->type, " ", name->second) : (*event)->type);
  }
}

}  // namespace minibox::testing
