// SPDX-License-Identifier: Apache-2.0
#include "wire/json.h"

#include "core/status_macros.h"

namespace minibox::wire {
namespace {

void Copy(const json::Value& value, json::Writer& writer) {
  if (value.type() == json::Type::kObject) {
    writer.BeginObject();
    for (const auto& [key, member] : value.Members()) {
      writer.Key(key);
      Copy(member, writer);
    }
    writer.EndObject();
  } else if (value.type() == json::Type::kArray) {
    writer.BeginArray();
    for (const json::Value& element : value.Elements()) Copy(element, writer);
    writer.EndArray();
  } else {
    writer.Raw(value.Dump());
  }
}

}  // namespace

StatusOr<std::string> Indented(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value value, json::Parse(text, {.max_bytes = text.size()}));
  json::Writer writer(2);
  Copy(value, writer);
  return writer.Take() + "\n";
}

StatusOr<std::string> CompactJson(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value value, json::Parse(text, {.max_bytes = text.size()}));
  return value.Dump();
}

}  // namespace minibox::wire
