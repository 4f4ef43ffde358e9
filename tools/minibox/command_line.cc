// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "commands.h"
#include "minibox/version.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr int kMaxTypos = 2;
constexpr size_t kHelpColumn = 34;

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

// The first argument that is no option and no option's value.
std::vector<std::string>::const_iterator FindCommand(const std::vector<std::string>& arguments) {
  for (auto it = arguments.begin(); it != arguments.end(); ++it) {
    if (*it == "--host" || *it == "--data-root") {
      if (++it == arguments.end()) break;
    } else if (!it->starts_with('-')) {
      return it;
    }
  }
  return arguments.end();
}

// The message for a command that there is not, or "".
std::string UnknownCommand(const CLI::App& app, const std::vector<std::string>& arguments) {
  auto word = FindCommand(arguments);
  if (word == arguments.end()) return "";
  const CLI::App* parent = &app;
  std::string prefix;
  while (true) {
    const std::vector<std::string> names = CommandNames(*parent);
    if (names.empty()) return "";
    if (std::find(names.begin(), names.end(), *word) == names.end()) {
      const std::string nearest = Nearest(*word, names);
      const std::string hint = nearest.empty() ? StrCat("; see 'minibox ", prefix, "--help'")
                                               : StrCat(" (did you mean '", prefix, nearest, "'?)");
      return StrCat("unknown command '", prefix, wire::EscapeControl(*word), "'", hint);
    }
    parent = parent->get_subcommand(*word);
    prefix += *word + " ";
    if (++word == arguments.end() || word->starts_with('-')) return "";
  }
}

// Names the arguments of run and create, which CLI11 does not know since it leaves them alone.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string usage = CLI::Formatter::make_usage(app, std::move(name));
    if (app->get_prefix_command()) {
      const bool in_compose =
          app->get_parent() != nullptr && app->get_parent()->get_name() == "compose";
      usage.insert(usage.find_last_not_of('\n') + 1, in_compose                  ? kServiceArguments
                                                     : app->get_name() == "exec" ? kExecArguments
                                                                                 : kArguments);
    }
    return usage;
  }

 private:
  static constexpr const char* kArguments = " IMAGE [COMMAND...]";
  static constexpr const char* kServiceArguments = " SERVICE [COMMAND...]";
  static constexpr const char* kExecArguments = " CONTAINER [COMMAND...]";
};

void AddHelpCommand(CLI::App& app, Session& session) {
  CLI::App* help = app.add_subcommand("help", "explain a command");
  help->footer("Example:\n  minibox help run");
  auto words = std::make_shared<std::vector<std::string>>();
  help->add_option("command", *words, "the command");
  help->callback([&app, &session, words] {
    session.action = [&app, &session, words] {
      const CLI::App* command = &app;
      std::string parents;
      for (const std::string& word : *words) {
        const std::vector<std::string> names = CommandNames(*command);
        if (std::find(names.begin(), names.end(), word) == names.end()) {
          return session.Usage(StrCat("unknown command '", wire::EscapeControl(word), "'"));
        }
        parents += (parents.empty() ? "" : " ") + command->get_name();
        command = command->get_subcommand(word);
      }
      return session.Print(command->help(parents));
    };
  });
}

}  // namespace

std::string Nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string nearest;
  int best = kMaxTypos + 1;
  for (const std::string& candidate : candidates) {
    const int distance = wire::EditDistance(word, candidate, kMaxTypos + 1);
    // Of a word of two letters nearly everything is two typos away.
    if (distance < best && distance < static_cast<int>(candidate.size())) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

int RunCommandLine(std::vector<std::string> arguments, Terminal terminal) {
  Session session(terminal);
  CLI::App app(StrCat("MiniBox ", LibraryVersion(), ": builds images and runs containers."),
               "minibox");
  const auto formatter = std::make_shared<HelpFormatter>();
  formatter->column_width(kHelpColumn);
  app.formatter(formatter);
  app.require_subcommand(0, 1);
  app.add_option("--host", session.host,
                 "the daemon: http://host:port, https://… or unix:///path\n"
                 "(default: $MINIBOX_API, else http://127.0.0.1:8080)");
  app.add_flag("--local", session.local,
               "work on the data root in this process instead of asking a daemon (root)");
  app.add_option("--data-root", session.data_root,
                 "with --local: where images, containers and volumes live\n"
                 "(default: $MINIBOX_DATA_ROOT, else /var/lib/minibox)");
  app.add_flag("--debug", session.debug, "show requests, and what the engine logs with --local");
  bool version = false;
  app.add_flag("--version", version, "print the version and exit");
  app.footer(
      "Example:\n  minibox build -t site . && minibox run -d -p 8080:80 site\n\n"
      "'minibox help COMMAND' explains a command.");
  AddRunCommands(app, session);
  AddLifecycleCommands(app, session);
  AddChangeCommands(app, session);
  AddCopyCommand(app, session);
  AddContainerCommands(app, session);
  AddExecCommands(app, session);
  AddDatabaseCommands(app, session);
  AddEventCommands(app, session);
  AddBuildCommand(app, session);
  AddComposeCommands(app, session);
  AddImageCommands(app, session);
  AddRegistryCommands(app, session);
  AddImageArchiveCommands(app, session);
  AddInspectCommands(app, session);
  AddVolumeCommands(app, session);
  AddNetworkCommands(app, session);
  AddObserveCommands(app, session);
  AddSystemCommands(app, session);
  AddStoreCommands(app, session);
  AddShellCommands(app, session);
  AddHelpCommand(app, session);
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    // For run and create options end at the image, also those of minibox itself.
    const std::string& name = command->get_name();
    const bool ends_options =
        name == "run" || name == "create" || name == "exec" || name == "__complete";
    if (!ends_options) command->fallthrough();
  }

  if (const std::string unknown = UnknownCommand(app, arguments); !unknown.empty()) {
    return session.Usage(unknown);
  }
  std::reverse(arguments.begin(), arguments.end());  // what CLI11 wants
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return session.Print(app.help());
  } catch (const CLI::ParseError& error) {
    return session.Usage(error.what());
  }
  if (session.local && !session.host.empty()) {
    return session.Usage("--local: not together with --host");
  }
  if (!session.local && app.count("--data-root") > 0) {
    return session.Usage("--data-root: only with --local; a daemon has its own");
  }
  if (!session.host.empty()) {
    const auto client = Client::ForHost(session.host, "");
    if (!client.ok()) return session.Usage("--host: " + client.status().message());
  }
  if (version) return session.Print(StrCat("minibox ", LibraryVersion(), "\n"));
  const int status = session.action ? session.action() : session.Print(app.help());
  session.Close(status);
  return status;
}

}  // namespace minibox::cli
