// SPDX-License-Identifier: Apache-2.0
// Restart, pause, rename, update, wait and prune of containers (spec §4.5).
#include <chrono>
#include <optional>

#include "handlers.h"
#include "params.h"
#include "wire/lifecycle.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::ContainerId;
using minibox::Status;
using minibox::WaitCondition;
using minibox::wire::InvalidField;
using minibox::wire::StrCat;
using minibox::wire::Strictness;

constexpr int64_t kMaxStopSeconds = 600;

void Answer(Exchange& exchange, const ContainerId& id, const Status& status,
            std::string_view outcome) {
  if (!status.ok()) return exchange.SendError(status);
  exchange.SendLine(id.ToString(), StrCat("Container ", id.ToString(), " ", outcome));
}

void Restart(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text;
  std::optional<int64_t> seconds;
  params.Required("id", &id_text);
  params.Int("t", 0, kMaxStopSeconds, &seconds);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  minibox::StopOptions options;
  if (seconds) options.grace = std::chrono::seconds(*seconds);
  const auto info = engine.runtime.Restart(*id, options);
  if (!info.ok()) return SendStartError(exchange, info.status());
  for (const std::string& warning : info->warnings) exchange.AddWarning(warning);
  Answer(exchange, *id, Status(), "restarted");
}

void Pause(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text;
  params.Required("id", &id_text);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (id) Answer(exchange, *id, engine.runtime.Pause(*id), "paused");
}

void Unpause(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text;
  params.Required("id", &id_text);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (id) Answer(exchange, *id, engine.runtime.Unpause(*id), "unpaused");
}

void Rename(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text, name;
  params.Required("id", &id_text);
  params.Required("name", &name);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  Answer(exchange, *id, engine.runtime.Rename(*id, name), StrCat("renamed to ", name));
}

void Update(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text;
  minibox::wire::UpdateRequest request;
  params.Required("id", &id_text);
  for (const minibox::wire::UpdateLimit& limit : minibox::wire::kUpdateLimits) {
    params.Int(limit.name, -1, limit.max, &(request.*limit.field));
  }
  params.Text("cpuset", &request.cpuset);
  params.Text("restart", &request.restart);
  const auto update = minibox::wire::ToUpdate(request);
  params.Fail(update.status());
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (id) Answer(exchange, *id, engine.runtime.Update(*id, *update), "updated");
}

void ReadCondition(Params& params, WaitCondition* condition) {
  std::string text;
  params.Text("condition", &text);
  if (text.empty() || text == "exited") return;
  if (text == "removed") {
    *condition = WaitCondition::kRemoved;
  } else if (text == "healthy") {
    *condition = WaitCondition::kHealthy;
  } else {
    params.Fail(InvalidField("condition", "must be 'exited', 'removed' or 'healthy'"));
  }
}

void Wait(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text, timeout;
  minibox::WaitOptions options;
  params.Required("id", &id_text);
  ReadCondition(params, &options.condition);
  params.Text("timeout", &timeout);
  if (!timeout.empty()) {
    const auto nanoseconds = minibox::wire::ParseDurationNs(timeout);
    if (nanoseconds.ok()) {
      options.timeout =
          std::chrono::ceil<std::chrono::milliseconds>(std::chrono::nanoseconds(*nanoseconds));
    } else {
      params.Fail(InvalidField("timeout", nanoseconds.status().message()));
    }
  }
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  std::stop_source stop;
  const std::stop_callback gone(exchange.gone(), [&] { stop.request_stop(); });
  const std::stop_callback closing(engine.long_polls.get_token(), [&] { stop.request_stop(); });
  const auto info = engine.runtime.WaitFor(*id, options, stop.get_token());
  if (info.ok()) return exchange.SendJson(minibox::wire::WaitResult(*info));
  if (engine.long_polls.stop_requested() &&
      info.status().code() == minibox::StatusCode::kCancelled) {
    return exchange.SendError(Status(minibox::StatusCode::kUnavailable,
                                     "the daemon is shutting down", {.reason = "shutting_down"}));
  }
  exchange.SendError(info.status());
}

void Prune(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  minibox::ContainerPruneOptions options;
  std::string until;
  params.Flag("dry_run", &options.dry_run);
  params.Text("until", &until);
  params.List("label", &options.labels);
  if (!until.empty()) {
    const auto moment = minibox::wire::ParseMoment(until, std::chrono::system_clock::now());
    if (moment.ok()) options.until = *moment;
    if (!moment.ok()) params.Fail(InvalidField("until", moment.status().message()));
  }
  if (!params.Finish()) return;
  const auto report = engine.runtime.Prune(options);
  if (!report.ok()) return exchange.SendError(report.status());
  exchange.SendJson(minibox::wire::ToJson(*report));
}

}  // namespace

std::vector<Route> LifecycleRoutes(Engine& engine) {
  return {
      {"POST", "/containers/restart", Bind(engine, Restart)},
      {"POST", "/containers/pause", Bind(engine, Pause)},
      {"POST", "/containers/unpause", Bind(engine, Unpause)},
      {"POST", "/containers/rename", Bind(engine, Rename)},
      {"POST", "/containers/update", Bind(engine, Update)},
      {"POST", "/containers/wait", Bind(engine, Wait)},
      {"POST", "/containers/prune", Bind(engine, Prune)},
  };
}

}  // namespace miniboxd
