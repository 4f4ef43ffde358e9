// SPDX-License-Identifier: Apache-2.0
#include "wire/exec_request.h"

#include <optional>

#include "core/json.h"
#include "core/status_macros.h"
#include "wire/fields.h"

namespace minibox::wire {
namespace {

Status Missing(std::string_view field, std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message),
                {.reason = "missing_argument", .field = std::string(field)});
}

}  // namespace

StatusOr<ExecRequest> ParseExecRequest(std::string_view body, size_t* end) {
  MBX_ASSIGN_OR_RETURN(FieldReader fields, FieldReader::Parse(body, Strictness::kPublished, end));
  ExecRequest request;
  ExecSpec& spec = request.spec;
  fields.Text("id", &request.id);
  fields.TextList("command", &spec.command, Chars::kText);
  fields.Bool("interactive", &spec.open_stdin);
  std::optional<bool> tty;
  fields.OptionalBool("tty", &tty);
  spec.tty = tty.value_or(spec.open_stdin);
  fields.TextList("env", &spec.env, Chars::kText);
  fields.Text("user", &spec.user);
  fields.Text("workdir", &spec.working_dir);
  fields.Bool("privileged", &spec.privileged);
  fields.Bool("detached", &spec.detached);
  MBX_RETURN_IF_ERROR(fields.Finish());
  if (request.id.empty()) return Missing("id", "Container ID is required");
  if (spec.command.empty()) return Missing("command", "Command is required");
  // As with run, detached wins.
  if (spec.detached) spec.tty = spec.open_stdin = false;
  request.unknown_fields = fields.Unknown();
  return request;
}

std::string ToJson(const ExecRequest& request) {
  const ExecSpec& spec = request.spec;
  json::Writer writer;
  writer.BeginObject();
  writer.Key("id").String(request.id);
  writer.Key("command").StringArray(spec.command);
  const auto flag = [&](std::string_view key, bool value) {
    if (value) writer.Key(key).Bool(true);
  };
  const auto text = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) writer.Key(key).String(value);
  };
  flag("interactive", spec.open_stdin);
  if (spec.tty != spec.open_stdin) writer.Key("tty").Bool(spec.tty);
  if (!spec.env.empty()) writer.Key("env").StringArray(spec.env);
  text("user", spec.user);
  text("workdir", spec.working_dir);
  flag("privileged", spec.privileged);
  flag("detached", spec.detached);
  writer.EndObject();
  return writer.Take();
}

}  // namespace minibox::wire
