// SPDX-License-Identifier: Apache-2.0
#include "http.h"

#include <algorithm>

#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::Status;
using minibox::StatusCode;
using minibox::wire::EqualsIgnoreCase;
using minibox::wire::ParseUint64;
using minibox::wire::StrSplit;
using minibox::wire::TrimSpace;

HttpError BadHead(std::string message) { return {400, "invalid_request", std::move(message), {}}; }

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

bool IsFieldValue(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<HttpError> CheckFraming(const RequestHead& head) {
  const size_t lengths = head.Count("Content-Length");
  const size_t encodings = head.Count("Transfer-Encoding");
  if (lengths > 0 && encodings > 0) {
    return BadHead("Content-Length together with Transfer-Encoding");
  }
  if (lengths > 1 || encodings > 1) return BadHead("more than one body length");
  if (encodings == 1) {
    // Chunked does not exist in HTTP/1.0, where a proxy would take the body for the next request.
    if (head.minor == 0 ||
        !EqualsIgnoreCase(TrimSpace(*head.Find("Transfer-Encoding")), "chunked")) {
      return BadHead("Transfer-Encoding other than chunked");
    }
  }
  if (lengths == 1 && !ParseUint64(*head.Find("Content-Length"))) {
    return BadHead("Content-Length is not a number");
  }
  return std::nullopt;
}

}  // namespace

std::string_view RequestHead::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string_view RequestHead::query() const {
  const size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

std::optional<std::string_view> RequestHead::Find(std::string_view name) const {
  for (const Header& header : headers) {
    if (EqualsIgnoreCase(header.name, name)) return header.value;
  }
  return std::nullopt;
}

size_t RequestHead::Count(std::string_view name) const {
  return static_cast<size_t>(
      std::count_if(headers.begin(), headers.end(),
                    [&](const Header& header) { return EqualsIgnoreCase(header.name, name); }));
}

bool RequestHead::HasToken(std::string_view name, std::string_view token) const {
  for (const Header& header : headers) {
    if (!EqualsIgnoreCase(header.name, name)) continue;
    for (const std::string_view element : StrSplit(header.value, ',')) {
      if (EqualsIgnoreCase(TrimSpace(element), token)) return true;
    }
  }
  return false;
}

bool RequestHead::Accepts(std::string_view media_type) const {
  for (const Header& header : headers) {
    if (!EqualsIgnoreCase(header.name, "Accept")) continue;
    for (const std::string_view element : StrSplit(header.value, ',')) {
      const std::vector<std::string_view> parts = StrSplit(element, ';');
      if (!EqualsIgnoreCase(TrimSpace(parts[0]), media_type)) continue;
      // "q=0" and "q=0.0" refuse the type.
      const bool refused = std::any_of(parts.begin() + 1, parts.end(), [](std::string_view part) {
        part = TrimSpace(part);
        return part.starts_with("q=0") && part.find_first_not_of("0.", 2) == part.npos;
      });
      if (!refused) return true;
    }
  }
  return false;
}

HttpError ErrorOf(const Status& status) {
  HttpError error{500, status.reason(), status.message(), status.field()};
  switch (status.code()) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
      error.status = 400;
      break;
    case StatusCode::kUnauthenticated:
      error.status = 401;
      break;
    case StatusCode::kPermissionDenied:
      error.status = 403;
      break;
    case StatusCode::kNotFound:
      error.status = 404;
      break;
    case StatusCode::kDeadlineExceeded:
      error.status = 408;
      if (error.code.empty()) error.code = "timeout";
      break;
    case StatusCode::kFailedPrecondition:
    case StatusCode::kAlreadyExists:
    case StatusCode::kAborted:
      error.status = 409;
      break;
    case StatusCode::kUnavailable:
      error.status = error.code == "registry_error" ? 502 : 503;
      if (error.code.empty()) error.code = "shutting_down";
      break;
    case StatusCode::kResourceExhausted:
      error.status = error.code == "no_space" ? 507 : 500;
      break;
    default:
      break;
  }
  // The codes that have statuses of their own.
  if (error.code == "path_not_allowed") error.status = 400;
  if (error.code == "body_too_large") error.status = 413;
  if (error.code == "too_many_connections") error.status = 503;
  if (error.code.empty()) {
    error.status = 500;
    error.code = "internal";
  }
  return error;
}

std::optional<HttpError> CheckHead(const RequestHead& head) {
  if (head.target.size() > kMaxTarget) {
    return HttpError{414, "target_too_long", "request target is longer than 8 KiB", {}};
  }
  for (const Header& header : head.headers) {
    if (!IsToken(header.name) || !IsFieldValue(header.value)) return BadHead("malformed header");
  }
  const size_t hosts = head.Count("Host");
  if (hosts > 1 || (hosts == 0 && head.minor > 0)) return BadHead("exactly one Host is required");
  if (auto error = CheckFraming(head)) return error;
  const auto expect = head.Find("Expect");
  if (expect && !EqualsIgnoreCase(TrimSpace(*expect), "100-continue")) {
    return HttpError{417, "invalid_request", "cannot meet the expectation", {}};
  }
  return std::nullopt;
}

BodyFraming FramingOf(const RequestHead& head) {
  BodyFraming framing;
  framing.chunked = head.Count("Transfer-Encoding") > 0;
  if (const auto length = head.Find("Content-Length")) framing.length = *ParseUint64(*length);
  return framing;
}

std::string_view ReasonPhrase(int status) {
  static constexpr std::pair<int, std::string_view> kPhrases[] = {
      {101, "Switching Protocols"},
      {200, "OK"},
      {206, "Partial Content"},
      {304, "Not Modified"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
  };
  for (const auto& [number, phrase] : kPhrases) {
    if (number == status) return phrase;
  }
  return "Error";
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::optional<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string_view part : StrSplit(query, '&')) {
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    auto name = PercentDecode(part.substr(0, equals));
    auto value = PercentDecode(equals == part.npos ? "" : part.substr(equals + 1));
    if (!name || !value) return std::nullopt;
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  return pairs;
}

}  // namespace miniboxd
