// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "handlers.h"
#include "params.h"
#include "wire/network.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::wire::Strictness;

void List(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  params.Text("name", &name);
  std::vector<std::string> labels;
  params.List("label", &labels);
  if (!params.Finish()) return;
  auto networks = engine.network.List();
  if (!networks.ok()) return exchange.SendError(networks.status());
  std::erase_if(*networks, [&](const minibox::NetworkInfo& network) {
    return (!name.empty() && network.name != name) || !HasLabels(network.labels, labels);
  });
  const auto containers = engine.runtime.List();
  if (!containers.ok()) return exchange.SendError(containers.status());
  exchange.SendJson(minibox::wire::ToJson(*networks, *containers));
}

void Send(Engine& engine, Exchange& exchange, const minibox::NetworkInfo& network) {
  const auto containers = engine.runtime.List();
  if (!containers.ok()) return exchange.SendError(containers.status());
  exchange.SendJson(minibox::wire::ToJson(network, *containers));
}

void Inspect(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  params.Required("name", &name);
  if (!params.Finish()) return;
  const auto network = engine.network.Inspect(name);
  if (!network.ok()) return exchange.SendError(network.status());
  Send(engine, exchange, *network);
}

void Create(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  minibox::NetworkSpec spec;
  std::optional<int64_t> mtu;
  std::optional<bool> dns;
  params.Required("name", &spec.name);
  params.Text("subnet", &spec.subnet);
  params.Text("gateway", &spec.gateway);
  params.Text("subnet6", &spec.subnet6);
  params.Flag("internal", &spec.internal);
  params.OptionalFlag("dns", &dns);
  params.Int("mtu", 0, 65535, &mtu);
  params.TextMap("labels", &spec.labels);
  if (!params.Finish()) return;
  spec.dns = dns.value_or(true);
  spec.mtu = static_cast<uint32_t>(mtu.value_or(0));
  const auto network = engine.network.Create(spec);
  if (!network.ok()) return exchange.SendError(network.status());
  Send(engine, exchange, *network);
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
      {"GET", "/networks/inspect", Bind(engine, Inspect)},
      {"POST", "/networks/create", Bind(engine, Create)},
      {"POST", "/networks/remove", Bind(engine, Remove)},
  };
}

}  // namespace miniboxd
