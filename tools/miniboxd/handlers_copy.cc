// SPDX-License-Identifier: Apache-2.0
// Copies into containers and out of them (spec §4.5, §12.17).
#include <optional>

#include "body_pipe.h"
#include "handlers.h"
#include "params.h"
#include "wire/changes.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::PathStat;
using minibox::Status;
using minibox::wire::StrCat;
using minibox::wire::Strictness;

constexpr std::string_view kTar = "application/x-tar";
constexpr std::string_view kPathStat = "X-Minibox-Path-Stat";

void CopyOut(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict, Params::Body::kNone);
  std::string id_text, path;
  minibox::CopyOutOptions options;
  params.Required("id", &id_text);
  params.Required("path", &path);
  params.Flag("follow_link", &options.follow_link);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  const auto tell = [&exchange](const PathStat& found) {
    exchange.AddHeader(kPathStat, minibox::wire::EncodePathStat(found));
  };
  if (exchange.is_head_request()) {
    const auto found = engine.runtime.StatPath(*id, path, options.follow_link);
    if (!found.ok()) return exchange.SendError(found.status());
    tell(*found);
    exchange.BeginStream(kTar);
    return;
  }
  // What fails before it is found is an ordinary error.
  std::optional<ResponseStream> stream;
  options.found = [&](const PathStat& found) {
    tell(found);
    stream.emplace(exchange.BeginStream(kTar));
    return Status();
  };
  const Status copied = engine.runtime.CopyOut(
      *id, path, [&](std::string_view bytes) { return stream->Write(bytes); }, options,
      exchange.gone());
  if (!stream) return exchange.SendError(copied);
  if (copied.ok()) (void)stream->End();  // else visibly incomplete
}

void CopyIn(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict, Params::Body::kNone);
  std::string id_text, path;
  minibox::CopyInOptions options;
  params.Required("id", &id_text);
  params.Required("path", &path);
  params.Flag("keep_ids", &options.keep_ids);
  if (!params.Finish()) return;
  const auto id = FindContainer(engine, exchange, id_text);
  if (!id) return;
  const Status copied = ReadBodyFrom(engine, exchange, [&](int fd, std::stop_token stop) {
    return engine.runtime.CopyIn(*id, path, fd, options, std::move(stop));
  });
  if (!copied.ok()) return exchange.SendError(copied);
  exchange.SendLine(id->ToString(), StrCat("Copied to ", id->ToString(), ":", path));
}

}  // namespace

std::vector<Route> CopyRoutes(Engine& engine) {
  return {
      {"GET", "/containers/copy", Bind(engine, CopyOut)},
      {"POST", "/containers/copy", Bind(engine, CopyIn)},
  };
}

}  // namespace miniboxd
