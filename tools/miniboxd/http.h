// SPDX-License-Identifier: Apache-2.0
// An HTTP request's head and an HTTP error, as values (spec §4.1, §4.2, §4.6).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minibox/status.h"

namespace miniboxd {

inline constexpr size_t kMaxHead = 16 << 10;
inline constexpr size_t kMaxTarget = 8 << 10;

struct Header {
  std::string name, value;
};

struct RequestHead {
  std::string method{};
  std::string target{};  // path and query as sent
  int minor = 1;         // HTTP/1.<minor>
  std::vector<Header> headers{};
  std::string local_address{};  // where the connection arrived, without port

  std::string_view path() const;   // as sent, not decoded
  std::string_view query() const;  // after '?'
  // The first header of that name, whatever its case.
  std::optional<std::string_view> Find(std::string_view name) const;
  size_t Count(std::string_view name) const;
  // Whether an element of a comma-separated header is `token`, whatever its case.
  bool HasToken(std::string_view name, std::string_view token) const;
  // Whether the Accept header names exactly that type with a weight above 0.
  bool Accepts(std::string_view media_type) const;
};

// How the body is delimited.
struct BodyFraming {
  bool chunked = false;
  uint64_t length = 0;  // unless chunked
};

// An answer that is an error. `headers` are sent along, WWW-Authenticate for example.
struct HttpError {
  int status = 500;
  std::string code{};
  std::string message{};
  std::string field{};
  std::vector<Header> headers{};
};

// The mapping of spec §4.6. A status without reason that the library did not expect (a failed
// system call) is 500 `internal`.
HttpError ErrorOf(const minibox::Status& status);

// What can be said about a head before anything else is looked at: size of the target, one Host,
// body framing that no proxy could read differently, expectations. nullopt if it is sound.
std::optional<HttpError> CheckHead(const RequestHead& head);
// Of a head that CheckHead() has passed.
BodyFraming FramingOf(const RequestHead& head);

std::string_view ReasonPhrase(int status);

// Percent-decodes; nullopt on a malformed escape or a NUL. '+' stays '+': times carry it.
std::optional<std::string> PercentDecode(std::string_view text);
// Decoded pairs in order; nullopt if one is malformed.
std::optional<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query);

}  // namespace miniboxd
