// SPDX-License-Identifier: Apache-2.0
// The link of one container: a veth pair between the bridge and the container's namespace.
#pragma once

#include <string_view>

#include "kernel/rtnetlink.h"
#include "minibox/status.h"
#include "network/network_impl.h"
#include "network/state.h"

namespace minibox::network {

// What a lease gives to its container, the default route included.
Endpoint EndpointOf(const NetworkRecord& network, const Lease& lease);

// Creates the pair with the inner end in `netns` as eth<index>, and configures that end through
// `rtnetlink`, a socket inside. What a dying namespace still holds under the same name is
// removed first. Leaves no link on failure.
Status CreateEndpoint(const Endpoint& endpoint, std::string_view container, std::string_view bridge,
                      int netns, int rtnetlink);

// Ends what the kernel remembers of UDP conversations: before the container's ports were
// published, so that its senders reach it now, or with it, so that they do not reach whoever has
// its address next. As good as the kernel allows; a conversation also ends by half a minute of
// silence.
void ForgetUdpBefore(const Lease& lease);
void ForgetUdpOf(const Lease& lease);

}  // namespace minibox::network
