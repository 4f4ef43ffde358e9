// SPDX-License-Identifier: Apache-2.0
// One repository at one address: a registry itself, or a mirror of it.
#pragma once

#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/registry.h"
#include "registry/auth.h"
#include "registry/http_client.h"

namespace minibox::registry {

// "host" or "host:port" -> whether it is this machine.
bool IsLoopback(std::string_view host);

struct RemoteOptions {
  std::string host{};        // as in references: "docker.io"
  std::string base{};        // "https://host[:port][/prefix]"; empty: made from `host`
  std::string repository{};  // empty: for the registry as a whole
  std::vector<std::string> scopes{};
  Credentials credentials{};
  bool insecure = false;
};

// Thread-safe.
class Remote {
 public:
  Remote(std::shared_ptr<HttpClient> http, std::shared_ptr<TokenCache> tokens,
         RemoteOptions options);

  const std::string& host() const { return options_.host; }
  // Sends with the authorization that is wanted. `request.url` is a path below /v2/<repository>/
  // ("manifests/latest"), or an absolute URL that the registry gave. A second 401 is the result.
  // `more_scopes` are asked for besides the remote's own.
  StatusOr<HttpResponse> Send(HttpRequest request, const std::stop_token& stop,
                              const std::vector<std::string>& more_scopes = {});

 private:
  StatusOr<std::string> Base(const std::stop_token& stop);

  const std::shared_ptr<HttpClient> http_;
  const RemoteOptions options_;
  Authorizer authorizer_;
  std::mutex mutex_;
  std::string base_;  // once it is known whether it speaks TLS; guarded by mutex_
};

}  // namespace minibox::registry
