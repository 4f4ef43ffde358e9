// SPDX-License-Identifier: Apache-2.0
// What can be said about a ContainerSpec without its image (spec §3, §4.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "init/launch_spec.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "runtime/host_facts.h"

namespace minibox::runtime {

// Every field. kInvalidArgument names the field as the HTTP API does: env[3],
// volumes["/x"], ulimits["nofile"]. Touches nothing but to resolve host paths.
Status ValidateSpec(const ContainerSpec& spec, const HostFacts& host);

Status ValidateResources(const Resources& limits, const HostFacts& host);
// kInvalidArgument names the field, "command_missing" without a command.
Status ValidateExec(const ExecSpec& spec);

// The grammars, for those who need the parsed form. kInvalidArgument with `field`.
Status ValidateName(std::string_view name, size_t limit, std::string_view field);
StatusOr<init::Rlimit> ParseUlimit(std::string_view name, std::string_view value);
// "net.core.somaxconn" or "net/core/somaxconn" -> "net/core/somaxconn"; nullopt if the key
// is not one of those that belong to a namespace.
std::optional<std::string> ParseSysctlKey(std::string_view key);
// "name:ip" -> (name, ip); ip may be "host-gateway".
std::optional<std::pair<std::string, std::string>> ParseExtraHost(std::string_view text);
bool IsIpAddress(std::string_view text);
// Whether containers of this `network` have links on bridges of ours.
bool IsBridged(std::string_view network);
// "8080", "127.0.0.1:8080", "[::1]:53/udp": the host part of a published port.
std::string PortKey(const PortMapping& port);
// What "container:<id>" names: an id, once the request is resolved; nullopt for other networks.
std::optional<std::string> JoinedContainer(std::string_view network);

// The host path of a bind with links resolved as far as it exists. kInvalidArgument
// "path_not_allowed" if it lies in MiniBox's own directories or outside of the prefixes.
StatusOr<std::string> ResolveHostPath(std::string_view path, const HostFacts& host,
                                      std::string_view field);
// The same test for a path that is resolved already.
Status CheckHostPath(std::string_view real_path, const HostFacts& host, std::string_view field);

}  // namespace minibox::runtime
