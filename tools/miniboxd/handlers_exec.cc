// SPDX-License-Identifier: Apache-2.0
// Talking to processes: exec, attach, interactive runs (spec §4.3-4.5).
#include <optional>

#include "handlers.h"
#include "params.h"
#include "take_over.h"
#include "wire/container.h"
#include "wire/exec_request.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::ContainerId;
using minibox::ContainerInfo;
using minibox::ExitStatus;
using minibox::OutputChunk;
using minibox::Process;
using minibox::Status;
using minibox::StatusOr;
using minibox::wire::StrCat;
using minibox::wire::Strictness;

constexpr int64_t kMaxSize = 65535;

// The words are part of the published contract.
void SendExecError(Exchange& exchange, const Status& status) {
  HttpError error = ErrorOf(status);
  if (error.code == "container_not_found") {
    error.message = "Container not found";
  } else if (error.code == "container_not_running" || error.code == "container_paused") {
    error.message = "Container is not running";
  } else if (error.code != "missing_argument") {
    exchange.AddHeader("X-Minibox-Exit-Code",
                       std::to_string(minibox::StartFailureExitCode(status)));
  }
  exchange.SendError(error);
}

void StreamExec(Exchange& exchange, Process process) {
  ResponseStream stream =
      exchange.BeginStream(kText, {"X-Minibox-Exit-Code", "X-Minibox-Exit-Reason"});
  const StatusOr<ExitStatus> exit = process.Wait(
      [&](const OutputChunk& chunk) { return stream.Write(chunk.bytes); }, exchange.gone());
  // Without a known end the stream stays open-ended, so that nobody takes it for success.
  if (!exit.ok()) return;
  (void)stream.End({{"X-Minibox-Exit-Code", std::to_string(exit->code)},
                    {"X-Minibox-Exit-Reason", std::string(minibox::wire::ExitReason(*exit))}});
}

void Exec(Engine& engine, Exchange& exchange) {
  const auto body = exchange.ReadBody(kMaxJsonBody);
  if (!body.ok()) return exchange.SendError(body.status());
  size_t end = 0;
  auto request = minibox::wire::ParseExecRequest(*body, &end);
  if (!request.ok()) return SendExecError(exchange, request.status());
  const auto size = TerminalSizeOf(exchange);
  if (!size.ok()) return exchange.SendError(size.status());
  WarnOfUnknown(exchange, "field", request->unknown_fields);
  request->spec.size = *size;
  const bool framed = WantsFrames(exchange.head()) && !request->spec.detached;
  const bool interactive = request->spec.open_stdin;
  const auto id = engine.runtime.Find(request->id);
  if (!id.ok()) return SendExecError(exchange, id.status());
  auto process = engine.runtime.StartExec(*id, request->spec);
  if (!process.ok()) return SendExecError(exchange, process.status());
  if (request->spec.detached) return exchange.Send(200, kText, "");
  if (!framed && !interactive) return StreamExec(exchange, std::move(*process));
  Converse(exchange, std::move(*process),
           {.failure_prefix = "exec failed: ", .early = body->substr(end)});
}

// Tells the client whether there is a terminal that has taken the size of its own.
void SetSize(Exchange& exchange, Process& process, int64_t rows, int64_t cols) {
  const Status resized = process.Resize({static_cast<uint16_t>(rows), static_cast<uint16_t>(cols)});
  exchange.AddHeader("X-Minibox-Terminal", resized.ok() ? "1" : "0");
}

void Attach(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kPublished);
  std::string id_text;
  minibox::AttachOptions options;
  Conversation conversation;
  std::optional<int64_t> rows, cols;
  params.Required("id", &id_text);
  params.Flag("logs", &options.logs);
  params.Flag("stdin", &conversation.input);
  params.Int("rows", 1, kMaxSize, &rows);
  params.Int("cols", 1, kMaxSize, &cols);
  if (!params.Finish()) return;
  const auto id = engine.runtime.Find(id_text);
  if (!id.ok()) return exchange.SendError(id.status());
  auto process = engine.runtime.Attach(*id, options);
  if (!process.ok()) return exchange.SendError(process.status());
  if (rows && cols) SetSize(exchange, *process, *rows, *cols);
  conversation.early = params.rest();
  conversation.closing = engine.long_polls.get_token();
  Converse(exchange, std::move(*process), std::move(conversation));
}

void Resize(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kPublished);
  std::string id_text;
  std::optional<int64_t> rows, cols;
  params.Required("id", &id_text);
  params.Int("rows", 1, kMaxSize, &rows);
  params.Int("cols", 1, kMaxSize, &cols);
  for (const auto& [name, value] : {std::pair("rows", rows), {"cols", cols}}) {
    if (value) continue;
    params.Fail(Status(minibox::StatusCode::kInvalidArgument, StrCat("missing ", name),
                       {.reason = "missing_argument", .field = name}));
  }
  if (!params.Finish()) return;
  const auto id = engine.runtime.Find(id_text);
  if (!id.ok()) return exchange.SendError(id.status());
  const Status resized =
      engine.runtime.Resize(*id, {static_cast<uint16_t>(*rows), static_cast<uint16_t>(*cols)});
  if (!resized.ok()) return exchange.SendError(resized);
  exchange.SendLine(id->ToString(), StrCat("Container ", id->ToString(), " resized"));
}

minibox::RunOptions Options(Exchange& exchange, minibox::OnDisconnect on_disconnect) {
  minibox::RunOptions options;
  options.on_disconnect = on_disconnect;
  options.started = [&exchange](const ContainerInfo& info) {
    exchange.AddHeader("X-Minibox-Container-Id", info.id.ToString());
    for (const std::string& warning : info.warnings) exchange.AddWarning(warning);
  };
  return options;
}

}  // namespace

void RunTakenOver(Engine& engine, Exchange& exchange, minibox::wire::RunRequest request,
                  std::string early) {
  const auto size = TerminalSizeOf(exchange);
  if (!size.ok()) return exchange.SendError(size.status());
  request.spec.terminal_size = *size;
  auto process =
      engine.runtime.StartForeground(request.spec, Options(exchange, request.on_disconnect));
  if (!process.ok()) return SendStartError(exchange, process.status());
  Converse(exchange, std::move(*process), {.early = std::move(early)});
}

void StartTakenOver(Engine& engine, Exchange& exchange, const ContainerId& id,
                    std::optional<int64_t> rows, std::optional<int64_t> cols) {
  auto process =
      engine.runtime.StartForeground(id, Options(exchange, minibox::OnDisconnect::kKeep));
  if (!process.ok()) return SendStartError(exchange, process.status());
  if (rows && cols) SetSize(exchange, *process, *rows, *cols);
  Converse(exchange, std::move(*process), {});
}

std::vector<Route> ExecRoutes(Engine& engine) {
  return {
      {"POST", "/containers/exec", Bind(engine, Exec)},
      {"POST", "/containers/attach", Bind(engine, Attach)},
      {"POST", "/containers/resize", Bind(engine, Resize)},
  };
}

}  // namespace miniboxd
