// SPDX-License-Identifier: Apache-2.0
// Authorization headers: basic, and bearer tokens of a token server (spec §9.1).
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "minibox/registry.h"
#include "registry/challenge.h"
#include "registry/http_client.h"

namespace minibox::registry {

// Tokens by host, scope and credentials, until they expire. Thread-safe.
class TokenCache {
 public:
  std::optional<std::string> Find(const std::string& key) const;
  void Keep(const std::string& key, std::string token, std::chrono::seconds lifetime);
  void Drop(const std::string& key);

 private:
  struct Token {
    std::string text;
    std::chrono::steady_clock::time_point expiry;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Token> tokens_;
};

// For one host with one set of credentials. Thread-safe.
class Authorizer {
 public:
  Authorizer(std::shared_ptr<HttpClient> http, std::shared_ptr<TokenCache> tokens, std::string host,
             Credentials credentials, bool verify);

  // What is known to be wanted for the scopes; empty: nothing yet.
  std::string Header(const std::vector<std::string>& scopes) const;
  // What the host wants after a 401 to a request that had `used` as header. A permanent refusal is
  // kPermissionDenied "registry_error".
  StatusOr<std::string> Answer(const HttpResponse& refusal, const std::vector<std::string>& scopes,
                               const std::string& used, const std::stop_token& stop);

 private:
  std::string Key(const std::vector<std::string>& scopes) const;
  std::string Basic() const;
  StatusOr<std::string> FetchToken(const Challenge& challenge, const HttpResponse& refusal,
                                   const std::vector<std::string>& scopes,
                                   const std::stop_token& stop);

  const std::shared_ptr<HttpClient> http_;
  const std::shared_ptr<TokenCache> tokens_;
  const std::string host_;
  const Credentials credentials_;
  const bool verify_;
  std::string credentials_hash_;
  std::mutex fetching_;  // one token request at a time
  mutable std::mutex mutex_;
  bool wants_basic_ = false;  // guarded by mutex_
};

}  // namespace minibox::registry
