// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "handlers.h"
#include "params.h"
#include "wire/messages.h"
#include "wire/store_reports.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::wire::Strictness;

void List(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  params.Text("name", &name);
  std::optional<bool> dangling;
  params.OptionalFlag("dangling", &dangling);
  std::vector<std::string> labels;
  params.List("label", &labels);
  if (!params.Finish()) return;
  auto volumes = engine.store.ListVolumes();
  if (!volumes.ok()) return exchange.SendError(volumes.status());
  std::erase_if(*volumes, [&](const minibox::VolumeInfo& volume) {
    return (!name.empty() && volume.name != name) ||
           (dangling && *dangling != volume.containers.empty()) ||
           !HasLabels(volume.labels, labels);
  });
  exchange.SendJson(minibox::wire::ToJson(*volumes));
}

void Inspect(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  params.Required("name", &name);
  if (!params.Finish()) return;
  const auto volume = engine.store.InspectVolume(name);
  if (!volume.ok()) return exchange.SendError(volume.status());
  exchange.SendJson(minibox::wire::ToJson(*volume));
}

void Create(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  minibox::Labels labels;
  params.Text("name", &name);
  params.TextMap("labels", &labels);
  if (!params.Finish()) return;
  const auto volume = engine.store.CreateVolume(name, labels);
  if (!volume.ok()) return exchange.SendError(volume.status());
  exchange.SendJson(minibox::wire::ToJson(*volume));
}

void Remove(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  params.Required("name", &name);
  if (!params.Finish()) return;
  const minibox::Status removed = engine.store.RemoveVolume(name);
  if (!removed.ok()) return exchange.SendError(removed);
  exchange.SendLine(name, minibox::wire::StrCat("Volume ", name, " removed"));
}

void Prune(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  minibox::PruneVolumesOptions options;
  params.Flag("dry_run", &options.dry_run);
  params.Flag("all", &options.all);
  if (!params.Finish()) return;
  const auto report = engine.store.PruneVolumes(options);
  if (!report.ok()) return exchange.SendError(report.status());
  exchange.SendJson(minibox::wire::ToJson(*report));
}

}  // namespace

std::vector<Route> VolumeRoutes(Engine& engine) {
  return {
      {"GET", "/volumes", Bind(engine, List)},
      {"GET", "/volumes/inspect", Bind(engine, Inspect)},
      {"POST", "/volumes/create", Bind(engine, Create)},
      {"POST", "/volumes/remove", Bind(engine, Remove)},
      {"POST", "/volumes/prune", Bind(engine, Prune)},
  };
}

}  // namespace miniboxd
