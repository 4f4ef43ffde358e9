// SPDX-License-Identifier: Apache-2.0
// The credentials file in the form of Docker's config.json: auths.<host>.auth, .identitytoken.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "core/base64.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "minibox/registry.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr size_t kMaxFile = 4u << 20;
constexpr char kDockerIo[] = "docker.io";
// Under which `docker login` files the default registry.
constexpr char kDockerKey[] = "https://index.docker.io/v1/";

// "https://index.docker.io/v1/" -> "docker.io"; "host:5000/" -> "host:5000".
std::string HostOfKey(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  const size_t slash = key.find('/');
  const std::string_view path = slash == key.npos ? "" : key.substr(slash);
  const std::string host = core::AsciiLower(key.substr(0, slash));
  if (!path.empty() && path != "/" && !path.starts_with("/v1") && !path.starts_with("/v2")) {
    return "";  // of a repository only
  }
  if (host == "index.docker.io" || host == "registry-1.docker.io") return kDockerIo;
  return host;
}

StatusOr<json::Value> ReadAuthFile(const std::filesystem::path& file) {
  const core::Fd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return json::Value();
    return core::SysError("open", file.native());
  }
  MBX_ASSIGN_OR_RETURN(const std::string text, core::ReadAll(fd.get(), kMaxFile));
  if (core::TrimSpace(text).empty()) return json::Value();
  auto root = json::Parse(text);
  // Nothing of the content: it is secret.
  if (!root.ok()) return root.status().WithContext(file.native());
  if (root->type() != json::Type::kObject) {
    return root->Expected("an object").WithContext(file.native());
  }
  return root;
}

StatusOr<Credentials> ParseEntry(const json::Value& entry) {
  Credentials credentials;
  MBX_ASSIGN_OR_RETURN(credentials.identity_token, entry.GetString("identitytoken", ""));
  MBX_ASSIGN_OR_RETURN(credentials.registry_token, entry.GetString("registrytoken", ""));
  MBX_ASSIGN_OR_RETURN(const std::string auth, entry.GetString("auth", ""));
  if (auth.empty()) {
    MBX_ASSIGN_OR_RETURN(credentials.username, entry.GetString("username", ""));
    MBX_ASSIGN_OR_RETURN(credentials.password, entry.GetString("password", ""));
    return credentials;
  }
  const auto decoded = core::Base64Decode(core::TrimSpace(auth));
  const size_t colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos) return entry.Get("auth").Expected("base64 of <user>:<password>");
  credentials.username = decoded->substr(0, colon);
  credentials.password = decoded->substr(colon + 1);
  // Written by some tools at the end of it.
  while (credentials.password.ends_with('\0')) credentials.password.pop_back();
  return credentials;
}

// Rewrites the file with the members of "auths" as `edit` leaves them.
Status Rewrite(const std::filesystem::path& file, const json::Value& root,
               const std::function<void(json::Writer&)>& write_auths) {
  json::Writer out(2);
  out.BeginObject();
  for (const auto& [key, value] : root.Members()) {
    if (key != "auths") out.Key(key).Raw(value.Dump());
  }
  out.Key("auths").BeginObject();
  write_auths(out);
  out.EndObject();
  out.EndObject();
  const std::string text = out.Take();
  // The file may be a link into a place for secrets.
  std::error_code error;
  std::filesystem::path target = std::filesystem::weakly_canonical(file, error);
  if (error) target = file;
  const std::filesystem::path parent =
      target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  std::filesystem::create_directories(parent, error);
  if (error) return core::SysError("mkdir", parent.native(), error.value());
  const core::Fd dir(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return core::SysError("open", parent.native());
  return core::ReplaceFileAt(dir.get(), target.filename().native(), text + "\n", 0600);
}

}  // namespace

StatusOr<Credentials> FindCredentials(const std::filesystem::path& file,
                                      std::string_view registry) {
  Credentials found;
  if (file.empty()) return found;
  MBX_ASSIGN_OR_RETURN(const json::Value root, ReadAuthFile(file));
  const std::string host = HostOfKey(registry);
  for (const auto& [key, entry] : root.Get("auths").Members()) {
    if (host.empty() || HostOfKey(key) != host) continue;
    auto credentials = ParseEntry(entry);
    if (!credentials.ok()) return credentials.status().WithContext(file.native());
    // The exact name before the forms that mean the same.
    if (found.empty() || key == registry) found = std::move(*credentials);
  }
  return found;
}

Status SaveCredentials(const std::filesystem::path& file, std::string_view registry,
                       const Credentials& credentials) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, ReadAuthFile(file));
  const std::string host = HostOfKey(registry);
  if (host.empty()) return core::InvalidArgument("registry", "must be host[:port]");
  return Rewrite(file, root, [&](json::Writer& out) {
    for (const auto& [key, entry] : root.Get("auths").Members()) {
      if (HostOfKey(key) != host) out.Key(key).Raw(entry.Dump());
    }
    out.Key(host == kDockerIo ? std::string(kDockerKey) : host).BeginObject();
    if (!credentials.username.empty()) {
      out.Key("auth").String(
          core::Base64Encode(core::StrCat(credentials.username, ":", credentials.password)));
    }
    if (!credentials.identity_token.empty()) {
      out.Key("identitytoken").String(credentials.identity_token);
    }
    if (!credentials.registry_token.empty()) {
      out.Key("registrytoken").String(credentials.registry_token);
    }
    out.EndObject();
  });
}

StatusOr<bool> RemoveCredentials(const std::filesystem::path& file, std::string_view registry) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, ReadAuthFile(file));
  const std::string host = HostOfKey(registry);
  const auto members = root.Get("auths").Members();
  const bool there = !host.empty() && std::any_of(members.begin(), members.end(), [&](auto& entry) {
    return HostOfKey(entry.first) == host;
  });
  if (!there) return false;
  MBX_RETURN_IF_ERROR(Rewrite(file, root, [&](json::Writer& out) {
    for (const auto& [key, entry] : members) {
      if (HostOfKey(key) != host) out.Key(key).Raw(entry.Dump());
    }
  }));
  return true;
}

}  // namespace v1
}  // namespace minibox
