// SPDX-License-Identifier: Apache-2.0
// Databases: containers with settings and a volume for them, and their own clients (spec §16).
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "commands.h"
#include "database.h"
#include "run_container.h"
#include "run_flags.h"
#include "stream.h"
#include "wire/exec_request.h"
#include "wire/json.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr const char* kDefaultData = "/var/lib/minibox-data";

// JSON that the daemon answers. nullopt: an error has been shown.
std::optional<json::Value> FetchJson(Session& session, const std::string& path,
                                     const Query& query) {
  const auto body = session.Fetch(path, query);
  if (!body) return std::nullopt;
  auto value = json::Parse(*body, {.max_bytes = body->size()});
  if (value.ok()) return std::move(*value);
  session.terminal().Error(value.status().message());
  return std::nullopt;
}

struct RunOptions {
  std::string data, command;
};

// Where the image keeps its data. nullopt: an error has been shown.
std::optional<std::string> DataPath(Session& session, const std::string& image) {
  const auto details = FetchJson(session, "/images/inspect", {{"image", image}});
  if (!details) return std::nullopt;
  const auto volumes = details->Get("config").Get("config").Get("Volumes").Members();
  return volumes.size() == 1 ? volumes.front().first : kDefaultData;
}

int Run(Session& session, const RunFlags& flags, const RunOptions& options,
        const std::vector<std::string>& arguments) {
  auto request = flags.Request(arguments);
  if (!request.ok()) return session.Usage(request.status().message());
  ContainerSpec& spec = request->spec;
  spec.db_mode = true;
  request->detached = request->detached || (!spec.open_stdin && !spec.tty);
  if (!options.command.empty()) {
    if (spec.command.empty()) {
      spec.command = {"/bin/sh", "-c", options.command};
    } else {
      session.terminal().Warning("--cmd is ignored, because a command is given");
    }
  }
  if (!ProvideImage(session, flags, *request)) return kEngineFailure;
  std::string target = options.data;
  if (target.empty()) {
    const auto path = DataPath(session, spec.image);
    if (!path) return kEngineFailure;
    target = *path;
  }
  // Who has mounted something there has said where the data goes.
  const bool mounted = options.data.empty() &&
                       std::any_of(spec.mounts.begin(), spec.mounts.end(),
                                   [&](const Mount& mount) { return mount.target == target; });
  if (!mounted) {
    const std::string name = spec.name.empty() ? DatabaseName(spec.image) : spec.name;
    spec.mounts.push_back(
        {.kind = Mount::Kind::kVolume, .source = name + "-data", .target = target});
  }
  std::string id;
  const int status = RunContainer(session, flags, *request, &id);
  if (!id.empty()) session.terminal().Success("Container started (detached): " + id);
  return status;
}

void AddRun(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("run", "run a database");
  command->footer(
      "Like 'minibox run --db', in the background unless -i or -t is given, and with the\n"
      "named volume <name>-data for its data: <name> is --name, else the image's.\n"
      "--rm leaves the volume alone.\n\n"
      "Example:\n  minibox db run --name shop -p 5432:5432 -e POSTGRES_PASSWORD=… postgres:15");
  auto flags = std::make_shared<RunFlags>();
  auto options = std::make_shared<RunOptions>();
  command->add_option("--data", options->data,
                      "path of the data in the container (default: the only volume that the\n"
                      "image declares, else /var/lib/minibox-data)");
  command->add_option("--cmd", options->command, "the command, for /bin/sh -c");
  flags->AddTo(*command, /*run=*/true);
  command->callback([&session, flags, options, command] {
    session.action = [&session, flags, options, arguments = command->remaining()] {
      return Run(session, *flags, *options, arguments);
    };
  });
}

int Shell(Session& session, const std::string& id) {
  const auto container = FetchJson(session, "/containers/inspect", {{"id", id}});
  if (!container) return kEngineFailure;
  const auto image = container->GetString("image", "");
  const auto env = container->Get("config").GetStringArray("env");
  const auto full_id = container->GetString("id");
  for (const Status& status : {image.status(), env.status(), full_id.status()}) {
    if (!status.ok()) return (void)session.Fail(status), kEngineFailure;
  }
  const bool terminal = isatty(STDIN_FILENO) != 0;
  StreamOptions options{.input = true, .terminal = terminal};
  (void)ParseDetachKeys("ctrl-p,ctrl-q", &options.detach_keys);  // these are keys
  std::vector<std::string> missing;
  for (const DatabaseClient& client : DatabaseClients(*image, *env)) {
    for (const std::string& path : ProgramPaths(client)) {
      wire::ExecRequest request;
      request.id = *full_id;
      request.spec.command = client.arguments;
      request.spec.command.insert(request.spec.command.begin(), path);
      request.spec.env = client.env;
      request.spec.open_stdin = true;
      request.spec.tty = terminal;
      Reply reply;
      const auto stream = session.Open({.method = "POST",
                                        .path = "/containers/exec",
                                        .query = SizeQuery(terminal),
                                        .body = wire::ToJson(request)},
                                       &reply, kCommandNotFound);
      if (stream) {
        const StreamEnd end = CarryStream(session, *stream, options);
        return end.detached ? kSuccess : end.code.value_or(kEngineFailure);
      }
      if (session.start_failure() != kCommandNotFound) return session.start_failure();
    }
    missing.push_back(client.program);
  }
  session.terminal().Error(
      StrCat("container ", *full_id, " has no ", wire::StrJoin(missing, " and no ")));
  return kCommandNotFound;
}

void AddShell(CLI::App& group, Session& session, const std::string& name) {
  CLI::App* command = group.add_subcommand(
      name, name == "shell" ? "talk to a database with its own client" : "the same as shell");
  command->footer(
      "By the image's name: redis-cli for redis and valkey, psql for postgres, mongosh or\n"
      "mongo for mongo, mysql or mariadb for theirs, else /bin/sh. User and password are\n"
      "those of the container's environment.\n\n"
      "Exits with the client's status; 125: the engine failed, 127: it has no client.\n\n"
      "Example:\n  minibox db " +
      name + " shop");
  command->fallthrough();
  auto id = std::make_shared<std::string>();
  command->add_option("container", *id, "id, name or beginning of an id")->required();
  command->callback(
      [&session, id] { session.action = [&session, id] { return Shell(session, *id); }; });
}

}  // namespace

void AddDatabaseCommands(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("db", "databases");
  group->require_subcommand(1);
  group->footer("Example:\n  minibox db run --name cache redis:7 && minibox db shell cache");
  AddRun(*group, session);
  AddShell(*group, session, "shell");
  AddShell(*group, session, "console");
}

}  // namespace minibox::cli
