// SPDX-License-Identifier: Apache-2.0
// Which handler a method and path belong to (spec §4.1).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http.h"

namespace miniboxd {

class Exchange;

struct Route {
  std::string_view method;  // "GET" (takes HEAD too) or "POST"
  std::string_view path;
  std::function<void(Exchange&)> handler;
};

// The path without empty, "." and ".." components; a trailing '/' stays.
std::string CleanPath(std::string_view path);

class Router {
 public:
  explicit Router(std::vector<Route> routes) : routes_(std::move(routes)) {}
  // The route, or the answer if there is none: 308 to the clean path, 404, 405 with Allow.
  struct Match {
    const Route* route = nullptr;
    HttpError error{};
  };
  Match Find(std::string_view method, std::string_view path, std::string_view query) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace miniboxd
