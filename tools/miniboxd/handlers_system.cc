// SPDX-License-Identifier: Apache-2.0
#include <sys/utsname.h>

#include "handlers.h"
#include "wire/messages.h"

namespace miniboxd {
namespace {

void Ping(Engine&, Exchange& exchange) { exchange.Send(200, kText, "Daemon is running"); }

// As images name it.
std::string ArchitectureName(std::string_view machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return std::string(machine);
}

void Version(Engine&, Exchange& exchange) {
  utsname host{};
  uname(&host);
  exchange.SendJson(minibox::wire::ToJson(minibox::wire::VersionInfo{
      .version = std::string(minibox::LibraryVersion()),
      .os = "linux",
      .architecture = ArchitectureName(host.machine),
      .kernel = host.release,
  }));
}

}  // namespace

std::vector<Route> SystemRoutes(Engine& engine) {
  return {
      {"GET", "/ping", Bind(engine, Ping)},
      {"GET", "/version", Bind(engine, Version)},
  };
}

std::vector<Route> AllRoutes(Engine& engine) {
  std::vector<Route> all;
  for (auto* routes :
       {SystemRoutes, BuildRoutes, ChangeRoutes, ContainerRoutes, CopyRoutes, EventRoutes,
        ExecRoutes, ImageRoutes, ImageTransferRoutes, InspectRoutes, LifecycleRoutes, MetricsRoutes,
        RegistryRoutes, StoreRoutes, VolumeRoutes, NetworkRoutes}) {
    for (Route& route : routes(engine)) all.push_back(std::move(route));
  }
  return all;
}

}  // namespace miniboxd
