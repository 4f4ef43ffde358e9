// SPDX-License-Identifier: Apache-2.0
#include "wire/changes.h"

#include "core/base64.h"
#include "core/clock.h"
#include "core/errors.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"

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

std::string ToJson(const PathStat& stat) {
  json::Writer writer;
  writer.BeginObject();
  writer.Key("name").String(core::ReplaceInvalidUtf8(stat.name));
  writer.Key("size").Uint(stat.size);
  writer.Key("mode").Uint(stat.mode);
  writer.Key("mtime").String(core::FormatTime(stat.mtime));
  writer.Key("link_target").String(core::ReplaceInvalidUtf8(stat.link_target));
  writer.EndObject();
  return writer.Take();
}

std::string EncodePathStat(const PathStat& stat) { return core::Base64Encode(ToJson(stat)); }

StatusOr<PathStat> DecodePathStat(std::string_view header) {
  const auto text = core::Base64Decode(header);
  if (!text) return core::InvalidArgument("X-Minibox-Path-Stat", "is not base64");
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(*text));
  PathStat stat;
  MBX_ASSIGN_OR_RETURN(stat.name, root.GetString("name"));
  MBX_ASSIGN_OR_RETURN(stat.link_target, root.GetString("link_target"));
  MBX_ASSIGN_OR_RETURN(const int64_t size, root.GetInt("size"));
  stat.size = static_cast<uint64_t>(size);
  MBX_ASSIGN_OR_RETURN(const int64_t mode, root.GetInt("mode"));
  stat.mode = static_cast<uint32_t>(mode);
  MBX_ASSIGN_OR_RETURN(const std::string mtime, root.GetString("mtime"));
  MBX_ASSIGN_OR_RETURN(stat.mtime, core::ParseTime(mtime));
  return stat;
}

}  // namespace minibox::wire
