// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "render.h"
#include "wire/json.h"
#include "wire/messages.h"

namespace minibox::cli {

void AddNetworkCommands(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("network", "list and remove networks");
  group->footer("Example:\n  minibox network ls");
  group->require_subcommand(1);

  CLI::App* list = group->add_subcommand("ls", "list networks");
  list->footer("Example:\n  minibox network ls --json");
  auto flags = std::make_shared<ListFlags>();
  flags->AddTo(*list);
  list->callback([&session, flags] {
    session.action = [&session, flags] {
      const auto query = flags->FilterQuery();
      if (!query.ok()) return session.Usage(query.status().message());
      const auto body = session.Fetch("/networks", *query);
      if (!body) return kFailure;
      const auto networks = wire::ParseNetworks(*body);
      if (!networks.ok()) return session.Fail(networks.status());
      if (flags->wants_json()) return session.Print(*wire::Indented(*body));
      std::string names;
      for (const NetworkInfo& network : *networks) names += network.name + "\n";
      return session.Print(flags->quiet ? names : NetworkTable(*networks, session.terminal()));
    };
  });

  CLI::App* remove = group->add_subcommand("rm", "remove networks that no container uses");
  remove->footer("Example:\n  minibox network rm bridge");
  auto names = std::make_shared<std::vector<std::string>>();
  remove->add_option("name", *names, "networks")->required();
  remove->callback([&session, names] {
    session.action = [&session, names] {
      return session.ForEach(*names, "/networks/remove", [](const std::string& name) {
        return Query{{"name", name}};
      });
    };
  });
}

}  // namespace minibox::cli
