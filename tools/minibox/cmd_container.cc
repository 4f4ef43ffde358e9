// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "render.h"
#include "stream.h"
#include "wire/container.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using std::chrono::seconds;

constexpr seconds kPatience{60};
constexpr int64_t kMaxStopSeconds = 600;

void AddList(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("ps", "list containers, running or not");
  command->footer("Example:\n  minibox ps --filter status=running");
  struct Flags : ListFlags {
    bool all = false;
  };
  auto flags = std::make_shared<Flags>();
  flags->AddTo(*command);
  command->add_flag("-a,--all", flags->all, "accepted; all containers are listed anyway");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      const auto query = flags->FilterQuery();
      if (!query.ok()) return session.Usage(query.status().message());
      const auto body = session.Fetch("/containers", *query);
      if (!body) return kFailure;
      const auto containers = wire::ParseContainers(*body);
      if (!containers.ok()) return session.Fail(containers.status());
      if (flags->wants_json()) return session.Print(ContainersJson(*containers));
      if (flags->wants_template()) {
        return session.PrintRows(flags->format, ContainersJson(*containers));
      }
      if (flags->quiet) {
        std::string ids;
        for (const ContainerInfo& info : *containers) ids += info.id.ToString() + "\n";
        return session.Print(ids);
      }
      if (containers->empty()) {
        session.terminal().Info("No containers; 'minibox run IMAGE' makes one");
      }
      return session.Print(ContainerTable(*containers, session.terminal()));
    };
  });
}

void AddLogs(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("logs", "print what a container has written");
  command->footer("Example:\n  minibox logs -f --tail 100 web");
  struct Flags {
    std::string id;
    bool follow = false;
    bool timestamps = false;
    std::optional<uint64_t> tail;
    std::string since, until, stream;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("container", flags->id, "id, name or beginning of an id")->required();
  command->add_flag("-f,--follow", flags->follow, "go on until the container has exited");
  command->add_option("--tail", flags->tail, "only that many lines from the end");
  command->add_option("--since", flags->since, "only what was written from a time or 10m ago on");
  command->add_option("--until", flags->until, "only what was written before");
  command->add_option("--stream", flags->stream, "only stdout or stderr");
  command->add_flag("-t,--timestamps", flags->timestamps, "with the time before each line");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      Call call{.path = "/containers/logs", .query = {{"id", flags->id}}};
      if (flags->follow)
        call.query.insert(call.query.end(), {{"follow", "1"}, {"until_exit", "1"}});
      if (flags->tail) call.query.emplace_back("tail", std::to_string(*flags->tail));
      if (!flags->since.empty()) call.query.emplace_back("since", flags->since);
      if (!flags->until.empty()) call.query.emplace_back("until", flags->until);
      if (!flags->stream.empty()) call.query.emplace_back("stream", flags->stream);
      if (flags->timestamps) call.query.emplace_back("timestamps", "1");
      call.sink = Terminal::Print;
      return session.Ask(call) ? kSuccess : kFailure;
    };
  });
}

int StartAttached(Session& session, const std::string& id, bool input,
                  const std::string& detach_keys) {
  StreamOptions options;
  options.input = input;
  options.terminal = input;
  if (!ParseDetachKeys(detach_keys, &options.detach_keys)) {
    return session.Usage(wire::StrCat("--detach-keys: '", detach_keys, "' are no keys"));
  }
  Call call{.method = "POST", .path = "/containers/start", .query = {{"id", id}}};
  for (auto& parameter : SizeQuery(true)) call.query.push_back(std::move(parameter));
  Reply reply;
  const auto stream = session.Open(call, &reply);
  if (!stream) return session.start_failure();
  options.terminal = reply.Header("X-Minibox-Terminal").value_or("0") == "1";
  const StreamEnd end = CarryStream(session, *stream, options);
  return end.detached ? kSuccess : end.code.value_or(kEngineFailure);
}

void AddStart(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("start", "run containers that have exited once more");
  command->footer("Example:\n  minibox start web");
  struct Flags {
    std::vector<std::string> ids;
    bool attach = false, interactive = false;
    std::string detach_keys = "ctrl-p,ctrl-q";
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("container", flags->ids, "ids, names or beginnings of ids")->required();
  command->add_flag("-a,--attach", flags->attach, "show its output, exit with its status");
  command->add_flag("-i,--interactive", flags->interactive, "the same, and give it stdin");
  command->add_option("--detach-keys", flags->detach_keys,
                      "keys that leave it running (default ctrl-p,ctrl-q)");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      if (flags->attach || flags->interactive) {
        if (flags->ids.size() != 1) return session.Usage("-a and -i take one container");
        return StartAttached(session, flags->ids.front(), flags->interactive, flags->detach_keys);
      }
      return session.ForEach(
          flags->ids, "/containers/start",
          [](const std::string& id) {
            return Query{{"id", id}};
          },
          /*patience=*/std::nullopt);
    };
  });
}

void AddStop(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("stop", "stop containers, gently first");
  command->footer("Example:\n  minibox stop -t 30 web");
  struct Flags {
    std::vector<std::string> ids;
    std::optional<int64_t> time;
    std::string signal;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("container", flags->ids, "ids, names or beginnings of ids")->required();
  command->add_option("-t,--time", flags->time, "seconds until SIGKILL")
      ->check(CLI::Range(int64_t{0}, kMaxStopSeconds));
  command->add_option("-s,--signal", flags->signal, "signal instead of the container's own");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      const auto query = [&](const std::string& id) {
        Query query = {{"id", id}};
        if (flags->time) query.emplace_back("t", std::to_string(*flags->time));
        if (!flags->signal.empty()) query.emplace_back("signal", flags->signal);
        return query;
      };
      // The container's own time may be as long as the longest.
      const seconds grace(flags->time.value_or(kMaxStopSeconds));
      return session.ForEach(flags->ids, "/containers/stop", query, grace + kPatience);
    };
  });
}

void AddKill(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("kill", "send containers a signal, SIGKILL by default");
  command->footer("Example:\n  minibox kill -s HUP web");
  struct Flags {
    std::vector<std::string> ids;
    std::string signal;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("container", flags->ids, "ids, names or beginnings of ids")->required();
  command->add_option("-s,--signal", flags->signal, "name or number");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      return session.ForEach(flags->ids, "/containers/kill", [&](const std::string& id) {
        Query query = {{"id", id}};
        if (!flags->signal.empty()) query.emplace_back("signal", flags->signal);
        return query;
      });
    };
  });
}

void AddRemove(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("rm", "remove containers with logs and changes");
  command->footer("Example:\n  minibox rm -f web");
  struct Flags {
    std::vector<std::string> ids;
    bool force = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("container", flags->ids, "ids, names or beginnings of ids")->required();
  command->add_flag("-f,--force", flags->force, "running ones too: they are killed first");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      return session.ForEach(flags->ids, "/containers/remove", [&](const std::string& id) {
        Query query = {{"id", id}};
        if (flags->force) query.emplace_back("force", "1");
        return query;
      });
    };
  });
}

}  // namespace

void AddContainerCommands(CLI::App& app, Session& session) {
  AddList(app, session);
  AddLogs(app, session);
  AddStart(app, session);
  AddStop(app, session);
  AddKill(app, session);
  AddRemove(app, session);
}

}  // namespace minibox::cli
