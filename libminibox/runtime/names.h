// SPDX-License-Identifier: Apache-2.0
// What a container is called on its networks (spec §13.5).
#pragma once

#include <string>
#include <vector>

#include "minibox/runtime.h"
#include "network/network_impl.h"

namespace minibox::runtime {

// The name, the id, then the aliases of label `minibox.aliases`: what hosts files say.
std::vector<std::string> HostsNames(const std::string& name, const Labels& labels,
                                    const ContainerId& id);
// Those, the host name and the service of label `minibox.service`; each once, without regard to
// case. Only what can be a name in DNS.
std::vector<std::string> DnsNames(const std::string& name, const std::string& hostname,
                                  const Labels& labels, const ContainerId& id);
// What a start asks the network for. The container is on bridge networks.
network::EndpointRequest PlanEndpoints(const ContainerSpec& spec, const ContainerId& id);

}  // namespace minibox::runtime
