// SPDX-License-Identifier: Apache-2.0
// What one sees of single containers: inspect, stats, top.
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "handlers.h"
#include "params.h"
#include "wire/details.h"
#include "wire/stats.h"

namespace miniboxd {
namespace {

using minibox::ContainerId;
using minibox::ContainerStats;
using minibox::Status;
using minibox::StatusOr;
using minibox::wire::Strictness;
using std::chrono::milliseconds;

constexpr int64_t kMinIntervalMs = 100, kMaxIntervalMs = 3600 * 1000;

void Inspect(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text;
  bool size = false;
  params.Required("id", &id_text);
  params.Flag("size", &size);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  const auto details = engine.runtime.InspectDetails(*id, size);
  if (!details.ok()) return exchange.SendError(details.status());
  exchange.SendJson(minibox::wire::ToJson(*details));
}

void Top(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text;
  params.Required("id", &id_text);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  const auto processes = engine.runtime.Top(*id);
  if (!processes.ok()) return exchange.SendError(processes.status());
  exchange.SendJson(minibox::wire::ToJson(*processes));
}

// False once `stop` is requested.
bool WaitUntil(std::chrono::steady_clock::time_point when, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_until(lock, stop, when, [] { return false; });
  return !stop.stop_requested();
}

// The next text of the stream; an error ends it.
using StatsText = std::function<StatusOr<std::string>()>;

void StreamStats(Engine& engine, Exchange& exchange, milliseconds interval, const StatsText& next) {
  StatusOr<std::string> text = next();
  if (!text.ok()) return exchange.SendError(text.status());
  std::stop_source stop;
  const std::stop_callback gone(exchange.gone(), [&] { stop.request_stop(); });
  const std::stop_callback closing(engine.long_polls.get_token(), [&] { stop.request_stop(); });
  ResponseStream stream = exchange.BeginStream(kJsonLines);
  if (exchange.is_head_request()) return;
  auto when = std::chrono::steady_clock::now();
  while (text.ok()) {
    if (!stream.Write(*text + "\n").ok()) return;
    // Not one after the other to make up for lost time.
    when = std::max(when + interval, std::chrono::steady_clock::now());
    if (!WaitUntil(when, stop.get_token())) return;
    text = next();
  }
  const std::string& reason = text.status().reason();
  // Its end is the end of the stream.
  if (reason == "container_not_running" || reason == "container_not_found") (void)stream.End();
}

std::optional<milliseconds> ReadInterval(Params& params) {
  std::string text;
  params.Text("interval", &text);
  if (text.empty()) return milliseconds(1000);
  char* end = nullptr;
  const double seconds = strtod(text.c_str(), &end);
  const double count = seconds * 1000;
  if (end != text.c_str() + text.size() || !(count >= kMinIntervalMs && count <= kMaxIntervalMs)) {
    params.Fail(minibox::wire::InvalidField("interval", "must be 0.1 to 3600 seconds"));
    return std::nullopt;
  }
  return milliseconds(static_cast<int64_t>(count));
}

void Stats(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kPublished);
  std::string id_text;
  bool all = false, streamed = false;
  params.Flag("all", &all);
  params.Flag("stream", &streamed);
  const auto interval = ReadInterval(params);
  if (all) {
    params.Text("id", &id_text);
    if (!id_text.empty()) {
      params.Fail(minibox::wire::InvalidField("all", "goes without id"));
    }
  } else {
    params.Required("id", &id_text);
  }
  if (!params.Finish()) return;
  StatsText next;
  if (all) {
    next = [&engine]() -> StatusOr<std::string> {
      const auto stats = engine.runtime.AllStats();
      if (!stats.ok()) return stats.status();
      return minibox::wire::ToJson(*stats);
    };
  } else {
    const auto id = FindContainer(engine, exchange, id_text);
    if (!id) return;
    next = [&engine, id = *id]() -> StatusOr<std::string> {
      const auto stats = engine.runtime.Stats(id);
      if (!stats.ok()) return stats.status();
      return minibox::wire::ToJson(*stats);
    };
  }
  if (streamed) return StreamStats(engine, exchange, *interval, next);
  const auto text = next();
  if (!text.ok()) return exchange.SendError(text.status());
  exchange.SendJson(*text);
}

}  // namespace

std::vector<Route> InspectRoutes(Engine& engine) {
  return {
      {"GET", "/containers/inspect", Bind(engine, Inspect)},
      {"GET", "/containers/stats", Bind(engine, Stats)},
      {"GET", "/containers/top", Bind(engine, Top)},
  };
}

}  // namespace miniboxd
