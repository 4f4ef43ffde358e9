// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "handlers.h"
#include "params.h"
#include "wire/event.h"

namespace miniboxd {
namespace {

using minibox::Event;
using minibox::Status;
using minibox::wire::Strictness;

void Events(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  minibox::EventOptions options;
  params.Time("since", &options.since);
  params.Time("until", &options.until);
  params.List("type", &options.types);
  params.List("container", &options.containers);
  params.List("image", &options.images);
  params.List("project", &options.projects);
  params.List("label", &options.labels);
  if (!params.Finish()) return;
  if (exchange.is_head_request()) {
    exchange.BeginStream(kJsonLines);
    return;
  }
  std::stop_source stop;
  const std::stop_callback gone(exchange.gone(), [&] { stop.request_stop(); });
  const std::stop_callback closing(engine.long_polls.get_token(), [&] { stop.request_stop(); });
  std::optional<ResponseStream> stream;
  // Who has the head of the answer misses nothing that it does then.
  options.ready = [&] { stream.emplace(exchange.BeginStream(kJsonLines)); };
  const Status read = engine.runtime.ReadEvents(
      options, [&](const Event& event) { return stream->Write(minibox::wire::EventLine(event)); },
      stop.get_token());
  if (!stream) return exchange.SendError(read);
  if (read.ok()) (void)stream->End();  // else visibly incomplete
}

}  // namespace

std::vector<Route> EventRoutes(Engine& engine) {
  return {{"GET", "/events", Bind(engine, Events)}};
}

}  // namespace miniboxd
