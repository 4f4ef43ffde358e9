// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "handlers.h"
#include "params.h"
#include "wire/build_plan.h"
#include "wire/build_request.h"
#include "wire/messages.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::Status;
using minibox::wire::StrCat;

constexpr size_t kMaxBuildBody = 64 << 20;

// In the order of spec §4.3: the file's text, names, then the context.
Status Check(Engine& engine, minibox::BuildOptions* options) {
  const auto context = engine.paths.Resolve(options->context.string(), "context");
  const Status valid = engine.builder.Validate(*options);
  if (!valid.ok() && valid.reason() != "invalid_context") return valid;
  if (!context.ok()) {
    const std::string why = context.status().message().substr(sizeof "context: " - 1);
    const std::string reason = context.status().reason();
    return Status(
        context.status().code(), StrCat("invalid build context: ", why),
        {.reason = reason == "path_not_allowed" ? reason : "invalid_context", .field = "context"});
  }
  options->context = *context;
  return valid;
}

// The checked request; nullopt if the error has been sent.
std::optional<minibox::BuildOptions> ReadRequest(Engine& engine, Exchange& exchange) {
  const auto body = exchange.ReadBody(kMaxBuildBody);
  Status status = body.status();
  if (status.ok()) {
    auto request = minibox::wire::ParseBuildRequest(*body);
    status = request.ok() ? Check(engine, &request->options) : request.status();
    if (status.ok()) {
      WarnOfUnknown(exchange, "field", request->unknown_fields);
      return std::move(request->options);
    }
  }
  exchange.SendError(status);
  return std::nullopt;
}

void Plan(Engine& engine, Exchange& exchange) {
  const auto options = ReadRequest(engine, exchange);
  if (!options) return;
  std::stop_source stop;
  const std::stop_callback gone(exchange.gone(), [&] { stop.request_stop(); });
  const auto plan = engine.builder.Plan(*options, stop.get_token());
  if (!plan.ok()) return exchange.SendError(plan.status());
  exchange.SendJson(minibox::wire::ToJson(*plan));
}

void Build(Engine& engine, Exchange& exchange) {
  const auto options = ReadRequest(engine, exchange);
  if (!options) return;
  std::stop_source stop;
  const std::stop_callback gone(exchange.gone(), [&] { stop.request_stop(); });
  const std::stop_callback closing(engine.operations.get_token(), [&] { stop.request_stop(); });
  const bool json_lines = exchange.head().Accepts(kJsonLines);
  ResponseStream stream =
      exchange.BeginStream(json_lines ? kJsonLines : kText, {"X-Minibox-Status"});
  bool begun = false;
  const auto write_line = [&](std::string_view text) {
    begun = true;
    return stream.Write(json_lines ? minibox::wire::LogLine(text) : StrCat(text, "\n"));
  };
  const auto image = engine.builder.Build(
      *options, [&](const minibox::BuildEvent& event) { return write_line(event.text); },
      stop.get_token());
  // The builder's last line is the result, unless what Validate() had seen was gone by then.
  Status sent;
  if (!begun) sent = write_line(StrCat("Build failed: ", image.status().message()));
  if (sent.ok() && json_lines) {
    sent = stream.Write(minibox::wire::FinalLine(image.status(), image.ok() ? &*image : nullptr));
  }
  if (sent.ok()) (void)stream.End({{"X-Minibox-Status", image.ok() ? "ok" : "error"}});
}

}  // namespace

std::vector<Route> BuildRoutes(Engine& engine) {
  return {{"POST", "/containers/build", Bind(engine, Build)},
          {"POST", "/containers/build/plan", Bind(engine, Plan)}};
}

}  // namespace miniboxd
