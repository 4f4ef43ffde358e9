// SPDX-License-Identifier: Apache-2.0
#include "runtime/config_changes.h"

#include <algorithm>
#include <string_view>

#include "core/errors.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

Status Bad(std::string_view why) {
  return core::Error(StatusCode::kInvalidArgument, "invalid_argument", std::string(why));
}

// ["a","b"], else a line for the shell.
StatusOr<std::vector<std::string>> Words(std::string_view text,
                                         const std::vector<std::string>& shell) {
  if (text.starts_with('[')) {
    auto list = json::Parse(text);
    auto words = list.ok() ? list->AsStringArray() : list.status();
    if (!words.ok()) return Bad("is no JSON array of texts");
    return words;
  }
  std::vector<std::string> words =
      shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : shell;
  words.emplace_back(text);
  return words;
}

// "key=value" or "key value".
StatusOr<std::pair<std::string, std::string>> KeyAndValue(std::string_view text) {
  const size_t at = text.find_first_of("= ");
  if (at == std::string_view::npos || at == 0) return Bad("is not <key>=<value>");
  std::string_view value = text.substr(at + 1);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  return std::pair(std::string(text.substr(0, at)), std::string(value));
}

void AddSorted(std::string value, std::vector<std::string>& list) {
  list.push_back(std::move(value));
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

void SetEnv(const std::string& key, const std::string& value, std::vector<std::string>& env) {
  const std::string prefix = key + "=";
  for (std::string& entry : env) {
    if (!entry.starts_with(prefix)) continue;
    entry = prefix + value;
    return;
  }
  env.push_back(prefix + value);
}

Status Expose(std::string_view text, oci::ImageConfig& config) {
  std::string port(text);
  if (port.find('/') == std::string::npos) port += "/tcp";
  const auto number = core::ParseUint64(std::string_view(port).substr(0, port.find('/')));
  const bool known = port.ends_with("/tcp") || port.ends_with("/udp");
  if (!number || *number < 1 || *number > 65535 || !known) return Bad("is no port");
  AddSorted(std::move(port), config.exposed_ports);
  return Status();
}

Status Apply(std::string_view change, oci::ImageConfig& config) {
  change = core::TrimSpace(change);
  const size_t blank = change.find_first_of(" \t");
  const std::string name = core::AsciiLower(change.substr(0, blank));
  const std::string_view rest =
      blank == std::string_view::npos ? "" : core::TrimSpace(change.substr(blank));
  if (rest.empty()) return Bad("has no argument");
  if (name == "env" || name == "label") {
    MBX_ASSIGN_OR_RETURN(const auto pair, KeyAndValue(rest));
    if (name == "env") {
      SetEnv(pair.first, pair.second, config.env);
    } else {
      config.labels[pair.first] = pair.second;
    }
    return Status();
  }
  if (name == "cmd") {
    MBX_ASSIGN_OR_RETURN(config.cmd, Words(rest, config.shell));
    return Status();
  }
  if (name == "entrypoint") {
    MBX_ASSIGN_OR_RETURN(config.entrypoint, Words(rest, config.shell));
    config.cmd.clear();
    return Status();
  }
  if (name == "expose") return Expose(rest, config);
  if (name == "user") {
    config.user = rest;
    return Status();
  }
  if (name == "stopsignal") {
    if (!core::ParseSignal(rest)) return Bad("is no signal");
    config.stop_signal = rest;
    return Status();
  }
  if (name == "workdir" || name == "volume") {
    if (!rest.starts_with('/')) return Bad("is no absolute path");
    if (name == "workdir") {
      config.working_dir = rest;
    } else {
      AddSorted(std::string(rest), config.volumes);
    }
    return Status();
  }
  return Bad("is none of ENV, LABEL, CMD, ENTRYPOINT, WORKDIR, USER, EXPOSE, VOLUME, STOPSIGNAL");
}

}  // namespace

Status ApplyChanges(const std::vector<std::string>& changes, oci::ImageConfig& config) {
  for (size_t i = 0; i < changes.size(); ++i) {
    const Status applied = Apply(changes[i], config);
    if (applied.ok()) continue;
    return core::InvalidArgument(
        core::StrCat("changes[", i, "]"),
        core::StrCat("'", core::EscapeControl(changes[i]), "' ", applied.message()));
  }
  return Status();
}

}  // namespace minibox::runtime
