// SPDX-License-Identifier: Apache-2.0
// The store as a whole: prune, disk usage, verification, and the system's description.
#include "handlers.h"
#include "params.h"
#include "wire/store_reports.h"

namespace miniboxd {
namespace {

using minibox::wire::Strictness;

void Prune(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  minibox::PruneOptions options;
  std::optional<int64_t> keep_bytes;
  params.Flag("build_cache", &options.build_cache);
  params.Flag("dry_run", &options.dry_run);
  params.Int("keep_bytes", 0, INT64_MAX, &keep_bytes);
  if (!params.Finish()) return;
  if (keep_bytes) options.keep_bytes = static_cast<uint64_t>(*keep_bytes);
  const auto report = engine.store.Prune(options, engine.operations.get_token());
  if (!report.ok()) return exchange.SendError(report.status());
  exchange.SendJson(minibox::wire::ToJson(*report));
}

void DiskUsage(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  bool verbose = false;
  params.Flag("verbose", &verbose);
  if (!params.Finish()) return;
  const auto report = engine.store.GetDiskUsage(verbose);
  if (!report.ok()) return exchange.SendError(report.status());
  exchange.SendJson(minibox::wire::ToJson(*report, verbose));
}

void Verify(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  if (!params.Finish()) return;
  std::stop_source stop;
  const std::stop_callback gone(exchange.gone(), [&] { stop.request_stop(); });
  const std::stop_callback closing(engine.operations.get_token(), [&] { stop.request_stop(); });
  const auto report = engine.store.Verify(stop.get_token());
  if (!report.ok()) return exchange.SendError(report.status());
  exchange.SendJson(minibox::wire::ToJson(*report));
}

void Info(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  if (!params.Finish()) return;
  const auto info = engine.runtime.GetSystemInfo();
  if (!info.ok()) return exchange.SendError(info.status());
  exchange.SendJson(minibox::wire::ToJson(*info));
}

}  // namespace

std::vector<Route> StoreRoutes(Engine& engine) {
  return {
      {"POST", "/system/prune", Bind(engine, Prune)},
      {"GET", "/system/df", Bind(engine, DiskUsage)},
      {"POST", "/system/verify", Bind(engine, Verify)},
      {"GET", "/system/info", Bind(engine, Info)},
  };
}

}  // namespace miniboxd
