// SPDX-License-Identifier: Apache-2.0
// resolv.conf of a container, made from the host's (spec §13.5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"

namespace minibox::network {

// The servers of `dns`, or if it is empty those of the host that a container can reach: neither
// on loopback nor IPv6. `search` (or `domain`) and `options` are the host's.
// kInvalidArgument "dns" for an entry that is no IP address.
StatusOr<std::string> ContainerResolvConf(std::string_view host,
                                          const std::vector<std::string>& dns);
// Whether a container could use any server of this file.
bool HasReachableServer(std::string_view host);

}  // namespace minibox::network
