// SPDX-License-Identifier: Apache-2.0
#include "store/usage.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/errors.h"
#include "core/json.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr size_t kMaxRecordBytes = 64u << 20;

// Absent if there is no such record.
StatusOr<json::Value> ParseRecord(const DataRoot& root, std::string_view container,
                                  std::string_view file) {
  const std::string path = core::StrCat(kContainers, "/", container, "/", file);
  const auto text = root.dir().ReadFile(path, kMaxRecordBytes);
  if (text.status().sys_errno() == ENOENT || text.status().sys_errno() == ENOTDIR) {
    return json::Value();
  }
  json::ParseLimits limits;
  limits.max_bytes = kMaxRecordBytes;
  auto value = text.ok() ? json::Parse(*text, limits) : text.status();
  if (!value.ok()) return value.status().WithContext(path);
  return value;
}

// Absent if there is no such record, or none that can be read.
json::Value ReadRecord(const DataRoot& root, std::string_view container, std::string_view file) {
  auto value = ParseRecord(root, container, file);
  if (!value.ok()) {
    core::LogWarning("store", core::StrCat(value.status().message(), ", ignoring"));
    return {};
  }
  return *std::move(value);
}

std::string TextOr(const json::Value& value) {
  auto text = value.AsString();
  return text.ok() ? *std::move(text) : std::string();
}

bool IsBeingRemoved(const json::Value& state) { return TextOr(state.Get("status")) == "removing"; }

StatusOr<std::vector<std::string>> ListContainers(const DataRoot& root) {
  MBX_ASSIGN_OR_RETURN(std::vector<std::string> names, root.dir().List(kContainers));
  std::erase_if(names, [](const std::string& name) { return name.front() == '.'; });
  return names;
}

}  // namespace

StatusOr<std::map<std::string, std::vector<std::string>>> ContainersByImage(const DataRoot& root) {
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> containers, ListContainers(root));
  std::map<std::string, std::vector<std::string>> users;
  for (const std::string& id : containers) {
    const json::Value state = ReadRecord(root, id, "state.json");
    if (IsBeingRemoved(state)) continue;
    std::string digest = TextOr(state.Get("image_digest"));
    if (digest.empty()) digest = TextOr(ReadRecord(root, id, "config.json").Get("image_digest"));
    if (!digest.empty()) users[digest].push_back(id);
  }
  return users;
}

StatusOr<std::map<Digest, std::vector<std::string>>> PinnedManifests(const DataRoot& root) {
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> containers, ListContainers(root));
  std::map<Digest, std::vector<std::string>> pinned;
  for (const std::string& id : containers) {
    Status unreadable;
    for (const std::string_view file : {"state.json", "config.json"}) {
      const auto record = ParseRecord(root, id, file);
      if (!record.ok()) {
        unreadable = record.status();
        continue;
      }
      const auto digest = Digest::Parse(TextOr(record->Get("image_digest")));
      if (!digest.ok()) continue;
      pinned[*digest].push_back(id);
      unreadable = Status();
      break;
    }
    if (!unreadable.ok()) {
      return core::DataLoss(core::StrCat("container ", id, ": ", unreadable.message()));
    }
  }
  return pinned;
}

std::string ContainerStatus(const DataRoot& root, std::string_view container) {
  return TextOr(ReadRecord(root, container, "state.json").Get("status"));
}

StatusOr<VolumeUsers> FindVolumeUsers(const DataRoot& root, std::string_view volume) {
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> containers, ListContainers(root));
  VolumeUsers users;
  for (const std::string& id : containers) {
    const json::Value config = ReadRecord(root, id, "config.json");
    const auto own = config.Get("anonymous_volumes").Elements();
    const bool owns = std::any_of(own.begin(), own.end(),
                                  [&](const json::Value& name) { return TextOr(name) == volume; });
    if (!owns && config.Get("named_volumes").Get(volume).absent()) continue;
    if (IsBeingRemoved(ReadRecord(root, id, "state.json"))) continue;
    (owns ? users.owners : users.others).push_back(id);
  }
  return users;
}

StatusOr<std::map<std::string, std::vector<std::string>, std::less<>>> UsersByVolume(
    const DataRoot& root) {
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> containers, ListContainers(root));
  std::map<std::string, std::vector<std::string>, std::less<>> users;
  for (const std::string& id : containers) {
    const json::Value config = ReadRecord(root, id, "config.json");
    std::set<std::string> volumes;
    for (const auto& [name, target] : config.Get("named_volumes").Members()) volumes.insert(name);
    for (const json::Value& name : config.Get("anonymous_volumes").Elements()) {
      volumes.insert(TextOr(name));
    }
    if (volumes.empty() || IsBeingRemoved(ReadRecord(root, id, "state.json"))) continue;
    for (const std::string& name : volumes) users[name].push_back(id);
  }
  return users;
}

}  // namespace minibox::store
