// SPDX-License-Identifier: Apache-2.0
#include "handlers.h"
#include "params.h"
#include "wire/messages.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::wire::Strictness;

void List(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  params.Text("name", &name);
  if (!params.Finish()) return;
  auto networks = engine.network.List();
  if (!networks.ok()) return exchange.SendError(networks.status());
  std::erase_if(*networks, [&](const minibox::NetworkInfo& network) {
    return !name.empty() && network.name != name;
  });
  const auto containers = engine.runtime.List();
  if (!containers.ok()) return exchange.SendError(containers.status());
  exchange.SendJson(minibox::wire::ToJson(*networks, *containers));
}

void Remove(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  params.Required("name", &name);
  if (!params.Finish()) return;
  const minibox::Status removed = engine.network.Remove(name);
  if (!removed.ok()) return exchange.SendError(removed);
  exchange.SendLine(name, minibox::wire::StrCat("Network ", name, " removed"));
}

}  // namespace

std::vector<Route> NetworkRoutes(Engine& engine) {
  return {
      {"GET", "/networks", Bind(engine, List)},
      {"POST", "/networks/remove", Bind(engine, Remove)},
  };
}

}  // namespace miniboxd
