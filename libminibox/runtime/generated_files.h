// SPDX-License-Identifier: Apache-2.0
// Texts of the files that are made for a container. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/runtime.h"

namespace minibox::runtime {

struct HostsEntry {
  std::string ip{};
  std::vector<std::string> names{};
};

// /etc/hosts (spec §13.5). `ip` and `gateway` are empty without an address of its own.
std::string HostsText(const ContainerSpec& spec, const ContainerId& id, const std::string& ip,
                      const std::string& gateway, const std::vector<HostsEntry>& siblings = {});
// `now`, and after it what the workload has added: the lines of `current` that are not those that
// were made `before`.
std::string MergeHosts(std::string_view current, std::string_view before, std::string_view now);

}  // namespace minibox::runtime
