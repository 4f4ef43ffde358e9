// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "minibox/registry.h"
#include "registry/auth.h"
#include "registry/http_client.h"
#include "registry/pull.h"
#include "registry/sources.h"
#include "registry/store_parts.h"

namespace minibox {
inline namespace v1 {

struct Registry::Impl {
  Impl(Store handle, const RegistryOptions& given, std::shared_ptr<registry::HttpClient> client);

  // Runs on a thread of its own; `log` and `progress` are called on this one. Without the lines
  // that say how it ended.
  StatusOr<ImageInfo> Pull(const registry::PullRequest& request,
                           const std::optional<Credentials>& credentials, const TransferLogFn& log,
                           const ProgressFn& progress, std::stop_token stop) const;

  StatusOr<registry::Sources> MakeSources(const ImageRef& image,
                                          const std::optional<Credentials>& credentials) const;
  StatusOr<std::unique_ptr<registry::Remote>> MakeRemote(
      const ImageRef& image, const std::string& actions,
      const std::optional<Credentials>& credentials) const;
  bool IsInsecure(const std::string& host) const;

  Store store;
  registry::StoreParts parts;
  RegistryOptions options;
  std::shared_ptr<registry::HttpClient> http;
  std::shared_ptr<registry::TokenCache> tokens = std::make_shared<registry::TokenCache>();
};

}  // namespace v1
}  // namespace minibox
