// SPDX-License-Identifier: Apache-2.0
// Projects of several containers (spec §14).
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <memory>

#include "commands.h"
#include "compose_output.h"
#include "http_backend.h"
#include "interrupts.h"
#include "run_container.h"
#include "run_exec.h"
#include "wire/exec_request.h"
#include "wire/run_request.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;
using Names = std::vector<std::string>;

// What stands before the action.
struct ProjectFlags {
  std::string file, project, env_file;
  Names profiles;
};

std::map<std::string, std::string> OwnEnvironment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != text.npos) variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

// Of root one for all; else nobody else may write it.
std::filesystem::path LockDir() {
  if (geteuid() == 0) return "/run/minibox-compose";
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/') return StrCat(runtime, "/minibox-compose");
  return StrCat("/tmp/minibox-compose-", geteuid());
}

ComposeOptions OptionsOf(const ProjectFlags& flags) {
  ComposeOptions options;
  options.file = flags.file;
  options.env_file = flags.env_file;
  options.profiles = flags.profiles;
  options.environment = OwnEnvironment();
  options.project = flags.project;
  const auto variable = [&](const char* name) {
    const auto found = options.environment.find(name);
    return found == options.environment.end() ? std::string() : found->second;
  };
  if (options.project.empty()) options.project = variable("MINIBOX_PROJECT");
  options.home = variable("HOME");
  options.lock_dir = LockDir();
  return options;
}

// The project of the file; nullopt: an error has been shown. Warnings are shown in any case.
std::optional<Compose> LoadFile(Session& session, const ProjectFlags& flags) {
  const auto backend = HttpComposeBackend(session);
  auto project = backend.ok() ? Compose::Load(OptionsOf(flags), *backend)
                              : StatusOr<Compose>(backend.status());
  if (!project.ok()) {
    session.terminal().Error(project.status().message());
    return std::nullopt;
  }
  for (const std::string& warning : project->warnings()) session.terminal().Warning(warning);
  return std::move(*project);
}

// The same; without a file, but with -p, what runs of that project.
std::optional<Compose> LoadAny(Session& session, const ProjectFlags& flags) {
  const ComposeOptions options = OptionsOf(flags);
  if (options.project.empty()) return LoadFile(session, flags);
  const auto backend = HttpComposeBackend(session);
  auto project =
      backend.ok() ? Compose::Load(options, *backend) : StatusOr<Compose>(backend.status());
  if (!project.ok() && project.status().reason() == "compose_file_not_found" &&
      flags.file.empty()) {
    project = Compose::Attach(options, *backend);
  }
  if (project.ok()) {
    for (const std::string& warning : project->warnings()) session.terminal().Warning(warning);
    return std::move(*project);
  }
  session.terminal().Error(project.status().message());
  return std::nullopt;
}

std::optional<std::chrono::seconds> Seconds(const std::optional<int64_t>& value) {
  return value ? std::optional(std::chrono::seconds(*value)) : std::nullopt;
}

ComposeEventFn Shown(Session& session) {
  return [&session](const ComposeEvent& event) { ShowComposeEvent(session, event); };
}

// One action that Ctrl-C ends where it is.
int Carry(Session& session, const std::function<Status(std::stop_token)>& action) {
  std::stop_source stop;
  Interrupts interrupts;
  interrupts.Set([&stop](int) { stop.request_stop(); });
  const Status done = action(stop.get_token());
  if (interrupts.count() > 0) return interrupts.ExitCode();
  return done.ok() ? kSuccess : session.Fail(done);
}

Status ShowLogs(Session& session, const Compose& project, const ComposeLogOptions& options,
                bool timestamps, std::stop_token stop) {
  ComposeLogView view(session.terminal(), project.services(), timestamps);
  return project.ReadLogs(
      options,
      [&](const ComposeLogLine& line) {
        return Terminal::Print(view.Text(line))
                   ? Status()
                   : Status(StatusCode::kUnavailable, "cannot write the output");
      },
      std::move(stop));
}

struct UpFlags : UpOptions {
  bool detach = false;
  std::optional<int64_t> seconds;
};

// Follows the logs until all have ended. Ctrl-C stops the services, a second one kills them.
int FollowUp(Session& session, Compose& project, const Names& services, Interrupts& interrupts) {
  std::stop_source stop;
  interrupts.Set([&stop](int) { stop.request_stop(); });
  if (interrupts.count() == 0) {
    const Status logs =
        ShowLogs(session, project, {.services = services, .follow = true}, false, stop.get_token());
    if (interrupts.count() == 0) return logs.ok() ? kSuccess : session.Fail(logs);
  }
  session.terminal().Info("Stopping; Ctrl-C again kills.");
  interrupts.Set([&](int) { (void)project.Kill(services); });
  const Status stopped = project.Stop(services, {}, Shown(session));
  return stopped.ok() ? interrupts.ExitCode() : session.Fail(stopped);
}

int RunUp(Session& session, const ProjectFlags& flags, const UpFlags& up) {
  auto project = LoadFile(session, flags);
  if (!project) return kFailure;
  UpOptions options = up;
  if (up.seconds) options.timeout = std::chrono::seconds(*up.seconds);
  if (up.detach || up.wait) {
    return Carry(session, [&](std::stop_token stop) {
      return project->Up(options, Shown(session), std::move(stop));
    });
  }
  std::stop_source stop;
  Interrupts interrupts;
  interrupts.Set([&stop](int) { stop.request_stop(); });
  const Status done = project->Up(options, Shown(session), stop.get_token());
  if (!done.ok() && interrupts.count() == 0) return session.Fail(done);
  return FollowUp(session, *project, up.services, interrupts);
}

// Subcommands of `compose` with the flags that all of them have.
class Actions {
 public:
  Actions(CLI::App& compose, Session& session, std::shared_ptr<ProjectFlags> flags)
      : compose_(compose), session_(session), flags_(std::move(flags)) {}

  void AddUp() {
    auto up = std::make_shared<UpFlags>();
    CLI::App* command =
        Add("up", "create and start what the file says", "minibox compose up -d --build",
            [this, up] { return RunUp(session_, *flags_, *up); });
    command->add_flag("-d,--detach", up->detach, "return once all have started");
    command->add_flag("--build", up->build, "build images that there are already");
    command->add_flag("--force-recreate", up->force_recreate, "replace what is as it should be");
    command->add_flag("--no-deps", up->no_deps, "leave dependencies as they are");
    command->add_flag("--remove-orphans", up->remove_orphans,
                      "remove containers of services that the file has no more");
    command->add_flag("--wait", up->wait, "until those with health checks are healthy");
    command
        ->add_option("-t,--timeout", up->seconds, "seconds that a dependency may take (default 60)")
        ->check(CLI::Range(int64_t{1}, int64_t{86400}));
    AddServices(command, &up->services);
  }

  void AddDown() {
    struct Flags : DownOptions {
      std::optional<int64_t> seconds;
    };
    auto down = std::make_shared<Flags>();
    CLI::App* command =
        Add("down", "stop and remove the project", "minibox compose down -v", [this, down] {
          return WithAny([&](Compose& project) {
            DownOptions options = *down;
            options.stop_timeout = Seconds(down->seconds);
            return Carry(session_, [&](std::stop_token stop) {
              return project.Down(options, Shown(session_), std::move(stop));
            });
          });
        });
    command->add_flag("-v,--volumes", down->volumes, "the project's volumes too");
    command->add_flag("--remove-orphans", down->remove_orphans,
                      "containers of services that the file has no more, too");
    AddTimeout(command, &down->seconds);
  }

  void AddStartStop() {
    auto started = std::make_shared<Names>();
    AddServices(
        Add("start", "start existing containers", "minibox compose start web",
            [this, started] {
              return Act([=](Compose& project, const ComposeEventFn& events, std::stop_token stop) {
                return project.Start(*started, events, std::move(stop));
              });
            }),
        started.get());
    for (const bool restart : {false, true}) {
      struct Flags {
        Names services;
        std::optional<int64_t> seconds;
      };
      auto flags = std::make_shared<Flags>();
      CLI::App* command = Add(
          restart ? "restart" : "stop",
          restart ? "stop and start containers" : "stop containers, dependents first",
          restart ? "minibox compose restart web" : "minibox compose stop -t 30",
          [this, flags, restart] {
            return Act([=](Compose& project, const ComposeEventFn& events, std::stop_token stop) {
              const auto grace = Seconds(flags->seconds);
              return restart ? project.Restart(flags->services, grace, events, std::move(stop))
                             : project.Stop(flags->services, grace, events, std::move(stop));
            });
          });
      AddTimeout(command, &flags->seconds);
      AddServices(command, &flags->services);
    }
  }

  void AddKillRemove() {
    struct Kill {
      Names services;
      std::string signal = "KILL";
    };
    auto kill = std::make_shared<Kill>();
    CLI::App* command =
        Add("kill", "send a signal", "minibox compose kill -s HUP web", [this, kill] {
          const auto signal = wire::ParseSignal(kill->signal);
          if (!signal) {
            return session_.Usage(
                StrCat("--signal: '", wire::EscapeControl(kill->signal), "' is no signal"));
          }
          return Act([=](Compose& project, const ComposeEventFn& events, std::stop_token) {
            return project.Kill(kill->services, *signal, events);
          });
        });
    command->add_option("-s,--signal", kill->signal, "name or number (default KILL)");
    AddServices(command, &kill->services);

    struct Remove {
      Names services;
      bool force = false, stop = false;
    };
    auto remove = std::make_shared<Remove>();
    command = Add("rm", "remove stopped containers", "minibox compose rm -s web", [this, remove] {
      if (!remove->force && !session_.Confirm("Remove the project's containers?")) return kFailure;
      return Act([=](Compose& project, const ComposeEventFn& events, std::stop_token stop) {
        return project.Remove(remove->services, remove->stop, events, std::move(stop));
      });
    });
    command->add_flag("-f,--force", remove->force, "do not ask");
    command->add_flag("-s,--stop", remove->stop, "stop them first");
    AddServices(command, &remove->services);
  }

  void AddBuildPull() {
    struct Flags {
      Names services;
      bool no_cache = false;
    };
    for (const bool build : {true, false}) {
      auto flags = std::make_shared<Flags>();
      CLI::App* command =
          Add(build ? "build" : "pull",
              build ? "build the images of services with 'build'" : "pull the images of the others",
              build ? "minibox compose build --no-cache web" : "minibox compose pull",
              [this, flags, build] {
                auto project = LoadFile(session_, *flags_);
                if (!project) return kFailure;
                return Carry(session_, [&](std::stop_token stop) {
                  return build ? project->Build(flags->services, flags->no_cache, Shown(session_),
                                                std::move(stop))
                               : project->Pull(flags->services, Shown(session_), std::move(stop));
                });
              });
      if (build) command->add_flag("--no-cache", flags->no_cache, "run every step again");
      AddServices(command, &flags->services);
    }
  }

  void AddPs() {
    struct Flags {
      bool quiet = false, json = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command =
        Add("ps", "list the project's containers", "minibox compose ps", [this, flags] {
          return WithAny([&](Compose& project) {
            const auto services = project.Ps();
            if (!services.ok()) return session_.Fail(services.status());
            if (flags->json) return session_.Print(ComposeJson(*services));
            if (!flags->quiet) return session_.Print(ComposeTable(*services, session_.terminal()));
            std::string ids;
            for (const auto& entry : *services) ids += entry.container.id.ToString() + "\n";
            return session_.Print(ids);
          });
        });
    command->add_flag("-q,--quiet", flags->quiet, "ids only");
    command->add_flag("--json", flags->json, "as JSON");
  }

  void AddLogs() {
    struct Flags {
      ComposeLogOptions options;
      bool timestamps = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = Add("logs", "show the logs of all, merged by time",
                            "minibox compose logs -f web", [this, flags] {
                              return WithAny([&](Compose& project) {
                                return Carry(session_, [&](std::stop_token stop) {
                                  return ShowLogs(session_, project, flags->options,
                                                  flags->timestamps, std::move(stop));
                                });
                              });
                            });
    command->add_flag("-f,--follow", flags->options.follow, "until all have ended");
    command->add_flag("-t,--timestamps", flags->timestamps, "with the time of each line");
    command->add_option("--tail", flags->options.tail_lines, "only so many lines of each");
    AddServices(command, &flags->options.services);
  }

  // What other commands show, of the containers of the project.
  void AddTopEvents() {
    Add("top", "list the processes of each container", "minibox compose top", [this] {
      return WithAny([&](Compose& project) {
        const auto services = project.Ps();
        if (!services.ok()) return session_.Fail(services.status());
        int status = kSuccess;
        for (const auto& [service, info] : *services) {
          if (info.state != ContainerState::kRunning) continue;
          if (session_.Print(StrCat(service, ":\n")) != kSuccess ||
              ShowTop(session_, info.id.ToString(), /*as_json=*/false) != kSuccess) {
            status = kFailure;
          }
        }
        return status;
      });
    });
    Add("events", "follow what happens to the project", "minibox compose events", [this] {
      return WithAny([&](Compose& project) {
        return ShowEvents(session_, {.query = {{"project", project.project()}}});
      });
    });
  }

  void AddExecRun() {
    struct Flags {
      bool interactive = false, tty = false, keep_deps = false, remove = false;
      std::string user;
      Names env;
    };
    for (const bool exec : {true, false}) {
      auto flags = std::make_shared<Flags>();
      auto line = std::make_shared<Names>();
      CLI::App* command = Add(
          exec ? "exec" : "run",
          exec ? "run a command in a service's container"
               : "run a command in a container of its own, made as the service's",
          exec ? "minibox compose exec -it db psql" : "minibox compose run --rm web sh", nullptr);
      command->prefix_command();
      command->add_flag("-i,--interactive", flags->interactive, "stdin is the command's");
      command->add_flag("-t,--tty", flags->tty, "a terminal for the command");
      command->add_option("-e,--env", flags->env, "K=V, or K for its value here")
          ->allow_extra_args(false);
      if (exec) {
        command->add_option("-u,--user", flags->user, "name or uid[:group or gid]");
      } else {
        command->add_flag("--rm", flags->remove, "remove the container when it has ended");
        command->add_flag("--no-deps", flags->keep_deps, "do not start what the service needs");
      }
      command->callback([this, flags, command, exec] {
        session_.action = [this, flags, exec, arguments = command->remaining()] {
          if (arguments.empty()) return session_.Usage("a service is required");
          const Names words(arguments.begin() + 1, arguments.end());
          return exec ? ExecIn(arguments[0], words, flags->user, WithOwnValues(flags->env),
                               flags->interactive, flags->tty)
                      : RunBeside(arguments[0], words, WithOwnValues(flags->env),
                                  flags->interactive, flags->tty, flags->remove, flags->keep_deps);
        };
      });
    }
  }

  void AddConfig() {
    struct Flags {
      bool services = false, hash = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = Add(
        "config", "print the file with all variables replaced", "minibox compose config",
        [this, flags] {
          const auto project = LoadFile(session_, *flags_);
          if (!project) return kFailure;
          if (!flags->services && !flags->hash) return session_.Print(project->ConfigYaml());
          const auto hashes =
              flags->hash ? project->ConfigHashes() : std::map<std::string, std::string>();
          if (!hashes.ok()) return session_.Fail(hashes.status());
          std::string text;
          for (const std::string& service : project->services()) {
            text += flags->hash ? StrCat(service, " ", hashes->at(service), "\n") : service + "\n";
          }
          return session_.Print(text);
        });
    command->add_flag("--services", flags->services, "only the names of services");
    command->add_flag("--hash", flags->hash, "only what decides whether a container is replaced");
  }

 private:
  CLI::App* Add(const std::string& name, const std::string& what, const std::string& example,
                std::function<int()> action) {
    CLI::App* command = compose_.add_subcommand(name, what);
    command->footer(StrCat("Example:\n  ", example));
    if (action) {
      command->callback([this, action = std::move(action)] { session_.action = action; });
      command->fallthrough();
    }
    return command;
  }
  static void AddServices(CLI::App* command, Names* services) {
    command->add_option("service", *services, "services (default: all)");
  }
  static void AddTimeout(CLI::App* command, std::optional<int64_t>* seconds) {
    command->add_option("-t,--timeout", *seconds, "seconds before SIGKILL")
        ->check(CLI::Range(int64_t{0}, int64_t{600}));
  }

  int WithAny(const std::function<int(Compose&)>& action) {
    auto project = LoadAny(session_, *flags_);
    return project ? action(*project) : kFailure;
  }
  int Act(const std::function<Status(Compose&, const ComposeEventFn&, std::stop_token)>& action) {
    return WithAny([&](Compose& project) {
      return Carry(session_, [&](std::stop_token stop) {
        return action(project, Shown(session_), std::move(stop));
      });
    });
  }

  int ExecIn(const std::string& service, const Names& words, const std::string& user,
             const Names& env, bool interactive, bool tty) {
    const auto project = LoadAny(session_, *flags_);
    if (!project) return kEngineFailure;
    const auto services = project->Ps();
    if (!services.ok()) {
      session_.terminal().Error(services.status().message());
      return kEngineFailure;
    }
    for (const auto& [name, info] : *services) {
      if (name != service || info.state != ContainerState::kRunning) continue;
      wire::ExecRequest request;
      request.id = info.id.ToString();
      request.spec.command = words.empty() ? Names{"/bin/sh"} : words;
      request.spec.env = env;
      request.spec.user = user;
      request.spec.open_stdin = interactive;
      request.spec.tty = tty;
      return RunExec(session_, request, kDefaultDetachKeys);
    }
    session_.terminal().Error(
        StrCat("service '", wire::EscapeControl(service), "' of project ", project->project(),
               " is not running; start it with 'minibox compose up -d ", service, "'"));
    return kEngineFailure;
  }

  int RunBeside(const std::string& service, const Names& words, const Names& env, bool interactive,
                bool tty, bool remove, bool no_deps) {
    auto project = LoadFile(session_, *flags_);
    if (!project) return kEngineFailure;
    const int prepared = Carry(session_, [&](std::stop_token stop) {
      return project->Prepare(service, no_deps, Shown(session_), std::move(stop));
    });
    if (prepared != kSuccess) return prepared == kFailure ? kEngineFailure : prepared;
    auto spec = project->OneOff(service);
    if (!spec.ok()) {
      session_.terminal().Error(spec.status().message());
      return kEngineFailure;
    }
    if (!words.empty()) spec->command = words;
    spec->env.insert(spec->env.end(), env.begin(), env.end());
    spec->open_stdin = interactive;
    spec->tty = tty;
    spec->remove_on_exit = remove;
    return RunContainer(session_, RunFlags(), wire::RunRequest{.spec = std::move(*spec)});
  }

  CLI::App& compose_;
  Session& session_;
  const std::shared_ptr<ProjectFlags> flags_;
};

}  // namespace

void AddComposeCommands(CLI::App& app, Session& session) {
  CLI::App* compose = app.add_subcommand("compose", "run projects of several containers");
  compose->footer(
      "The file is minibox-compose.yaml, compose.yaml or docker-compose.yaml in the current\n"
      "directory, or what -f names.\n\n"
      "Example:\n  minibox compose up -d && minibox compose logs -f");
  compose->require_subcommand(1);
  auto flags = std::make_shared<ProjectFlags>();
  compose->add_option("-f,--file", flags->file, "the compose file");
  compose->add_option("-p,--project-name", flags->project,
                      "name of the project (default: $MINIBOX_PROJECT, the file's, the folder's)");
  compose->add_option("--profile", flags->profiles, "services of that profile too")
      ->allow_extra_args(false);
  compose->add_option("--env-file", flags->env_file, "variables instead of those of .env");
  auto actions = std::make_shared<Actions>(*compose, session, flags);
  actions->AddUp();
  actions->AddDown();
  actions->AddStartStop();
  actions->AddKillRemove();
  actions->AddPs();
  actions->AddLogs();
  actions->AddTopEvents();
  actions->AddBuildPull();
  actions->AddExecRun();
  actions->AddConfig();
  // The commands keep it.
  compose->callback([actions] {});
}

}  // namespace minibox::cli
