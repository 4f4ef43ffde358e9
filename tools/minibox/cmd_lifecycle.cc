// SPDX-License-Identifier: Apache-2.0
// restart, pause, unpause, rename, update, wait and prune (spec §15.3).
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "render.h"
#include "run_flags.h"
#include "wire/lifecycle.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using std::chrono::seconds;

constexpr seconds kPatience{60};
constexpr int64_t kMaxStopSeconds = 600;

using Names = std::shared_ptr<std::vector<std::string>>;

Names AddNames(CLI::App* command) {
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("container", *names, "ids, names or beginnings of ids")->required();
  return names;
}

void AddPause(CLI::App& app, Session& session) {
  for (const bool pause : {true, false}) {
    CLI::App* command =
        app.add_subcommand(pause ? "pause" : "unpause", pause ? "freeze all processes of containers"
                                                              : "let paused containers go on");
    command->footer(pause ? "Example:\n  minibox pause web" : "Example:\n  minibox unpause web");
    const Names names = AddNames(command);
    command->callback([&session, names, pause] {
      session.action = [&session, names, pause] {
        return session.ForEach(*names, pause ? "/containers/pause" : "/containers/unpause",
                               [](const std::string& id) {
                                 return Query{{"id", id}};
                               });
      };
    });
  }
}

void AddRestart(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("restart", "stop containers and start them again");
  command->footer("Example:\n  minibox restart -t 30 web");
  const Names names = AddNames(command);
  auto time = std::make_shared<std::optional<int64_t>>();
  command->add_option("-t,--time", *time, "seconds until SIGKILL")
      ->check(CLI::Range(int64_t{0}, kMaxStopSeconds));
  command->callback([&session, names, time] {
    session.action = [&session, names, time] {
      const auto query = [&](const std::string& id) {
        Query query = {{"id", id}};
        if (*time) query.emplace_back("t", std::to_string(**time));
        return query;
      };
      // Stopping has its time; starting takes as long as it takes.
      return session.ForEach(*names, "/containers/restart", query, /*patience=*/std::nullopt);
    };
  });
}

void AddRename(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("rename", "give a container another name");
  command->footer("Example:\n  minibox rename web old-web");
  auto id = std::make_shared<std::string>();
  auto name = std::make_shared<std::string>();
  command->add_option("container", *id, "id, name or beginning of an id")->required();
  command->add_option("name", *name, "the new name")->required();
  command->callback([&session, id, name] {
    session.action = [&session, id, name] {
      return session.ForEach({*id}, "/containers/rename", [&](const std::string& container) {
        return Query{{"id", container}, {"name", *name}};
      });
    };
  });
}

struct UpdateFlags {
  std::string memory, memory_swap, cpus, cpuset, restart;
  int64_t cpu = 0, io_weight = 0, pids = 0;

  StatusOr<ContainerUpdate> Update() const {
    ContainerUpdate update;
    const auto usage = [](std::string message) {
      return Status(StatusCode::kInvalidArgument, std::move(message), {.reason = "usage"});
    };
    for (const auto& [text, out, flag] :
         {std::tuple(&memory, &update.memory_bytes, "--memory"),
          std::tuple(&memory_swap, &update.memory_swap_bytes, "--memory-swap")}) {
      if (text->empty()) continue;
      if (*text == "-1") {
        *out = -1;
        continue;
      }
      const auto bytes = ParseMemory(*text);
      if (!bytes.ok()) return bytes.status().WithContext(flag);
      *out = *bytes;
    }
    if (!cpus.empty() && cpu != 0) return usage("--cpu and --cpus exclude each other");
    if (!cpus.empty()) {
      const auto quota = ParseCpus(cpus);
      if (!quota.ok()) return quota.status();
      update.cpu_quota_us = *quota;
    }
    if (cpu != 0) update.cpu_quota_us = cpu < 0 ? -1 : cpu >= 1000 ? cpu : cpu * 1000;
    if (!cpuset.empty()) update.cpuset = cpuset;
    if (io_weight != 0) update.io_weight = io_weight;
    if (pids != 0) update.pids = pids;
    if (!restart.empty()) {
      const auto policy = RestartPolicy::Parse(restart);
      if (!policy.ok()) return usage(wire::StrCat("--", policy.status().message()));
      update.restart = *policy;
    }
    return update;
  }
};

void AddUpdate(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("update", "change limits of containers; -1 removes one");
  command->footer("Example:\n  minibox update -m 512m --pids-limit 200 web");
  const Names names = AddNames(command);
  auto flags = std::make_shared<UpdateFlags>();
  command->add_option("-m,--memory", flags->memory, "memory limit: MiB, or 512m, 2g");
  command->add_option("--memory-swap", flags->memory_swap, "memory and swap together");
  command->add_option("-c,--cpu", flags->cpu, "1-999: percent of a core; from 1000: µs per 100 ms");
  command->add_option("--cpus", flags->cpus, "CPU limit in cores, such as 1.5");
  command->add_option("--cpuset", flags->cpuset, "CPUs it may use, such as 0,2-3");
  command->add_option("--io-weight", flags->io_weight, "share of disk bandwidth, 1-1000");
  command->add_option("--pids-limit", flags->pids, "processes at most");
  command->add_option("--restart", flags->restart, "no, on-failure[:n], always, unless-stopped");
  command->callback([&session, names, flags] {
    session.action = [&session, names, flags] {
      const auto update = flags->Update();
      if (!update.ok()) return session.Usage(update.status().message());
      const std::string body = wire::ToJson(*update);
      if (body == "{}") return session.Usage("nothing to change: give a limit or --restart");
      int status = kSuccess;
      for (const std::string& id : *names) {
        const auto reply = session.Ask(
            {.method = "POST", .path = "/containers/update", .query = {{"id", id}}, .body = body});
        if (!reply || session.Print(reply->body) != kSuccess) status = kFailure;
      }
      return status;
    };
  });
}

void AddWait(CLI::App& app, Session& session) {
  CLI::App* command =
      app.add_subcommand("wait", "wait for containers and print their exit statuses");
  command->footer("Example:\n  minibox wait --condition healthy --timeout 1m web");
  const Names names = AddNames(command);
  struct Flags {
    std::string condition, timeout;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("--condition", flags->condition, "exited (default), removed or healthy")
      ->check(CLI::IsMember({"exited", "removed", "healthy"}));
  command->add_option("--timeout", flags->timeout, "give up after this time, such as 30s");
  command->callback([&session, names, flags] {
    session.action = [&session, names, flags] {
      if (!flags->timeout.empty() && !wire::ParseDurationNs(flags->timeout).ok()) {
        return session.Usage(wire::StrCat("--timeout: '", flags->timeout, "' is not a duration"));
      }
      int status = kSuccess;
      for (const std::string& id : *names) {
        Call call{.method = "POST", .path = "/containers/wait", .query = {{"id", id}}};
        if (!flags->condition.empty()) call.query.emplace_back("condition", flags->condition);
        if (!flags->timeout.empty()) call.query.emplace_back("timeout", flags->timeout);
        call.patience = std::nullopt;
        const auto reply = session.Ask(call);
        const auto code = reply ? wire::ParseWaitResult(reply->body) : StatusOr<int>(Status());
        if (reply && !code.ok()) session.terminal().Error(code.status().message());
        if (!code.ok() || session.Print(wire::StrCat(*code, "\n")) != kSuccess) status = kFailure;
      }
      return status;
    };
  });
}

void AddPrune(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("prune", "remove all containers that do not run");
  command->footer("Example:\n  minibox prune --filter until=24h --dry-run");
  struct Flags {
    bool dry_run = false, force = false;
    std::vector<std::string> filters;
  };
  auto flags = std::make_shared<Flags>();
  command->add_flag("--dry-run", flags->dry_run, "only say what would be removed");
  command->add_flag("-f,--force", flags->force, "accepted; nothing is asked anyway");
  command->add_option("--filter", flags->filters, "until=TIME or label=KEY[=VALUE]")
      ->allow_extra_args(false);
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      Call call{.method = "POST", .path = "/containers/prune", .patience = std::nullopt};
      if (flags->dry_run) call.query.emplace_back("dry_run", "1");
      for (const std::string& filter : flags->filters) {
        const size_t equals = filter.find('=');
        const std::string key = filter.substr(0, equals);
        if (equals == std::string::npos || (key != "until" && key != "label")) {
          return session.Usage(wire::StrCat("--filter: '", wire::EscapeControl(filter),
                                            "' is not until=<time> or label=<key>[=<value>]"));
        }
        call.query.emplace_back(key, filter.substr(equals + 1));
      }
      const auto reply = session.Ask(call);
      if (!reply) return kFailure;
      const auto report = wire::ParseContainerPruneReport(reply->body);
      if (!report.ok()) return session.Fail(report.status());
      std::string ids;
      for (const ContainerId& id : report->removed) ids += id.ToString() + "\n";
      session.terminal().Info(
          wire::StrCat(flags->dry_run ? "Would free " : "Freed ", SizeText(report->bytes_freed)));
      return session.Print(ids);
    };
  });
}

}  // namespace

void AddLifecycleCommands(CLI::App& app, Session& session) {
  AddRestart(app, session);
  AddPause(app, session);
  AddRename(app, session);
  AddUpdate(app, session);
  AddWait(app, session);
  AddPrune(app, session);
}

}  // namespace minibox::cli
