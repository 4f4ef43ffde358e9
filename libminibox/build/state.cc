// SPDX-License-Identifier: Apache-2.0
#include "build/state.h"

#include <algorithm>
#include <unordered_map>

#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr std::string_view kHealthCommand = "mini.healthcheck.cmd";
constexpr std::string_view kHealthInterval = "mini.healthcheck.interval";
constexpr size_t kPorts = 65536;

std::optional<uint16_t> ParsePort(std::string_view text) {
  const auto number = core::ParseUint64(text);
  if (!number || *number == 0 || *number >= kPorts) return std::nullopt;
  return static_cast<uint16_t>(*number);
}

void SetRange(std::vector<bool>& ports, size_t first, size_t last) {
  ports.resize(kPorts, false);
  std::fill(ports.begin() + static_cast<std::ptrdiff_t>(first),
            ports.begin() + static_cast<std::ptrdiff_t>(last) + 1, true);
}

void MergePorts(std::vector<bool>& into, const std::vector<bool>& from) {
  if (from.empty()) return;
  into.resize(kPorts, false);
  for (size_t port = 0; port < kPorts; ++port) {
    if (from[port]) into[port] = true;
  }
}

// The labels that stand beside the config's Healthcheck (spec §7.3).
void SetHealthLabels(const oci::Healthcheck& check, Labels& labels) {
  labels.erase(std::string(kHealthCommand));
  labels.erase(std::string(kHealthInterval));
  if (check.test.size() < 2) return;  // NONE
  std::string command;
  for (size_t i = 1; i < check.test.size(); ++i) {
    if (i > 1) command += '\x1F';
    command += check.test[i];
  }
  constexpr int64_t kSecond = 1'000'000'000;
  labels[std::string(kHealthCommand)] = command;
  labels[std::string(kHealthInterval)] = core::StrCat((check.interval_ns + kSecond - 1) / kSecond);
}

bool IsValidUserPart(std::string_view text) {
  constexpr uint64_t kMaxId = 4294967294;
  constexpr size_t kMaxName = 32;
  if (const auto number = core::ParseUint64(text)) return *number <= kMaxId;
  if (text.empty() || text.size() > kMaxName || text[0] == '-') return false;
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '$' || c == '-';
  });
}

}  // namespace

bool PortSet::Add(std::string_view text) {
  std::vector<bool>* ports = &tcp_;
  if (const size_t slash = text.find('/'); slash != text.npos) {
    const std::string_view protocol = text.substr(slash + 1);
    if (protocol == "udp") {
      ports = &udp_;
    } else if (protocol != "tcp") {
      return false;
    }
    text = text.substr(0, slash);
  }
  const size_t dash = text.find('-');
  const auto first = ParsePort(text.substr(0, dash));
  const auto last = dash == text.npos ? first : ParsePort(text.substr(dash + 1));
  if (!first || !last || *last < *first) return false;
  SetRange(*ports, *first, *last);
  return true;
}

void PortSet::Merge(const PortSet& other) {
  MergePorts(tcp_, other.tcp_);
  MergePorts(udp_, other.udp_);
}

std::vector<std::string> PortSet::ToStrings() const {
  std::vector<std::string> out;
  for (size_t port = 1; port < kPorts; ++port) {
    if (!tcp_.empty() && tcp_[port]) out.push_back(core::StrCat(port, "/tcp"));
    if (!udp_.empty() && udp_[port]) out.push_back(core::StrCat(port, "/udp"));
  }
  return out;
}

void Changes::Inherit(const Changes& later) {
  if (later.workdir && *later.workdir != "/") workdir = later.workdir;
  if (later.user) user = later.user;
  if (later.stop_signal) stop_signal = later.stop_signal;
  if (later.shell) shell = later.shell;
  if (later.start) start = later.start;
  if (later.entrypoint) entrypoint = later.entrypoint;
  for (const auto& [name, value] : later.env.entries()) env.Set(name, value);
  for (const auto& [key, value] : later.labels) labels[key] = value;
  ports.Merge(later.ports);
  volumes.insert(later.volumes.begin(), later.volumes.end());
  if (later.healthcheck) healthcheck = later.healthcheck;
}

oci::ImageConfig ApplyChanges(const oci::ImageConfig& base, const Changes& changes) {
  oci::ImageConfig out = base;
  std::unordered_map<std::string, size_t> places;
  for (size_t i = 0; i < out.env.size(); ++i) {
    places.emplace(out.env[i].substr(0, out.env[i].find('=')), i);
  }
  for (const auto& [name, value] : changes.env.entries()) {
    std::string entry = core::StrCat(name, "=", value.value_or(std::string()));
    const auto [place, is_new] = places.emplace(name, out.env.size());
    if (is_new) {
      out.env.push_back(std::move(entry));
    } else {
      out.env[place->second] = std::move(entry);
    }
  }
  if (changes.workdir) out.working_dir = *changes.workdir;
  if (changes.user) out.user = *changes.user;
  if (changes.stop_signal) out.stop_signal = *changes.stop_signal;
  if (changes.shell) out.shell = *changes.shell;
  if (changes.entrypoint) {
    out.entrypoint = *changes.entrypoint;
    out.cmd.clear();
  }
  if (changes.start) out.cmd = *changes.start;
  for (const auto& [key, value] : changes.labels) out.labels[key] = value;
  if (!changes.ports.empty()) {
    std::set<std::string> ports(out.exposed_ports.begin(), out.exposed_ports.end());
    for (auto& port : changes.ports.ToStrings()) ports.insert(std::move(port));
    out.exposed_ports.assign(ports.begin(), ports.end());
  }
  std::set<std::string> volumes(out.volumes.begin(), out.volumes.end());
  volumes.insert(changes.volumes.begin(), changes.volumes.end());
  out.volumes.assign(volumes.begin(), volumes.end());
  if (changes.healthcheck) {
    out.healthcheck = changes.healthcheck;
    SetHealthLabels(*changes.healthcheck, out.labels);
  }
  return out;
}

bool IsValidUser(std::string_view text) {
  const size_t colon = text.find(':');
  if (!IsValidUserPart(text.substr(0, colon))) return false;
  return colon == text.npos || IsValidUserPart(text.substr(colon + 1));
}

}  // namespace minibox::build
