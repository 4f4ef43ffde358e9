// SPDX-License-Identifier: Apache-2.0
#include "registry/remote.h"

#include <arpa/inet.h>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::registry {
namespace {

constexpr std::string_view kDefaultRegistry = "docker.io", kDefaultHost = "registry-1.docker.io";

std::string_view AddressOf(std::string_view host) {
  return host == kDefaultRegistry ? kDefaultHost : host;
}

std::string_view WithoutPort(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

}  // namespace

bool IsLoopback(std::string_view host) {
  const std::string name = core::AsciiLower(WithoutPort(host));
  if (name == "localhost" || name == "[::1]") return true;
  in_addr address;
  return inet_pton(AF_INET, name.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

Remote::Remote(std::shared_ptr<HttpClient> http, std::shared_ptr<TokenCache> tokens,
               RemoteOptions options)
    : http_(std::move(http)),
      options_(std::move(options)),
      authorizer_(http_, std::move(tokens), options_.host, options_.credentials,
                  /*verify=*/!options_.insecure),
      base_(options_.base) {
  while (base_.ends_with('/')) base_.pop_back();
  const bool may_be_plain = options_.insecure || IsLoopback(options_.host);
  if (base_.empty() && !may_be_plain) {
    base_ = core::StrCat("https://", AddressOf(options_.host));
  }
}

StatusOr<std::string> Remote::Base(const std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  if (!base_.empty()) return base_;
  // TLS first, plain HTTP only if that does not work at all.
  const auto address = AddressOf(options_.host);
  HttpRequest probe{.url = core::StrCat("https://", address, "/v2/"), .verify = !options_.insecure};
  const auto secure = http_->Send(probe, stop);
  if (secure.ok()) return base_ = core::StrCat("https://", address);
  // A certificate that is not trusted is no reason to do without one.
  if (secure.status().code() != StatusCode::kUnavailable &&
      secure.status().code() != StatusCode::kDeadlineExceeded) {
    return secure.status();
  }
  probe.url = core::StrCat("http://", address, "/v2/");
  const auto plain = http_->Send(probe, stop);
  if (plain.ok() && plain->status != 400) return base_ = core::StrCat("http://", address);
  return plain.ok() || plain.status().code() == StatusCode::kCancelled ? secure.status()
                                                                       : plain.status();
}

StatusOr<HttpResponse> Remote::Send(HttpRequest request, const std::stop_token& stop,
                                    const std::vector<std::string>& more_scopes) {
  MBX_ASSIGN_OR_RETURN(const std::string base, Base(stop));
  bool ours = true;
  if (request.url.starts_with("http://") || request.url.starts_with("https://")) {
    MBX_ASSIGN_OR_RETURN(const Origin there, OriginOf(request.url));
    MBX_ASSIGN_OR_RETURN(const Origin here, OriginOf(base));
    ours = there == here;
    if (here.scheme == "https" && there.scheme != "https") {
      return core::Error(StatusCode::kPermissionDenied, "registry_error",
                         core::StrCat(options_.host, " wants to go on without TLS"));
    }
  } else {
    const std::string repository =
        options_.repository.empty() ? "" : core::StrCat(options_.repository, "/");
    request.url = core::StrCat(base, "/v2/", repository, request.url);
  }
  request.verify = !options_.insecure;
  std::vector<std::string> scopes = options_.scopes;
  scopes.insert(scopes.end(), more_scopes.begin(), more_scopes.end());
  if (ours) request.authorization = authorizer_.Header(scopes);
  // A token may have expired on the way: then once more, with another one.
  for (int tries = 0;; ++tries) {
    MBX_ASSIGN_OR_RETURN(HttpResponse response, http_->Send(request, stop));
    if (response.status != 401 || !ours || tries == 1) return response;
    MBX_ASSIGN_OR_RETURN(request.authorization,
                         authorizer_.Answer(response, scopes, request.authorization, stop));
  }
}

}  // namespace minibox::registry
