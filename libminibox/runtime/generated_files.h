// SPDX-License-Identifier: Apache-2.0
// Texts of the files that are made for a container. Pure functions.
#pragma once

#include <string>

#include "minibox/runtime.h"

namespace minibox::runtime {

// /etc/hosts (spec §13.5). `ip` and `gateway` are empty without an address of its own.
std::string HostsText(const ContainerSpec& spec, const ContainerId& id, const std::string& ip,
                      const std::string& gateway);

}  // namespace minibox::runtime
