// SPDX-License-Identifier: Apache-2.0
#include "router.h"

#include "wire/text.h"

namespace miniboxd {

using minibox::wire::StrCat;
using minibox::wire::StrSplit;

std::string CleanPath(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view part : StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!kept.empty()) kept.pop_back();
    } else {
      kept.push_back(part);
    }
  }
  std::string clean;
  for (const std::string_view part : kept) clean += StrCat("/", part);
  return clean.empty() || path.ends_with('/') ? clean + "/" : clean;
}

Router::Match Router::Find(std::string_view method, std::string_view path,
                           std::string_view query) const {
  const std::string clean = CleanPath(path);
  if (clean != path) {
    HttpError moved{308, "", "", {}};
    moved.headers.push_back({"Location", query.empty() ? clean : StrCat(clean, "?", query)});
    return {nullptr, std::move(moved)};
  }
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  std::string allow;
  for (const Route& route : routes_) {
    if (route.path != path) continue;
    if (route.method == wanted) return {&route, {}};
    if (!allow.empty()) allow += ", ";
    allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  if (allow.empty()) return {nullptr, {404, "route_not_found", "404 page not found", {}}};
  HttpError error{405, "method_not_allowed", "Method Not Allowed", {}};
  error.headers.push_back({"Allow", std::move(allow)});
  return {nullptr, std::move(error)};
}

}  // namespace miniboxd
