// SPDX-License-Identifier: Apache-2.0
// Networks in JSON (spec §4.5, §5.9).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/network.h"
#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::wire {

// `containers`: those of the host, from which the members' names are taken.
std::string ToJson(const NetworkInfo& network, const std::vector<ContainerInfo>& containers);
std::string ToJson(const std::vector<NetworkInfo>& networks,
                   const std::vector<ContainerInfo>& containers);
StatusOr<NetworkInfo> ParseNetwork(std::string_view text);
StatusOr<std::vector<NetworkInfo>> ParseNetworks(std::string_view text);

// The body of POST /networks/create.
std::string ToJson(const NetworkSpec& spec);

}  // namespace minibox::wire
