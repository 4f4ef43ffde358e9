// SPDX-License-Identifier: Apache-2.0
// The endpoints (spec §4.3, §4.5), by what they are about.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine.h"
#include "exchange.h"
#include "router.h"

namespace miniboxd {

// The engine must outlive the routes.
std::vector<Route> BuildRoutes(Engine& engine);
std::vector<Route> ContainerRoutes(Engine& engine);
std::vector<Route> ImageRoutes(Engine& engine);
std::vector<Route> LifecycleRoutes(Engine& engine);
std::vector<Route> NetworkRoutes(Engine& engine);
std::vector<Route> SystemRoutes(Engine& engine);
std::vector<Route> VolumeRoutes(Engine& engine);
std::vector<Route> AllRoutes(Engine& engine);

// The container that `id` names, or nullopt and the error has been sent.
std::optional<minibox::ContainerId> FindContainer(Engine& engine, Exchange& exchange,
                                                  const std::string& id);
// A failed start says what a command line exits with (spec §12.2).
void SendStartError(Exchange& exchange, const minibox::Status& status);

// A handler of `engine` as a route's function.
template <typename Handler>
auto Bind(Engine& engine, Handler handler) {
  return [&engine, handler](Exchange& exchange) { handler(engine, exchange); };
}

}  // namespace miniboxd
