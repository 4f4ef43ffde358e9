// SPDX-License-Identifier: Apache-2.0
#include "auth.h"

#include <arpa/inet.h>

#include <algorithm>

#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::wire::AsciiLower;
using minibox::wire::EqualsIgnoreCase;
using minibox::wire::ParseUint64;
using minibox::wire::TrimSpace;

bool IsHostName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_';
  });
}

HttpError Forbidden(std::string code, std::string message) {
  return {403, std::move(code), std::move(message), {}};
}

// Takes as long for a token that is wrong in its first byte as for one wrong in its last.
bool EqualInConstantTime(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    const char expected = secret[i % secret.size()];
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(expected);
  }
  return difference == 0;
}

}  // namespace

std::optional<HostAndPort> ParseHost(std::string_view text) {
  HostAndPort result;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    in6_addr address;
    if (close == text.npos) return std::nullopt;
    result.host = AsciiLower(text.substr(1, close - 1));
    if (inet_pton(AF_INET6, result.host.c_str(), &address) != 1) return std::nullopt;
    char canonical[INET6_ADDRSTRLEN];
    result.host = inet_ntop(AF_INET6, &address, canonical, sizeof canonical);
    const std::string_view rest = text.substr(close + 1);
    has_port = !rest.empty();
    if (has_port && rest[0] != ':') return std::nullopt;
    if (has_port) port = rest.substr(1);
  } else {
    const size_t colon = text.find(':');
    has_port = colon != text.npos;
    result.host = AsciiLower(text.substr(0, colon));
    if (has_port) port = text.substr(colon + 1);
    if (!IsHostName(result.host)) return std::nullopt;
  }
  if (has_port) {
    const auto number = ParseUint64(port);
    if (!number || *number > 65535) return std::nullopt;
    result.port = static_cast<int>(*number);
  }
  return result;
}

bool IsLoopbackHost(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost") || host == "::1") return true;
  in_addr address;
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 &&
         (ntohl(address.s_addr) >> 24) == 127;
}

std::optional<HttpError> CheckOrigin(const RequestHead& head,
                                     const std::vector<std::string>& allowed_hosts) {
  const auto host_header = head.Find("Host");
  std::optional<HostAndPort> host;
  if (host_header) {
    host = ParseHost(TrimSpace(*host_header));
    const auto allowed = [&](const std::string& entry) {
      return entry.starts_with('.') ? host->host.ends_with(AsciiLower(entry))
                                    : host->host == AsciiLower(entry);
    };
    if (!host || !(IsLoopbackHost(host->host) || host->host == head.local_address ||
                   std::any_of(allowed_hosts.begin(), allowed_hosts.end(), allowed))) {
      return Forbidden("host_not_allowed", "this host name is not served");
    }
  }
  // Without Host (HTTP/1.0 only) no browser is speaking; such a request has no origin either.
  for (const Header& header : head.headers) {
    if (EqualsIgnoreCase(header.name, "Origin")) {
      const std::string origin = AsciiLower(TrimSpace(header.value));
      std::optional<HostAndPort> from;
      if (origin.starts_with("http://")) from = ParseHost(std::string_view(origin).substr(7));
      if (!host || !from || from->host != host->host || from->port != host->port) {
        return Forbidden("origin_not_allowed", "requests of other origins are refused");
      }
    }
    if (EqualsIgnoreCase(header.name, "Sec-Fetch-Site")) {
      const std::string site = AsciiLower(TrimSpace(header.value));
      if (site == "cross-site" || site == "same-site") {
        return Forbidden("origin_not_allowed", "requests of other origins are refused");
      }
    }
  }
  return std::nullopt;
}

std::optional<HttpError> CheckToken(const RequestHead& head, std::string_view token) {
  if (token.empty()) return std::nullopt;
  bool authorized = false;
  if (const auto header = head.Find("Authorization")) {
    std::string_view given = TrimSpace(*header);
    const size_t blank = given.find(' ');
    if (blank != given.npos && EqualsIgnoreCase(given.substr(0, blank), "Bearer")) {
      given = TrimSpace(given.substr(blank));
    }
    authorized |= EqualInConstantTime(given, token);
  }
  if (const auto header = head.Find("X-API-Token")) {
    authorized |= EqualInConstantTime(TrimSpace(*header), token);
  }
  if (authorized) return std::nullopt;
  HttpError error{401, "unauthorized", "Unauthorized", {}};
  error.headers.push_back({"WWW-Authenticate", "Bearer realm=\"minibox\""});
  return error;
}

}  // namespace miniboxd
