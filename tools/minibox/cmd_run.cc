// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "run_container.h"
#include "run_flags.h"

namespace minibox::cli {

void AddRunCommands(CLI::App& app, Session& session) {
  for (const bool run : {true, false}) {
    CLI::App* command =
        app.add_subcommand(run ? "run" : "create", run ? "create a container and run it"
                                                       : "create a container without running it");
    command->footer(
        run ? "Options end at the image; what follows is the command.\n\n"
              "Exits with the container's status; 125: the engine failed, 126: the\n"
              "command cannot be executed, 127: it was not found.\n\n"
              "Example:\n  minibox run -d --name web -p 8080:80 -v data:/srv site httpd -f"
            : "Example:\n  minibox create --name web -p 8080:80 site");
    auto flags = std::make_shared<RunFlags>();
    flags->AddTo(*command, run);
    command->callback([&session, flags, command, run] {
      session.action = [&session, flags, run, arguments = command->remaining()] {
        const auto request = flags->Request(arguments);
        if (!request.ok()) return session.Usage(request.status().message());
        if (!ProvideImage(session, *flags, *request)) return kEngineFailure;
        return run ? RunContainer(session, *flags, *request)
                   : CreateContainer(session, *flags, *request);
      };
    });
  }
}

}  // namespace minibox::cli
