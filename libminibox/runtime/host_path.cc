// SPDX-License-Identifier: Apache-2.0
// Where binds may come from.
#include <algorithm>
#include <filesystem>

#include "core/errors.h"
#include "core/strings.h"
#include "runtime/mount_options.h"
#include "runtime/spec_validate.h"

namespace minibox::runtime {

Status CheckHostPath(std::string_view real_path, const HostFacts& host, std::string_view field) {
  const auto refused = [&](std::string_view why) {
    return core::Error(StatusCode::kInvalidArgument, "path_not_allowed",
                       core::StrCat(field, ": host path '", real_path, "' ", why))
        .WithField(field);
  };
  const std::string volumes = host.data_root + "/volumes";
  if (IsWithin(real_path, host.run_dir) ||
      (IsWithin(real_path, host.data_root) &&
       (!IsWithin(real_path, volumes) || IsWithin(real_path, volumes + "/.meta")))) {
    return refused("belongs to MiniBox");
  }
  if (!host.bind_prefixes.empty() &&
      std::none_of(host.bind_prefixes.begin(), host.bind_prefixes.end(),
                   [&](const std::string& prefix) { return IsWithin(real_path, prefix); })) {
    return refused("is not below a permitted prefix");
  }
  return Status();
}

StatusOr<std::string> ResolveHostPath(std::string_view path, const HostFacts& host,
                                      std::string_view field) {
  const auto clean = CleanPath(path);
  if (!clean) return core::InvalidArgument(field, "host path must be absolute");
  // Links are resolved before "..": what is cleaned here is only what does not exist.
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  if (error) {
    return core::InvalidArgument(
        field, core::StrCat("host path '", path, "' cannot be resolved: ", error.message()));
  }
  const Status allowed = CheckHostPath(real.native(), host, field);
  if (!allowed.ok()) return allowed;
  return real.native();
}

}  // namespace minibox::runtime
