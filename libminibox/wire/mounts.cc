// SPDX-License-Identifier: Apache-2.0
#include "wire/mounts.h"

#include <map>

#include "core/strings.h"

namespace minibox::wire {
namespace {

void ReadSources(FieldReader& fields, std::string_view name, Mount::Kind kind,
                 std::vector<Mount>* mounts) {
  std::vector<std::pair<std::string, std::vector<std::string>>> entries;
  fields.ListMap(name, &entries);
  for (const auto& [source, targets] : entries) {
    if (source.empty()) fields.Fail(InvalidField(EntryName(name, source), "must not be empty"));
    for (const std::string& target : targets) {
      const size_t colon = target.find(':');
      Mount mount{.kind = kind, .source = source, .target = target.substr(0, colon)};
      if (colon != std::string::npos) mount.options = target.substr(colon + 1);
      mounts->push_back(std::move(mount));
    }
  }
}

void WriteSources(json::Writer& writer, std::string_view name, Mount::Kind kind,
                  const std::vector<Mount>& mounts) {
  std::map<std::string, std::vector<std::string>> entries;
  for (const Mount& mount : mounts) {
    if (mount.kind != kind) continue;
    entries[mount.source].push_back(
        mount.options.empty() ? mount.target : core::StrCat(mount.target, ":", mount.options));
  }
  if (entries.empty()) return;
  writer.Key(name).BeginObject();
  for (const auto& [source, targets] : entries) {
    writer.Key(source);
    if (targets.size() == 1) {
      writer.String(targets.front());
    } else {
      writer.StringArray(targets);
    }
  }
  writer.EndObject();
}

}  // namespace

void ReadMounts(FieldReader& fields, std::vector<Mount>* mounts) {
  ReadSources(fields, "volumes", Mount::Kind::kBind, mounts);
  ReadSources(fields, "named_volumes", Mount::Kind::kVolume, mounts);
  std::map<std::string, std::string> tmpfs;
  fields.TextMap("tmpfs", &tmpfs);
  for (const auto& [target, options] : tmpfs) {
    mounts->push_back({.kind = Mount::Kind::kTmpfs, .target = target, .options = options});
  }
}

void WriteMounts(json::Writer& writer, const std::vector<Mount>& mounts) {
  WriteSources(writer, "volumes", Mount::Kind::kBind, mounts);
  WriteSources(writer, "named_volumes", Mount::Kind::kVolume, mounts);
  std::map<std::string, std::string> tmpfs;
  for (const Mount& mount : mounts) {
    if (mount.kind == Mount::Kind::kTmpfs) tmpfs[mount.target] = mount.options;
  }
  if (!tmpfs.empty()) writer.Key("tmpfs").StringMap(tmpfs);
}

}  // namespace minibox::wire
