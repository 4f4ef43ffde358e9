// SPDX-License-Identifier: Apache-2.0
// The endpoints (spec §4.3, §4.5), by what they are about.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine.h"
#include "exchange.h"
#include "router.h"
#include "wire/run_request.h"

namespace miniboxd {

// The engine must outlive the routes.
std::vector<Route> BuildRoutes(Engine& engine);
std::vector<Route> ChangeRoutes(Engine& engine);
std::vector<Route> ContainerRoutes(Engine& engine);
std::vector<Route> CopyRoutes(Engine& engine);
std::vector<Route> ExecRoutes(Engine& engine);
std::vector<Route> EventRoutes(Engine& engine);
std::vector<Route> ImageRoutes(Engine& engine);
std::vector<Route> ImageTransferRoutes(Engine& engine);
std::vector<Route> InspectRoutes(Engine& engine);
std::vector<Route> LifecycleRoutes(Engine& engine);
std::vector<Route> MetricsRoutes(Engine& engine);
std::vector<Route> NetworkRoutes(Engine& engine);
std::vector<Route> RegistryRoutes(Engine& engine);
std::vector<Route> StoreRoutes(Engine& engine);
std::vector<Route> SystemRoutes(Engine& engine);
std::vector<Route> VolumeRoutes(Engine& engine);
std::vector<Route> AllRoutes(Engine& engine);

// The container that `id` names, or nullopt and the error has been sent.
std::optional<minibox::ContainerId> FindContainer(Engine& engine, Exchange& exchange,
                                                  const std::string& id);
// A failed start says what a command line exits with (spec §12.2).
void SendStartError(Exchange& exchange, const minibox::Status& status);
// Runs and starts whose connection becomes a stream. `early` is stdin that came with the body.
void RunTakenOver(Engine& engine, Exchange& exchange, minibox::wire::RunRequest request,
                  std::string early);
void StartTakenOver(Engine& engine, Exchange& exchange, const minibox::ContainerId& id,
                    std::optional<int64_t> rows, std::optional<int64_t> cols);

// A handler of `engine` as a route's function.
template <typename Handler>
auto Bind(Engine& engine, Handler handler) {
  return [&engine, handler](Exchange& exchange) { handler(engine, exchange); };
}

}  // namespace miniboxd
