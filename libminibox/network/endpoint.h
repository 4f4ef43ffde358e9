// SPDX-License-Identifier: Apache-2.0
// The link of one container: a veth pair between the bridge and the container's namespace.
#pragma once

#include <string_view>

#include "kernel/rtnetlink.h"
#include "minibox/status.h"
#include "network/network_impl.h"

namespace minibox::network {

// Creates the pair with the inner end in `netns` as eth0, and configures that end through
// `rtnetlink`, a socket inside. What a dying namespace still holds under the same name is
// removed first. Leaves no link on failure.
Status CreateEndpoint(const Endpoint& endpoint, std::string_view container, std::string_view bridge,
                      int netns, int rtnetlink);

}  // namespace minibox::network
