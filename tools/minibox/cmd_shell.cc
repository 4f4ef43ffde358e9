// SPDX-License-Identifier: Apache-2.0
// completion and man: what makes the command line at home in a shell.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "completion.h"
#include "man_page.h"
#include "wire/container.h"
#include "wire/image.h"
#include "wire/messages.h"
#include "wire/network.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

// A shell that waits for a daemon is worse than one without names.
constexpr std::chrono::seconds kPatience{2};

std::vector<std::string> LivingNamesOf(Session& session, std::string_view kind) {
  std::vector<std::string> names;
  const auto fetch = [&](const char* path) -> std::string {
    auto reply = session.Send({.path = path, .patience = kPatience});
    return reply.ok() && reply->ok() ? std::move(reply->body) : std::string();
  };
  if (kind == "container") {
    if (const auto all = wire::ParseContainers(fetch("/containers")); all.ok()) {
      for (const ContainerInfo& info : *all) {
        names.push_back(info.name.empty() ? info.id.ToString() : info.name);
      }
    }
  } else if (kind == "image") {
    if (const auto all = wire::ParseImages(fetch("/images")); all.ok()) {
      for (const ImageInfo& info : *all) {
        if (!info.name.empty()) names.push_back(info.name);
      }
    }
  } else if (kind == "volume") {
    if (const auto all = wire::ParseVolumes(fetch("/volumes")); all.ok()) {
      for (const VolumeInfo& info : *all) names.push_back(info.name);
    }
  } else if (kind == "network") {
    if (const auto all = wire::ParseNetworks(fetch("/networks")); all.ok()) {
      for (const NetworkInfo& info : *all) names.push_back(info.name);
    }
  }
  return names;
}

// Names come from where the command that is being typed would ask.
void TakeConnection(const std::vector<std::string>& words, Session& session) {
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "--local") session.local = true;
    if (words[i] == "--host") session.host = words[i + 1];
    if (words[i] == "--data-root") session.data_root = words[i + 1];
  }
}

}  // namespace

void AddShellCommands(CLI::App& app, Session& session) {
  CLI::App* completion =
      app.add_subcommand("completion", "print what bash, zsh or fish read to complete commands");
  completion->footer("Example:\n  source <(minibox completion bash)");
  auto shell = std::make_shared<std::string>();
  completion->add_option("shell", *shell, "bash, zsh or fish")->required();
  completion->callback([&session, shell] {
    session.action = [&session, shell] {
      const std::string script = CompletionScript(*shell);
      if (script.empty()) {
        return session.Usage(
            wire::StrCat("'", wire::EscapeControl(*shell), "' is not bash, zsh or fish"));
      }
      return session.Print(script);
    };
  });

  CLI::App* man = app.add_subcommand("man", "print the manual page");
  man->footer("Example:\n  minibox man | man -l -");
  man->callback([&app, &session] {
    session.action = [&app, &session] { return session.Print(ManPage(app)); };
  });

  // What the scripts call; no help shows it.
  CLI::App* complete = app.add_subcommand("__complete", "candidates for the last word");
  complete->group("");
  complete->prefix_command();
  complete->set_help_flag();
  complete->callback([&app, &session, complete] {
    session.action = [&app, &session, words = complete->remaining()] {
      TakeConnection(words, session);
      std::string text;
      for (const std::string& candidate : Candidates(
               app, words, [&](std::string_view kind) { return LivingNamesOf(session, kind); })) {
        text += candidate + "\n";
      }
      return session.Print(text);
    };
  });
}

}  // namespace minibox::cli
