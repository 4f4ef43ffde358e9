// SPDX-License-Identifier: Apache-2.0
// Paths as text. Nothing here looks at a file system.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace minibox::build {

// Components joined by single slashes, without "." and leading or trailing slash; ".." takes
// the component before it away, and nothing at the top. "" is the root.
std::string CleanPath(std::string_view path);
// The same; nullopt if ".." leads out at the top.
std::optional<std::string> CleanPathInside(std::string_view path);
// `path`, relative to the absolute `directory` unless absolute itself, as "/a/b".
std::string ResolvePath(std::string_view directory, std::string_view path);
// "a/b" and "c" -> "a/b/c"; either may be empty.
std::string JoinPath(std::string_view directory, std::string_view name);
// The last component; "" of "".
std::string_view LastComponent(std::string_view path);
// Octal digits as of chmod, up to 07777; nullopt on anything else.
std::optional<mode_t> ParseMode(std::string_view text);

}  // namespace minibox::build
