// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/export.h"
#include "minibox/status.h"
#include "minibox/store.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {

// What a registry asks for. Kept in memory only, and never logged.
struct Credentials {
  std::string username{}, password{};
  std::string identity_token{};  // a refresh token for the registry's token server
  std::string registry_token{};  // the bearer token itself

  bool empty() const {
    return username.empty() && password.empty() && identity_token.empty() && registry_token.empty();
  }
};

struct RegistryMirror {
  std::string registry{};  // whose images it has: "docker.io"
  std::string url{};       // "https://mirror.example[/prefix]"
};

struct RegistryOptions {
  // Credentials in the form of Docker's config.json, read anew by each operation; empty: none. A
  // file that is missing is an empty one.
  std::filesystem::path auth_file{};
  // Asked in this order before the registry itself; for pulls only, each with its own credentials.
  std::vector<RegistryMirror> mirrors{};
  // "host[:port]": plain HTTP and unverified certificates are permitted. Loopback hosts may always
  // be reached by plain HTTP.
  std::vector<std::string> insecure{};
  // Proxies for https:// and http:// URLs, and what is reached without one, in curl's forms.
  std::string https_proxy{}, http_proxy{}, no_proxy{};
  // PEM file of the authorities to trust; empty: the system's.
  std::filesystem::path ca_file{};
  int max_parallel_layers = 4;
  std::chrono::milliseconds connect_timeout{30'000};
  std::chrono::milliseconds idle_timeout{60'000};  // without a byte
  // Before the second attempt, unless the registry says how long; doubled for the third.
  std::chrono::milliseconds retry_delay{1'000};
};

// Called on the thread that called Pull() or Push(), one at a time. A slow one delays neither this
// transfer nor others.
using TransferLogFn = std::function<void(std::string_view line)>;

struct PullOptions {
  Platform platform{};  // of an index; without architecture: the host's
  // Instead of those in the file; for the registry itself, not for mirrors.
  std::optional<Credentials> credentials{};
  TransferLogFn log{};    // lines of spec §9.2, without line end
  ProgressFn progress{};  // per layer, by digest; at most 10 a second each
};

struct PushOptions {
  std::optional<ImageRef> as{};  // default: the image's own name
  std::optional<Credentials> credentials{};
  TransferLogFn log{};  // lines of spec §9.3
  ProgressFn progress{};
};

// Moves images between a store and registries (spec §9). A thread-safe handle: copies are cheap
// and share connections and tokens.
//
// Failures of a registry or of the way to it have the reason "registry_error": kUnavailable
// (connection, 5xx), kDeadlineExceeded (stalls), kPermissionDenied (401, 403, certificates),
// kFailedPrecondition (other refusals), kDataLoss (bytes that are not what they must be).
class MINIBOX_EXPORT Registry {
 public:
  // kInvalidArgument if an option is malformed; field() names it. Nothing is read or connected.
  static Status CheckOptions(const RegistryOptions& options);
  // The same check first; nothing is connected yet.
  static StatusOr<Registry> Open(Store store, const RegistryOptions& options = {});

  // Fetches the image and registers it under `image`; layers are unpacked while they arrive. On
  // failure, or once `stop` is requested, the old image of that name stays; complete layers and
  // what has arrived of others are kept for 24 hours for the next attempt. kNotFound
  // "image_not_found"; kInvalidArgument "invalid_reference" for a local name.
  StatusOr<ImageInfo> Pull(const ImageRef& image, const PullOptions& options = {},
                           std::stop_token stop = {});

  // Sends what the registry does not have of a local image (spec §3, image lookup). kNotFound
  // "image_not_found"; kInvalidArgument "invalid_reference" for a local name.
  Status Push(std::string_view image, const PushOptions& options = {}, std::stop_token stop = {});

  // Whether the registry accepts the credentials. Needs no store.
  static Status CheckCredentials(std::string_view registry, const Credentials& credentials,
                                 const RegistryOptions& options = {}, std::stop_token stop = {});

 private:
  friend class ImageBuilder;
  struct Impl;
  explicit Registry(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// The file of RegistryOptions::auth_file. `registry` is "host[:port]"; docker.io is also found
// under the names that Docker gives it. kInvalidArgument names what is malformed in the file.

// Empty credentials if the file, or the registry in it, is missing.
MINIBOX_EXPORT StatusOr<Credentials> FindCredentials(const std::filesystem::path& file,
                                                     std::string_view registry);
// Creates the file (0600) and its directory if missing; what else is in it stays.
MINIBOX_EXPORT Status SaveCredentials(const std::filesystem::path& file, std::string_view registry,
                                      const Credentials& credentials);
// False if there were none.
MINIBOX_EXPORT StatusOr<bool> RemoveCredentials(const std::filesystem::path& file,
                                                std::string_view registry);

}  // namespace v1
}  // namespace minibox
