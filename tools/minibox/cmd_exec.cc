// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <memory>

#include "commands.h"
#include "run_exec.h"
#include "stream.h"
#include "wire/exec_request.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

constexpr const char* kDefaultCommand = "/bin/sh";

struct ExecFlags {
  bool detach = false, interactive = false, tty = false, privileged = false;
  std::string user, workdir, detach_keys = kDefaultDetachKeys;
  std::vector<std::string> env;
};

int Exec(Session& session, const ExecFlags& flags, std::vector<std::string> arguments) {
  if (arguments.empty()) return session.Usage("exec: a container is required");
  wire::ExecRequest request;
  request.id = arguments.front();
  arguments.erase(arguments.begin());
  if (arguments.empty()) arguments = {kDefaultCommand};
  request.spec.command = std::move(arguments);
  request.spec.env = WithOwnValues(flags.env);
  request.spec.user = flags.user;
  request.spec.working_dir = flags.workdir;
  request.spec.privileged = flags.privileged;
  request.spec.detached = flags.detach;
  request.spec.open_stdin = flags.interactive && !flags.detach;
  request.spec.tty = flags.tty && !flags.detach;
  return RunExec(session, request, flags.detach_keys);
}

void AddExec(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("exec", "run a command in a container that runs");
  command->footer(
      "Options end at the container; what follows is the command, /bin/sh by default.\n\n"
      "Exits with the command's status; 125: the engine failed, 126: the command\n"
      "cannot be executed, 127: it was not found.\n\n"
      "Example:\n  minibox exec -it web sh");
  command->prefix_command();
  auto flags = std::make_shared<ExecFlags>();
  command->add_flag("-d,--detach", flags->detach, "return once it runs");
  command->add_flag("-i,--interactive", flags->interactive, "stdin is the command's");
  command->add_flag("-t,--tty", flags->tty, "a terminal for the command");
  command->add_flag("--privileged", flags->privileged, "all capabilities, no system call filter");
  command->add_option("-u,--user", flags->user, "name or uid[:group or gid]");
  command->add_option("-w,--workdir", flags->workdir, "directory in the container");
  command->add_option("-e,--env", flags->env, "K=V, or K for its value here")
      ->allow_extra_args(false);
  command->add_option("--detach-keys", flags->detach_keys,
                      "keys that hang up (default ctrl-p,ctrl-q)");
  command->callback([&session, flags, command] {
    session.action = [&session, flags, arguments = command->remaining()] {
      return Exec(session, *flags, arguments);
    };
  });
}

void AddAttach(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("attach", "talk to a container that runs");
  command->footer(
      "Exits with the container's status, or 0 after the detach keys.\n\n"
      "Example:\n  minibox attach web");
  struct Flags {
    std::string id, detach_keys = kDefaultDetachKeys;
    bool no_stdin = false, logs = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("container", flags->id, "id, name or beginning of an id")->required();
  command->add_flag("--no-stdin", flags->no_stdin, "only listen");
  command->add_flag("--logs", flags->logs, "what it has written before first");
  command->add_option("--detach-keys", flags->detach_keys,
                      "keys that leave it running (default ctrl-p,ctrl-q)");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      StreamOptions options{.input = !flags->no_stdin, .terminal = true};
      if (!ParseDetachKeys(flags->detach_keys, &options.detach_keys)) {
        return session.Usage(wire::StrCat("--detach-keys: '", flags->detach_keys, "' are no keys"));
      }
      Call call{.method = "POST", .path = "/containers/attach", .query = {{"id", flags->id}}};
      for (auto& parameter : SizeQuery(true)) call.query.push_back(std::move(parameter));
      if (flags->logs) call.query.emplace_back("logs", "1");
      if (flags->no_stdin) call.query.emplace_back("stdin", "0");
      Reply reply;
      const auto stream = session.Open(call, &reply);
      if (!stream) return session.start_failure();
      // One without a terminal of its own leaves ours as it is.
      options.terminal = reply.Header("X-Minibox-Terminal").value_or("0") == "1";
      const StreamEnd end = CarryStream(session, *stream, options);
      return end.detached ? kSuccess : end.code.value_or(kEngineFailure);
    };
  });
}

}  // namespace

std::vector<std::string> WithOwnValues(const std::vector<std::string>& variables) {
  std::vector<std::string> values;
  for (const std::string& variable : variables) {
    const char* value = variable.find('=') == variable.npos ? getenv(variable.c_str()) : nullptr;
    values.push_back(value == nullptr ? variable : wire::StrCat(variable, "=", value));
  }
  return values;
}

int RunExec(Session& session, const wire::ExecRequest& request, const std::string& detach_keys) {
  if (request.spec.detached) {
    const auto reply = session.Ask({.method = "POST",
                                    .path = "/containers/exec",
                                    .body = wire::ToJson(request),
                                    .patience = std::nullopt});
    return reply ? kSuccess : session.start_failure();
  }
  StreamOptions options{.input = request.spec.open_stdin, .terminal = request.spec.tty};
  if (!ParseDetachKeys(detach_keys, &options.detach_keys)) {
    return session.Usage(wire::StrCat("--detach-keys: '", detach_keys, "' are no keys"));
  }
  Reply reply;
  const auto stream = session.Open({.method = "POST",
                                    .path = "/containers/exec",
                                    .query = SizeQuery(request.spec.tty),
                                    .body = wire::ToJson(request)},
                                   &reply);
  if (!stream) return session.start_failure();
  const StreamEnd end = CarryStream(session, *stream, options);
  return end.detached ? kSuccess : end.code.value_or(kEngineFailure);
}

void AddExecCommands(CLI::App& app, Session& session) {
  AddExec(app, session);
  AddAttach(app, session);
}

}  // namespace minibox::cli
