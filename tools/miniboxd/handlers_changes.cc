// SPDX-License-Identifier: Apache-2.0
// What a container has made of its image: diff, commit, export (spec §4.5, §12.17).
#include <optional>

#include "handlers.h"
#include "params.h"
#include "wire/changes.h"
#include "wire/image.h"

namespace miniboxd {
namespace {

using minibox::ContainerId;
using minibox::Status;
using minibox::wire::Strictness;

constexpr std::string_view kTar = "application/x-tar";

void Diff(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text;
  params.Required("id", &id_text);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  const auto changes = engine.runtime.Diff(*id);
  if (!changes.ok()) return exchange.SendError(changes.status());
  exchange.SendJson(minibox::wire::ToJson(*changes));
}

void Export(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text;
  params.Required("id", &id_text);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  if (exchange.is_head_request()) {
    exchange.BeginStream(kTar);
    return;
  }
  // What fails before the first byte is an ordinary error.
  std::optional<ResponseStream> stream;
  const Status exported = engine.runtime.Export(
      *id,
      [&](std::string_view bytes) {
        if (!stream) stream.emplace(exchange.BeginStream(kTar));
        return stream->Write(bytes);
      },
      exchange.gone());
  if (!stream) return exchange.SendError(exported);
  if (exported.ok()) (void)stream->End();  // else visibly incomplete
}

void Commit(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string id_text;
  minibox::CommitOptions options;
  params.Required("id", &id_text);
  params.Required("image", &options.image);
  params.Text("message", &options.message);
  params.Text("author", &options.author);
  params.Flag("pause", &options.pause);
  params.TextList("changes", &options.changes);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  const auto image = engine.runtime.Commit(*id, options, exchange.gone());
  if (!image.ok()) return exchange.SendError(image.status());
  exchange.SendJson(minibox::wire::ToJson(*image));
}

}  // namespace

std::vector<Route> ChangeRoutes(Engine& engine) {
  return {
      {"GET", "/containers/diff", Bind(engine, Diff)},
      {"GET", "/containers/export", Bind(engine, Export)},
      {"POST", "/containers/commit", Bind(engine, Commit)},
  };
}

}  // namespace miniboxd
