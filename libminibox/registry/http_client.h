// SPDX-License-Identifier: Apache-2.0
// HTTP to registries, over libcurl, which is seen nowhere else in the library.
//
// Redirects are followed here and not by libcurl: at most ten, never from HTTPS to HTTP, and
// without the Authorization header once they leave the host.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minibox/status.h"

namespace minibox::registry {

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers{};  // names in lower case
  std::string body{};                                          // unless a sink took it
  std::string url{};                                           // where the answer came from

  std::optional<std::string_view> Header(std::string_view name) const;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string authorization{};  // value of the header, for the host of `url` only
  std::string body{};
  // Instead of `body`: bytes from `offset` on, as often as needed.
  std::function<StatusOr<size_t>(uint64_t offset, char* buffer, size_t size)> upload{};
  uint64_t upload_size = 0;
  // Of a 2xx: its head, then the bytes of its body. An error ends the request and is its result.
  std::function<Status(const HttpResponse& head)> on_head{};
  std::function<Status(std::string_view bytes)> sink{};
  size_t max_body = 1u << 20;  // of a 2xx without sink
  bool verify = true;          // the certificate
};

struct HttpOptions {
  std::string https_proxy{}, http_proxy{}, no_proxy{};
  std::string ca_file{};
  std::chrono::milliseconds connect_timeout{30'000}, idle_timeout{60'000};
};

// Thread-safe; connections are kept and used again.
class HttpClient {
 public:
  static StatusOr<std::shared_ptr<HttpClient>> Create(const HttpOptions& options);
  ~HttpClient();

  // Whatever the answer's status. Without answer, "registry_error": kUnavailable (no connection,
  // or it broke), kDeadlineExceeded (nothing came for too long), kPermissionDenied (a certificate,
  // a redirect that is not followed). kCancelled once `stop` is requested. To be called on threads
  // that block signals (core/thread.h): a broken connection may raise SIGPIPE.
  StatusOr<HttpResponse> Send(const HttpRequest& request, std::stop_token stop);

 private:
  struct Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Errors are kInvalidArgument.
struct Origin {
  std::string scheme{}, host{};  // lower case; IPv6 in brackets
  int port = 0;
  friend bool operator==(const Origin&, const Origin&) = default;
};
StatusOr<Origin> OriginOf(std::string_view url);
// `location` as seen from `base`; http and https only.
StatusOr<std::string> ResolveUrl(std::string_view base, std::string_view location);
std::string PercentEncode(std::string_view text);
// Retry-After: seconds or a date.
std::optional<std::chrono::seconds> ParseRetryAfter(std::string_view text);

}  // namespace minibox::registry
