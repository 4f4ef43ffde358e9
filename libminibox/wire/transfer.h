// SPDX-License-Identifier: Apache-2.0
// Pull and push between daemon and clients: credentials in a header, lines of progress (spec §4.5,
// §5.7).
#pragma once

#include <string>
#include <string_view>

#include "minibox/registry.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::wire {

inline constexpr std::string_view kRegistryAuthHeader = "X-Minibox-Registry-Auth";

// base64url JSON of `username`, `password`, `identity_token`, `registry_token`. Errors of the
// parser say nothing of what is in it.
std::string EncodeRegistryAuth(const Credentials& credentials);
StatusOr<Credentials> ParseRegistryAuth(std::string_view header);

// One line of application/x-ndjson, with line end.
std::string ProgressLine(const Progress& progress);

// Any line of such a stream, as a client reads it.
struct StreamLine {
  enum class Type { kLog, kProgress, kResult };
  Type type = Type::kLog;
  std::string text{};   // kLog; of a kResult that is an error, the error
  Progress progress{};  // kProgress
  bool ok = false;      // kResult
};
StatusOr<StreamLine> ParseStreamLine(std::string_view line);

// "os/arch[/variant]".
StatusOr<Platform> ParsePlatformText(std::string_view text);

}  // namespace minibox::wire
