// SPDX-License-Identifier: Apache-2.0
#include "runtime/names.h"

#include <algorithm>

#include "core/strings.h"

namespace minibox::runtime {
namespace {

constexpr std::string_view kAliasesLabel = "minibox.aliases";
constexpr std::string_view kServiceLabel = "minibox.service";
constexpr size_t kMaxDnsName = 253, kMaxDnsLabel = 63;

std::string_view LabelOf(const Labels& labels, std::string_view key) {
  const auto found = labels.find(std::string(key));
  return found == labels.end() ? std::string_view() : std::string_view(found->second);
}

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

// Also keeps blanks and line ends out of files of names.
bool IsDnsName(std::string_view name) {
  if (name.empty() || name.size() > kMaxDnsName) return false;
  for (const std::string_view label : core::StrSplit(name, '.')) {
    if (label.empty() || label.size() > kMaxDnsLabel ||
        !std::all_of(label.begin(), label.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; })) {
      return false;
    }
  }
  return true;
}

std::vector<std::string_view> AliasesOf(const Labels& labels) {
  std::vector<std::string_view> aliases;
  for (const std::string_view part : core::StrSplit(LabelOf(labels, kAliasesLabel), ',')) {
    const std::string_view alias = core::TrimSpace(part);
    if (IsDnsName(alias)) aliases.push_back(alias);
  }
  return aliases;
}

}  // namespace

std::vector<std::string> HostsNames(const std::string& name, const Labels& labels,
                                    const ContainerId& id) {
  std::vector<std::string> names;
  if (!name.empty()) names.push_back(name);
  names.push_back(id.ToString());
  for (const std::string_view alias : AliasesOf(labels)) names.emplace_back(alias);
  return names;
}

std::vector<std::string> DnsNames(const std::string& name, const std::string& hostname,
                                  const Labels& labels, const ContainerId& id) {
  std::vector<std::string> names;
  const auto add = [&](std::string_view candidate) {
    const bool known = std::any_of(names.begin(), names.end(), [&](const std::string& other) {
      return SameName(other, candidate);
    });
    if (!known && IsDnsName(candidate)) names.emplace_back(candidate);
  };
  add(name);
  add(id.ToString());
  add(hostname);
  add(core::TrimSpace(LabelOf(labels, kServiceLabel)));
  for (const std::string_view alias : AliasesOf(labels)) add(alias);
  return names;
}

network::EndpointRequest PlanEndpoints(const ContainerSpec& spec, const ContainerId& id) {
  network::EndpointRequest request;
  request.container = id.ToString();
  request.network = spec.network;
  request.ip = spec.ip;
  request.mac = spec.mac;
  request.ports = spec.ports;
  request.names = DnsNames(spec.name, spec.hostname, spec.labels, id);
  request.project = spec.project;
  request.dns = spec.dns;
  request.host_names = HostsNames(spec.name, spec.labels, id);
  return request;
}

}  // namespace minibox::runtime
