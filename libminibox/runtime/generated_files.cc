// SPDX-License-Identifier: Apache-2.0
#include "runtime/generated_files.h"

#include "core/strings.h"
#include "runtime/spec_validate.h"

namespace minibox::runtime {
namespace {

constexpr std::string_view kAliasesLabel = "minibox.aliases";

}  // namespace

std::string HostsText(const ContainerSpec& spec, const ContainerId& id, const std::string& ip,
                      const std::string& gateway) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n"
      "\n";
  if (!ip.empty()) {
    if (!spec.name.empty()) text += ip + "\t" + spec.name + "\n";
    text += ip + "\t" + id.ToString() + "\n";
    if (const auto aliases = spec.labels.find(std::string(kAliasesLabel));
        aliases != spec.labels.end()) {
      for (const std::string_view part : core::StrSplit(aliases->second, ',')) {
        const std::string_view alias = core::TrimSpace(part);
        if (!alias.empty()) text += core::StrCat(ip, "\t", alias, "\n");
      }
    }
  }
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

}  // namespace minibox::runtime
