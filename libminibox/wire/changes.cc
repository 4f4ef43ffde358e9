// SPDX-License-Identifier: Apache-2.0
#include "wire/changes.h"

#include "core/json.h"
#include "core/status_macros.h"

namespace minibox::wire {

char KindLetter(FileChange::Kind kind) {
  switch (kind) {
    case FileChange::Kind::kAdded:
      return 'A';
    case FileChange::Kind::kChanged:
      return 'C';
    case FileChange::Kind::kDeleted:
      break;
  }
  return 'D';
}

std::string ToJson(const std::vector<FileChange>& changes) {
  json::Writer writer;
  writer.BeginArray();
  for (const FileChange& change : changes) {
    const char kind = KindLetter(change.kind);
    writer.BeginObject();
    writer.Key("path").String(change.path);
    writer.Key("kind").String({&kind, 1});
    writer.EndObject();
  }
  writer.EndArray();
  return writer.Take();
}

StatusOr<std::vector<FileChange>> ParseChanges(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, {.max_bytes = text.size()}));
  if (root.type() != json::Type::kArray) return root.Expected("an array");
  std::vector<FileChange> changes;
  for (const json::Value& value : root.Elements()) {
    FileChange change;
    MBX_ASSIGN_OR_RETURN(change.path, value.GetString("path"));
    const auto kind = value.GetString("kind");
    if (!kind.ok()) return kind.status();
    if (*kind == "A") {
      change.kind = FileChange::Kind::kAdded;
    } else if (*kind == "C") {
      change.kind = FileChange::Kind::kChanged;
    } else if (*kind == "D") {
      change.kind = FileChange::Kind::kDeleted;
    } else {
      return value.Get("kind").Expected("A, C or D");
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace minibox::wire
