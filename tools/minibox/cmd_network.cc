// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "render.h"
#include "run_flags.h"
#include "wire/json.h"
#include "wire/network.h"

namespace minibox::cli {

namespace {

void AddList(CLI::App& group, Session& session) {
  CLI::App* list = group.add_subcommand("ls", "list networks");
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
      if (flags->wants_template()) return session.PrintRows(flags->format, *body);
      std::string names;
      for (const NetworkInfo& network : *networks) names += network.name + "\n";
      return session.Print(flags->quiet ? names : NetworkTable(*networks, session.terminal()));
    };
  });
}

void AddCreate(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("create", "create a network");
  command->footer("Example:\n  minibox network create --subnet 10.9.0.0/24 back");
  struct Flags {
    NetworkSpec spec;
    bool no_dns = false;
    std::vector<std::string> labels;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("name", flags->spec.name, "name")->required();
  command->add_option("--subnet", flags->spec.subnet, "a.b.c.d/n; default: the next free /24");
  command->add_option("--gateway", flags->spec.gateway, "the host's address on it");
  command->add_option("--subnet6", flags->spec.subnet6, "<IPv6 address>/n; default: none");
  command->add_flag("--internal", flags->spec.internal, "no way out");
  command->add_flag("--no-dns", flags->no_dns, "no name server");
  command->add_option("--mtu", flags->spec.mtu, "68-65535; default: that of the default route");
  command->add_option("-l,--label", flags->labels, "key=value")->allow_extra_args(false);
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      const Status pairs = AddPairs(flags->labels, "--label", &flags->spec.labels);
      if (!pairs.ok()) return session.Usage(pairs.message());
      flags->spec.dns = !flags->no_dns;
      const auto reply = session.Ask(
          {.method = "POST", .path = "/networks/create", .body = wire::ToJson(flags->spec)});
      if (!reply) return kFailure;
      const auto network = wire::ParseNetwork(reply->body);
      if (!network.ok()) return session.Fail(network.status());
      return session.Print(network->name + "\n");
    };
  });
}

void AddInspect(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("inspect", "show networks as JSON");
  command->footer("Example:\n  minibox network inspect bridge");
  auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("name", *names, "networks")->required();
  command->callback([&session, names] {
    session.action = [&session, names] {
      int status = kSuccess;
      for (const std::string& name : *names) {
        const auto body = session.Fetch("/networks/inspect", {{"name", name}});
        const auto text = wire::Indented(body.value_or("null"));
        if (!body || session.Print(text.ok() ? *text : *body) != kSuccess) status = kFailure;
      }
      return status;
    };
  });
}

void AddRemove(CLI::App& group, Session& session) {
  CLI::App* remove = group.add_subcommand("rm", "remove networks that no container uses");
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

}  // namespace

void AddNetworkCommands(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("network", "list, create and remove networks");
  group->footer("Example:\n  minibox network ls");
  group->require_subcommand(1);
  AddList(*group, session);
  AddCreate(*group, session);
  AddInspect(*group, session);
  AddRemove(*group, session);
}

}  // namespace minibox::cli
