// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "render.h"
#include "run_flags.h"
#include "wire/json.h"
#include "wire/messages.h"
#include "wire/store_reports.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

void AddList(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("ls", "list volumes");
  command->footer("Example:\n  minibox volume ls --filter label=app=web");
  auto flags = std::make_shared<ListFlags>();
  flags->AddTo(*command);
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      const auto query = flags->FilterQuery();
      if (!query.ok()) return session.Usage(query.status().message());
      const auto body = session.Fetch("/volumes", *query);
      if (!body) return kFailure;
      const auto volumes = wire::ParseVolumes(*body);
      if (!volumes.ok()) return session.Fail(volumes.status());
      if (flags->wants_json()) return session.Print(*wire::Indented(*body));
      if (flags->wants_template()) return session.PrintRows(flags->format, *body);
      std::string names;
      for (const VolumeInfo& volume : *volumes) names += volume.name + "\n";
      return session.Print(flags->quiet ? names : VolumeTable(*volumes, session.terminal()));
    };
  });
}

void AddCreate(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("create", "create a volume, or find it");
  command->footer("Example:\n  minibox volume create --label app=web data");
  struct Flags {
    std::string name;
    std::vector<std::string> labels;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("name", flags->name, "name; without one the volume is anonymous");
  command->add_option("-l,--label", flags->labels, "key=value")->allow_extra_args(false);
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      Labels labels;
      const Status pairs = AddPairs(flags->labels, "--label", &labels);
      if (!pairs.ok()) return session.Usage(pairs.message());
      wire::JsonWriter body;
      body.BeginObject().Key("name").String(flags->name).Key("labels").StringMap(labels);
      body.EndObject();
      const auto reply =
          session.Ask({.method = "POST", .path = "/volumes/create", .body = body.Take()});
      if (!reply) return kFailure;
      const auto volume = wire::ParseVolume(reply->body);
      if (!volume.ok()) return session.Fail(volume.status());
      return session.Print(volume->name + "\n");
    };
  });
}

void AddInspect(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("inspect", "show volumes as JSON");
  command->footer("Example:\n  minibox volume inspect data");
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("name", *names, "volumes")->required();
  command->callback([&session, names] {
    session.action = [&session, names] {
      int status = kSuccess;
      for (const std::string& name : *names) {
        const auto body = session.Fetch("/volumes/inspect", {{"name", name}});
        const auto text = wire::Indented(body.value_or("null"));
        if (!body || session.Print(text.ok() ? *text : *body) != kSuccess) status = kFailure;
      }
      return status;
    };
  });
}

void AddRemove(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("rm", "remove volumes with their content");
  command->footer("Example:\n  minibox volume rm data");
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("name", *names, "volumes")->required();
  command->callback([&session, names] {
    session.action = [&session, names] {
      return session.ForEach(*names, "/volumes/remove", [](const std::string& name) {
        return Query{{"name", name}};
      });
    };
  });
}

void AddPrune(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("prune", "remove volumes that no container uses");
  command->footer("Example:\n  minibox volume prune --all --dry-run");
  struct Flags {
    bool all = false, dry_run = false, force = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_flag("-a,--all", flags->all, "named volumes too, not only anonymous ones");
  command->add_flag("--dry-run", flags->dry_run, "only say what would be removed");
  command->add_flag("-f,--force", flags->force, "do not ask");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      if (!flags->force && !flags->dry_run &&
          !session.Confirm(flags->all ? "Remove all volumes that no container uses?"
                                      : "Remove anonymous volumes that no container uses?")) {
        return kFailure;
      }
      Query query;
      if (flags->all) query.emplace_back("all", "1");
      if (flags->dry_run) query.emplace_back("dry_run", "1");
      const auto reply = session.Ask(
          {.method = "POST", .path = "/volumes/prune", .query = query, .patience = std::nullopt});
      if (!reply) return kFailure;
      const auto report = wire::ParsePruneVolumesReport(reply->body);
      if (!report.ok()) return session.Fail(report.status());
      std::string text;
      for (const std::string& name : report->removed) text += name + "\n";
      return session.Print(text + wire::StrCat(flags->dry_run ? "Would free: " : "Freed: ",
                                               SizeText(report->bytes_freed), "\n"));
    };
  });
}

}  // namespace

void AddVolumeCommands(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("volume", "list, create and remove volumes");
  group->footer("Example:\n  minibox volume ls");
  group->require_subcommand(1);
  AddList(*group, session);
  AddCreate(*group, session);
  AddInspect(*group, session);
  AddRemove(*group, session);
  AddPrune(*group, session);
}

}  // namespace minibox::cli
