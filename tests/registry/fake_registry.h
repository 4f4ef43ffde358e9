// SPDX-License-Identifier: Apache-2.0
// A registry in this process: the distribution specification's part that matters, with
// authentication of each kind. What it was asked can be looked at.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "archive/image_archives.h"
#include "support/http_server.h"

namespace minibox::testing {

class FakeRegistry {
 public:
  enum class Auth { kNone, kBasic, kBearer };

  FakeRegistry();

  int port() const { return server_->port(); }
  std::string host() const { return server_->host(); }

  // Manifest, config and layers. Returns the manifest's digest.
  std::string AddImage(const std::string& repository, const std::string& tag,
                       const TestImage& image);
  // Any bytes as a manifest, by tag and digest.
  std::string AddManifest(const std::string& repository, const std::string& reference,
                          const std::string& text);
  void AddBlob(const std::string& repository, const std::string& bytes);
  void RemoveBlob(const std::string& repository, const std::string& digest);

  // User "me", password "secret"; with kBearer also identity token "refresh".
  void RequireAuth(Auth auth);
  // Of tokens that are given from now on, in seconds; 0: none is said.
  void SetTokenLifetime(int seconds);
  // Those that were given are not accepted any more.
  void RevokeTokens();
  // Where the token server sends its clients: "" is this server.
  void SetRealm(const std::string& realm);
  // Bytes of an upload that are taken from one PATCH.
  void SetUploadLimit(size_t bytes);
  // Where GETs of blobs are sent, with the path appended.
  void RedirectBlobsTo(const std::string& url);

  bool HasBlob(const std::string& repository, const std::string& digest) const;
  std::string Manifest(const std::string& repository, const std::string& reference) const;
  // "GET /v2/…" of each request, with " auth" if it had an Authorization header.
  std::vector<std::string> Seen() const;
  size_t Count(const std::string& part) const;
  std::vector<std::string> TokenRequests() const;

 private:
  void Handle(const ServedRequest& request, ServedConnection& connection);
  // True if the request was answered: it may not go on.
  bool Refuse(const ServedRequest& request, ServedConnection& connection);
  void GiveToken(const ServedRequest& request, ServedConnection& connection);
  void GetBlob(const std::string& repository, const std::string& digest,
               const ServedRequest& request, ServedConnection& connection);
  void Upload(const std::string& repository, const std::string& id, const ServedRequest& request,
              ServedConnection& connection);

  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, std::string>> blobs_, manifests_;
  std::map<std::string, std::string> uploads_;
  std::set<std::string> tokens_;
  std::vector<std::string> seen_, token_requests_;
  Auth auth_ = Auth::kNone;
  int token_lifetime_ = 300, next_id_ = 0;
  size_t upload_limit_ = SIZE_MAX;
  std::string realm_, redirect_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace minibox::testing
