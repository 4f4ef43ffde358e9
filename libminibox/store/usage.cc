// SPDX-License-Identifier: Apache-2.0
#include "store/usage.h"

#include <algorithm>
#include <cerrno>

#include "core/json.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr size_t kMaxRecordBytes = 64u << 20;

// Absent if there is no such record, or none that can be read.
json::Value ReadRecord(const DataRoot& root, std::string_view container, std::string_view file) {
  const std::string path = core::StrCat(kContainers, "/", container, "/", file);
  const auto text = root.dir().ReadFile(path, kMaxRecordBytes);
  if (text.status().sys_errno() == ENOENT) return {};
  json::ParseLimits limits;
  limits.max_bytes = kMaxRecordBytes;
  auto value = text.ok() ? json::Parse(*text, limits) : text.status();
  if (!value.ok()) {
    core::LogWarning("store", core::StrCat(path, ": ", value.status().message(), ", ignoring"));
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

}  // namespace minibox::store
