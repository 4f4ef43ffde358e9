// SPDX-License-Identifier: Apache-2.0
#include "registry_config.h"

#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::RegistryOptions;
using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::StrCat;
using minibox::wire::StrSplit;
using minibox::wire::TrimSpace;

constexpr char kMirrors[] = "MINIBOX_REGISTRY_MIRRORS", kInsecure[] = "MINIBOX_REGISTRY_INSECURE";

Status Invalid(std::string_view variable, std::string_view why) {
  return Status(StatusCode::kInvalidArgument, StrCat(variable, ": ", why),
                {.reason = "invalid_argument", .field = std::string(variable)});
}

}  // namespace

StatusOr<RegistryOptions> ReadRegistryConfig(const Environment& environment) {
  const auto get = [&](std::string_view name) {
    const auto value = environment(name);
    return value ? std::string(TrimSpace(*value)) : std::string();
  };
  // Both spellings are in use.
  const auto proxy = [&](std::string_view name) {
    const std::string value = get(name);
    return value.empty() ? get(minibox::wire::AsciiLower(name)) : value;
  };
  RegistryOptions options;
  options.auth_file = get("MINIBOX_AUTH_FILE");
  if (const std::string home = get("HOME"); options.auth_file.empty() && !home.empty()) {
    options.auth_file = StrCat(home, "/.docker/config.json");
  }
  options.https_proxy = proxy("HTTPS_PROXY");
  options.http_proxy = proxy("HTTP_PROXY");
  options.no_proxy = proxy("NO_PROXY");
  options.ca_file = get("SSL_CERT_FILE");
  const std::string insecure = get(kInsecure);
  for (const std::string_view item : StrSplit(insecure, ',')) {
    if (!TrimSpace(item).empty()) options.insecure.emplace_back(TrimSpace(item));
  }
  const std::string mirrors = get(kMirrors);
  for (std::string_view item : StrSplit(mirrors, ',')) {
    item = TrimSpace(item);
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    if (equals == item.npos) return Invalid(kMirrors, "must be <registry>=<base URL>");
    // As references name it.
    const auto image = minibox::ImageRef::Parse(StrCat(TrimSpace(item.substr(0, equals)), "/x/y"));
    if (!image.ok() || image->is_local()) {
      return Invalid(kMirrors, "must be <registry>=<base URL>");
    }
    options.mirrors.push_back({image->registry(), std::string(TrimSpace(item.substr(equals + 1)))});
  }
  // The library's own rules, under the names of the variables.
  const Status status = minibox::Registry::CheckOptions(options);
  if (status.ok()) return options;
  const char* const variable = status.field() == "mirrors" ? kMirrors : kInsecure;
  return Invalid(variable, status.message().substr(status.message().find(": ") + 2));
}

}  // namespace miniboxd
