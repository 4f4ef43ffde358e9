// SPDX-License-Identifier: Apache-2.0
#include "registry/auth.h"

#include <algorithm>

#include "core/base64.h"
#include "core/errors.h"
#include "core/json.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "registry/retry.h"

namespace minibox::registry {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

// What a token server that says nothing means, and the least that is believed.
constexpr seconds kDefaultLifetime{60};
constexpr seconds kLongestLifetime{24 * 3600};
// Not used in its last seconds: it has to reach the registry, too.
constexpr seconds kMargin{5};
constexpr char kClientId[] = "minibox";

Status Denied(std::string message) {
  return core::Error(StatusCode::kPermissionDenied, "registry_error", std::move(message));
}

const Challenge* FindScheme(const std::vector<Challenge>& challenges, std::string_view scheme) {
  const auto found = std::find_if(challenges.begin(), challenges.end(),
                                  [&](const Challenge& c) { return c.scheme == scheme; });
  return found == challenges.end() ? nullptr : &*found;
}

std::string Parameter(const Challenge& challenge, const std::string& name) {
  const auto found = challenge.params.find(name);
  return found == challenge.params.end() ? "" : found->second;
}

}  // namespace

std::optional<std::string> TokenCache::Find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(key);
  if (found == tokens_.end() || found->second.expiry <= Clock::now()) return std::nullopt;
  return found->second.text;
}

void TokenCache::Keep(const std::string& key, std::string token, seconds lifetime) {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  std::erase_if(tokens_, [&](const auto& entry) { return entry.second.expiry <= now; });
  tokens_[key] = {std::move(token), now + lifetime - kMargin};
}

void TokenCache::Drop(const std::string& key) {
  const std::lock_guard lock(mutex_);
  tokens_.erase(key);
}

Authorizer::Authorizer(std::shared_ptr<HttpClient> http, std::shared_ptr<TokenCache> tokens,
                       std::string host, Credentials credentials, bool verify)
    : http_(std::move(http)),
      tokens_(std::move(tokens)),
      host_(std::move(host)),
      credentials_(std::move(credentials)),
      verify_(verify),
      credentials_hash_(core::Sha256::Hex(core::StrCat(
          credentials_.username, "\n", credentials_.password, "\n", credentials_.identity_token))) {
}

std::string Authorizer::Key(const std::vector<std::string>& scopes) const {
  return core::StrCat(host_, "\n", credentials_hash_, "\n", core::StrJoin(scopes, " "));
}

std::string Authorizer::Basic() const {
  return core::StrCat("Basic ", core::Base64Encode(core::StrCat(credentials_.username, ":",
                                                                credentials_.password)));
}

std::string Authorizer::Header(const std::vector<std::string>& scopes) const {
  if (!credentials_.registry_token.empty()) {
    return core::StrCat("Bearer ", credentials_.registry_token);
  }
  {
    const std::lock_guard lock(mutex_);
    if (wants_basic_) return Basic();
  }
  const auto token = tokens_->Find(Key(scopes));
  return token ? core::StrCat("Bearer ", *token) : "";
}

StatusOr<std::string> Authorizer::Answer(const HttpResponse& refusal,
                                         const std::vector<std::string>& scopes,
                                         const std::string& used, const std::stop_token& stop) {
  if (!credentials_.registry_token.empty()) {
    return Denied(core::StrCat(host_, " does not accept the token"));
  }
  std::vector<Challenge> challenges;
  for (const auto& [name, value] : refusal.headers) {
    if (name != "www-authenticate") continue;
    for (Challenge& challenge : ParseChallenges(value)) challenges.push_back(std::move(challenge));
  }
  if (const Challenge* bearer = FindScheme(challenges, "bearer")) {
    const std::lock_guard lock(fetching_);
    // Another request may have fetched it meanwhile.
    const std::string known = Header(scopes);
    if (!known.empty() && known != used && known.starts_with("Bearer ")) return known;
    tokens_->Drop(Key(scopes));
    MBX_ASSIGN_OR_RETURN(const std::string token, FetchToken(*bearer, refusal, scopes, stop));
    return core::StrCat("Bearer ", token);
  }
  if (FindScheme(challenges, "basic") != nullptr) {
    if (credentials_.username.empty()) {
      return Denied(core::StrCat(host_, " wants a user name and password"));
    }
    if (used.starts_with("Basic ")) {
      return Denied(core::StrCat(host_, " does not accept the user name and password"));
    }
    const std::lock_guard lock(mutex_);
    wants_basic_ = true;
    return Basic();
  }
  return Denied(core::StrCat(host_, " wants a kind of authentication that is not supported"));
}

StatusOr<std::string> Authorizer::FetchToken(const Challenge& challenge,
                                             const HttpResponse& refusal,
                                             const std::vector<std::string>& scopes,
                                             const std::stop_token& stop) {
  const std::string realm = Parameter(challenge, "realm");
  const std::string service = Parameter(challenge, "service");
  const auto url = ResolveUrl(refusal.url, realm);
  if (realm.empty() || !url.ok()) return Denied(core::StrCat(host_, " names no token server"));
  if (refusal.url.starts_with("https://") && !url->starts_with("https://")) {
    return Denied(core::StrCat(host_, " names a token server without TLS"));
  }
  HttpRequest request{.url = *url, .verify = verify_};
  if (!credentials_.identity_token.empty()) {
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body = core::StrCat("grant_type=refresh_token&client_id=", kClientId,
                                "&service=", PercentEncode(service),
                                "&scope=", PercentEncode(core::StrJoin(scopes, " ")),
                                "&refresh_token=", PercentEncode(credentials_.identity_token));
  } else {
    std::string query;
    const auto add = [&query](std::string_view name, std::string_view value) {
      query += core::StrCat(query.empty() ? "" : "&", name, "=", PercentEncode(value));
    };
    if (!service.empty()) add("service", service);
    for (const std::string& scope : scopes) add("scope", scope);
    if (!credentials_.username.empty()) {
      add("account", credentials_.username);
      request.authorization = Basic();
    }
    request.url += core::StrCat(request.url.find('?') == std::string::npos ? "?" : "&", query);
  }
  const auto response = http_->Send(request, stop);
  const Outcome outcome = Judge(response, core::StrCat("token for ", host_));
  if (!outcome.status.ok()) return outcome.status;
  const auto root = json::Parse(response->body);
  if (!root.ok()) return Denied(core::StrCat("token for ", host_, ": the answer is no JSON"));
  auto token = root->GetString("token", "");
  if (!token.ok() || token->empty()) token = root->GetString("access_token", "");
  if (!token.ok() || token->empty()) {
    return Denied(core::StrCat("token for ", host_, ": the answer holds none"));
  }
  if (token->find_first_of("\r\n") != std::string::npos || token->find('\0') != std::string::npos) {
    return Denied(core::StrCat("token for ", host_, ": malformed"));
  }
  const auto expires = root->GetInt("expires_in", kDefaultLifetime.count());
  const seconds lifetime(expires.ok() ? *expires : kDefaultLifetime.count());
  tokens_->Keep(Key(scopes), *token, std::clamp(lifetime, kMargin, kLongestLifetime));
  return token;
}

}  // namespace minibox::registry
