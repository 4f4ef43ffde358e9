// SPDX-License-Identifier: Apache-2.0
// Who may talk to the daemon over TCP (spec §4.1): pages of other origins may not, whatever
// name they reach it by, and with a token configured nobody may without it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http.h"

namespace miniboxd {

// A host as browsers and tools write it: without port, brackets and case.
struct HostAndPort {
  std::string host{};
  int port = 80;
};
// nullopt if `text` is not `host[:port]`, `v4[:port]` or `[v6][:port]`.
std::optional<HostAndPort> ParseHost(std::string_view text);

// Whether the host is this machine by a name or address of loopback: "localhost", "x.localhost",
// "127.1.2.3", "::1".
bool IsLoopbackHost(std::string_view host);

// The Host/Origin guard; nullopt if the request may go on. `allowed_hosts`: further hosts, a
// leading '.' matches sub-domains.
std::optional<HttpError> CheckOrigin(const RequestHead& head,
                                     const std::vector<std::string>& allowed_hosts);

// nullopt if `token` is empty or the request carries it.
std::optional<HttpError> CheckToken(const RequestHead& head, std::string_view token);

}  // namespace miniboxd
