// SPDX-License-Identifier: Apache-2.0
#include "build/paths.h"

#include <vector>

#include "core/strings.h"

namespace minibox::build {
namespace {

std::string Clean(std::string_view path, bool& left) {
  std::vector<std::string> kept;
  left = false;
  for (const auto component : core::StrSplit(path, '/')) {
    if (component.empty() || component == ".") continue;
    if (component != "..") {
      kept.emplace_back(component);
    } else if (kept.empty()) {
      left = true;
    } else {
      kept.pop_back();
    }
  }
  return core::StrJoin(kept, "/");
}

}  // namespace

std::string CleanPath(std::string_view path) {
  bool left = false;
  return Clean(path, left);
}

std::optional<std::string> CleanPathInside(std::string_view path) {
  bool left = false;
  std::string clean = Clean(path, left);
  if (left) return std::nullopt;
  return clean;
}

std::string ResolvePath(std::string_view directory, std::string_view path) {
  if (path.starts_with('/')) return "/" + CleanPath(path);
  return "/" + CleanPath(core::StrCat(directory, "/", path));
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  if (name.empty()) return std::string(directory);
  return core::StrCat(directory, "/", name);
}

std::string_view LastComponent(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

std::optional<mode_t> ParseMode(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  mode_t mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    mode = mode * 8 + static_cast<mode_t>(c - '0');
  }
  return mode <= 07777 ? std::optional<mode_t>(mode) : std::nullopt;
}

}  // namespace minibox::build
