// SPDX-License-Identifier: Apache-2.0
#include "registry/fake_registry.h"

#include <algorithm>
#include <cstdlib>

#include "core/base64.h"

namespace minibox::testing {
namespace {

std::string ErrorBody(const std::string& code, const std::string& message) {
  return R"({"errors":[{"code":")" + code + R"(","message":")" + message + R"("}]})";
}

std::string MediaType(const std::string& manifest) {
  const std::string key = "\"mediaType\":\"";
  const size_t found = manifest.find(key);
  if (found == manifest.npos) return "application/vnd.oci.image.manifest.v1+json";
  const size_t begin = found + key.size();
  return manifest.substr(begin, manifest.find('"', begin) - begin);
}

}  // namespace

FakeRegistry::FakeRegistry()
    : server_(std::make_unique<HttpServer>(
          [this](const ServedRequest& request, ServedConnection& connection) {
            Handle(request, connection);
          })) {}

std::string FakeRegistry::AddImage(const std::string& repository, const std::string& tag,
                                   const TestImage& image) {
  for (const std::string& layer : image.layers) AddBlob(repository, layer);
  AddBlob(repository, image.config);
  return AddManifest(repository, tag, image.manifest);
}

std::string FakeRegistry::AddManifest(const std::string& repository, const std::string& reference,
                                      const std::string& text) {
  const std::lock_guard lock(mutex_);
  const std::string digest = DigestText(text);
  manifests_[repository][reference] = text;
  manifests_[repository][digest] = text;
  return digest;
}

void FakeRegistry::AddBlob(const std::string& repository, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  blobs_[repository][DigestText(bytes)] = bytes;
}

void FakeRegistry::RemoveBlob(const std::string& repository, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  blobs_[repository].erase(digest);
}

void FakeRegistry::RequireAuth(Auth auth) {
  const std::lock_guard lock(mutex_);
  auth_ = auth;
}

void FakeRegistry::SetTokenLifetime(int seconds) {
  const std::lock_guard lock(mutex_);
  token_lifetime_ = seconds;
}

void FakeRegistry::RevokeTokens() {
  const std::lock_guard lock(mutex_);
  tokens_.clear();
}

void FakeRegistry::SetRealm(const std::string& realm) {
  const std::lock_guard lock(mutex_);
  realm_ = realm;
}

void FakeRegistry::SetUploadLimit(size_t bytes) {
  const std::lock_guard lock(mutex_);
  upload_limit_ = bytes;
}

void FakeRegistry::RedirectBlobsTo(const std::string& url) {
  const std::lock_guard lock(mutex_);
  redirect_ = url;
}

bool FakeRegistry::HasBlob(const std::string& repository, const std::string& digest) const {
  const std::lock_guard lock(mutex_);
  const auto found = blobs_.find(repository);
  return found != blobs_.end() && found->second.contains(digest);
}

std::string FakeRegistry::Manifest(const std::string& repository,
                                   const std::string& reference) const {
  const std::lock_guard lock(mutex_);
  const auto found = manifests_.find(repository);
  if (found == manifests_.end() || !found->second.contains(reference)) return "";
  return found->second.at(reference);
}

std::vector<std::string> FakeRegistry::Seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

size_t FakeRegistry::Count(const std::string& part) const {
  const std::vector<std::string> seen = Seen();
  return static_cast<size_t>(std::count_if(seen.begin(), seen.end(), [&](const std::string& line) {
    return line.find(part) != std::string::npos;
  }));
}

std::vector<std::string> FakeRegistry::TokenRequests() const {
  const std::lock_guard lock(mutex_);
  return token_requests_;
}

bool FakeRegistry::Refuse(const ServedRequest& request, ServedConnection& connection) {
  const std::string given = request.Header("authorization");
  if (auth_ == Auth::kNone) return false;
  if (auth_ == Auth::kBasic) {
    if (given == "Basic " + core::Base64Encode("me:secret")) return false;
    connection.Respond(401, {{"WWW-Authenticate", "Basic realm=\"fake, registry\""}},
                       ErrorBody("UNAUTHORIZED", "who are you"), request.method == "HEAD");
    return true;
  }
  if (given.starts_with("Bearer ") && tokens_.contains(given.substr(7))) return false;
  const std::string realm = realm_.empty() ? server_->url() + "/token" : realm_;
  connection.Respond(
      401, {{"WWW-Authenticate", "Bearer realm=\"" + realm + "\",service=\"fake\",error=\"x\""}},
      ErrorBody("UNAUTHORIZED", "a token, please"), request.method == "HEAD");
  return true;
}

void FakeRegistry::GiveToken(const ServedRequest& request, ServedConnection& connection) {
  token_requests_.push_back(request.method + " " + request.query + " " + request.body);
  const bool refresh = request.body.find("grant_type=refresh_token") != std::string::npos &&
                       request.body.find("refresh_token=refresh") != std::string::npos;
  const std::string given = request.Header("authorization");
  if (!refresh && !given.empty() && given != "Basic " + core::Base64Encode("me:secret")) {
    connection.Respond(401, {}, ErrorBody("UNAUTHORIZED", "wrong password"));
    return;
  }
  const std::string token = "token-" + std::to_string(++next_id_);
  tokens_.insert(token);
  const std::string lifetime =
      token_lifetime_ > 0 ? ",\"expires_in\":" + std::to_string(token_lifetime_) : "";
  connection.Respond(200, {},
                     std::string(refresh ? "{\"access_token\":\"" : "{\"token\":\"") + token +
                         "\"" + lifetime + "}");
}

void FakeRegistry::GetBlob(const std::string& repository, const std::string& digest,
                           const ServedRequest& request, ServedConnection& connection) {
  const auto& blobs = blobs_[repository];
  const bool head = request.method == "HEAD";
  const auto found = blobs.find(digest);
  if (found == blobs.end()) {
    connection.Respond(404, {}, ErrorBody("BLOB_UNKNOWN", "blob unknown"), head);
    return;
  }
  if (!head && !redirect_.empty()) {
    connection.Respond(307, {{"Location", redirect_ + request.target}});
    return;
  }
  const std::string& bytes = found->second;
  const std::string range = request.Header("range");
  if (!head && range.starts_with("bytes=")) {
    const size_t first = strtoull(range.c_str() + 6, nullptr, 10);
    if (first >= bytes.size()) {
      connection.Respond(416, {}, "");
      return;
    }
    connection.Respond(206,
                       {{"Content-Range", "bytes " + std::to_string(first) + "-" +
                                              std::to_string(bytes.size() - 1) + "/" +
                                              std::to_string(bytes.size())}},
                       bytes.substr(first));
    return;
  }
  connection.Respond(
      200, {{"Docker-Content-Digest", digest}, {"Content-Length", std::to_string(bytes.size())}},
      bytes, head);
}

void FakeRegistry::Upload(const std::string& repository, const std::string& id,
                          const ServedRequest& request, ServedConnection& connection) {
  const auto location = [&](const std::string& upload) {
    return "/v2/" + repository + "/blobs/uploads/" + upload + "?state=x";
  };
  if (id.empty()) {
    const std::string mount = request.Parameter("mount"), from = request.Parameter("from");
    if (!mount.empty() && blobs_[from].contains(mount)) {
      blobs_[repository][mount] = blobs_[from][mount];
      connection.Respond(201, {{"Location", "/v2/" + repository + "/blobs/" + mount}});
      return;
    }
    const std::string upload = std::to_string(++next_id_);
    uploads_[upload] = "";
    connection.Respond(202, {{"Location", location(upload)}, {"Range", "0-0"}});
    return;
  }
  const auto found = uploads_.find(id);
  if (found == uploads_.end()) {
    connection.Respond(404, {}, ErrorBody("BLOB_UPLOAD_UNKNOWN", "upload unknown"));
    return;
  }
  std::string& bytes = found->second;
  const auto range = [&] { return "0-" + std::to_string(bytes.empty() ? 0 : bytes.size() - 1); };
  if (request.method == "GET") {
    connection.Respond(204, {{"Location", location(id)}, {"Range", range()}});
  } else if (request.method == "PATCH") {
    const std::string content_range = request.Header("content-range");
    if (!content_range.empty() && strtoull(content_range.c_str(), nullptr, 10) != bytes.size()) {
      connection.Respond(416, {{"Range", range()}});
      return;
    }
    bytes += request.body.substr(0, upload_limit_);
    if (request.complete) {
      connection.Respond(202, {{"Location", location(id)}, {"Range", range()}});
    }
  } else {
    const std::string digest = request.Parameter("digest");
    if (DigestText(bytes) != digest) {
      connection.Respond(400, {}, ErrorBody("DIGEST_INVALID", "wrong digest"));
      return;
    }
    blobs_[repository][digest] = bytes;
    uploads_.erase(found);
    connection.Respond(201, {{"Docker-Content-Digest", digest}});
  }
}

void FakeRegistry::Handle(const ServedRequest& request, ServedConnection& connection) {
  const std::lock_guard lock(mutex_);
  if (request.path == "/token") return GiveToken(request, connection);
  seen_.push_back(request.method + " " + request.target +
                  (request.Header("authorization").empty() ? "" : " auth"));
  if (Refuse(request, connection)) return;
  if (request.path == "/v2/") {
    connection.Respond(200, {}, "{}");
    return;
  }
  for (const std::string kind : {"/manifests/", "/blobs/uploads/", "/blobs/"}) {
    const size_t found = request.path.find(kind);
    if (found == request.path.npos || !request.path.starts_with("/v2/")) continue;
    const std::string repository = request.path.substr(4, found - 4);
    const std::string name = request.path.substr(found + kind.size());
    if (kind == "/blobs/uploads/") return Upload(repository, name, request, connection);
    if (kind == "/blobs/") return GetBlob(repository, name, request, connection);
    if (request.method == "PUT") {
      const std::string digest = DigestText(request.body);
      manifests_[repository][name] = manifests_[repository][digest] = request.body;
      connection.Respond(201, {{"Docker-Content-Digest", digest}});
      return;
    }
    const auto& manifests = manifests_[repository];
    const auto manifest = manifests.find(name);
    if (manifest == manifests.end()) {
      connection.Respond(404, {}, ErrorBody("MANIFEST_UNKNOWN", "manifest unknown"));
    } else {
      connection.Respond(200, {{"Content-Type", MediaType(manifest->second)}}, manifest->second,
                         request.method == "HEAD");
    }
    return;
  }
  connection.Respond(404, {}, "");
}

}  // namespace minibox::testing
