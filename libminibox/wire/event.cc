// SPDX-License-Identifier: Apache-2.0
#include "wire/event.h"

#include "core/clock.h"
#include "core/json.h"
#include "core/status_macros.h"

namespace minibox::wire {

std::string EventLine(const Event& event) {
  json::Writer writer;
  writer.BeginObject();
  if (event.type == Event::kOverflow) {
    writer.Key("type").String(event.type);
  } else {
    writer.Key("seq").Uint(event.seq);
    writer.Key("time").String(core::FormatTime(event.time));
    writer.Key("type").String(event.type);
    writer.Key("id").String(event.id);
    writer.Key("attributes").StringMap(event.attributes);
  }
  writer.EndObject();
  return writer.Take() + "\n";
}

StatusOr<Event> ParseEventLine(std::string_view line) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(line));
  Event event;
  MBX_ASSIGN_OR_RETURN(event.type, root.GetString("type"));
  if (event.type == Event::kOverflow) return event;
  MBX_ASSIGN_OR_RETURN(event.seq, root.Get("seq").AsUint());
  MBX_ASSIGN_OR_RETURN(const std::string time, root.GetString("time"));
  MBX_ASSIGN_OR_RETURN(event.time, core::ParseTime(time));
  MBX_ASSIGN_OR_RETURN(event.id, root.GetString("id", ""));
  MBX_ASSIGN_OR_RETURN(event.attributes, root.GetStringMap("attributes"));
  return event;
}

}  // namespace minibox::wire
