// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "commands.h"
#include "minibox/version.h"
#include "wire/text.h"

namespace minibox::cli {

void AddSystemCommands(CLI::App& app, Session& session) {
  CLI::App* ping = app.add_subcommand("ping", "ask whether the daemon runs");
  ping->footer("Example:\n  minibox ping && echo up");
  ping->callback([&session] {
    session.action = [&session] {
      const auto body = session.Fetch("/ping");
      return body ? session.Print(*body + "\n") : kFailure;
    };
  });

  CLI::App* version = app.add_subcommand("version", "print the version of this command");
  version->footer("Example:\n  minibox version");
  version->callback([&session] {
    session.action = [&session] {
      return session.Print(wire::StrCat("minibox ", LibraryVersion(), "\n"));
    };
  });
}

}  // namespace minibox::cli
