// SPDX-License-Identifier: Apache-2.0
#include "runtime/generated_files.h"

#include <map>

#include "core/strings.h"
#include "runtime/names.h"
#include "runtime/spec_validate.h"

namespace minibox::runtime {
std::string HostsText(const ContainerSpec& spec, const ContainerId& id, const std::string& ip,
                      const std::string& gateway, const std::vector<HostsEntry>& siblings) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n"
      "\n";
  const auto add = [&text](const std::string& address, const std::vector<std::string>& names) {
    for (const std::string& name : names) text += address + "\t" + name + "\n";
  };
  if (!ip.empty()) add(ip, HostsNames(spec.name, spec.labels, id));
  for (const HostsEntry& sibling : siblings) add(sibling.ip, sibling.names);
  for (const std::string& entry : spec.extra_hosts) {
    const auto parsed = ParseExtraHost(entry);
    if (!parsed) continue;
    // With the host's network the host is oneself.
    const std::string host = gateway.empty() ? "127.0.0.1" : gateway;
    text +=
        (parsed->second == "host-gateway" ? host : parsed->second) + "\t" + parsed->first + "\n";
  }
  return text;
}

std::string MergeHosts(std::string_view current, std::string_view before, std::string_view now) {
  std::map<std::string_view, int> ours;
  for (const std::string_view line : core::StrSplit(before, '\n')) ++ours[line];
  std::string text(now);
  for (const std::string_view line : core::StrSplit(current, '\n')) {
    if (line.empty() || --ours[line] >= 0) continue;
    text.append(line) += '\n';
  }
  return text;
}

}  // namespace minibox::runtime
