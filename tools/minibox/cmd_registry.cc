// SPDX-License-Identifier: Apache-2.0
// pull, push, login, logout.
#include <termios.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>

#include "commands.h"
#include "minibox/registry.h"
#include "transfer.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr char kDefaultRegistry[] = "docker.io";
constexpr size_t kMaxPassword = 64u << 10;

void AddPull(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("pull", "fetch images from their registries");
  command->footer("Example:\n  minibox pull alpine:3 registry.example:5000/team/app");
  struct Flags {
    std::vector<std::string> images;
    std::string platform;
    bool lazy = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("image", flags->images, "references")->required();
  command->add_option("--platform", flags->platform, "os/arch[/variant] (default: the host's)");
  command->add_flag("--lazy", flags->lazy, "start before everything is here");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      int status = kSuccess;
      for (const std::string& image : flags->images) {
        Query query = {{"image", image}};
        if (!flags->platform.empty()) query.emplace_back("platform", flags->platform);
        if (flags->lazy) query.emplace_back("lazy", "1");
        const int result = Transfer(session, {.path = "/images/pull",
                                              .operation = "pull",
                                              .query = std::move(query),
                                              .image = image});
        if (result != kSuccess) status = result;
      }
      return status;
    };
  });
}

void AddPush(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("push", "send an image to a registry");
  command->footer("Example:\n  minibox push site registry.example:5000/team/site:v2");
  struct Flags {
    std::string image, as;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("image", flags->image, "name or id")->required();
  command->add_option("as", flags->as, "the name there (default: the same)");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      Query query = {{"image", flags->image}};
      if (!flags->as.empty()) query.emplace_back("as", flags->as);
      return Transfer(session, {.path = "/images/push",
                                .operation = "push",
                                .query = std::move(query),
                                .image = flags->as.empty() ? flags->image : flags->as});
    };
  });
}

// A line from stdin, unseen if that is a terminal. nullopt at its end.
std::optional<std::string> Prompt(const char* question, bool hidden) {
  termios before{};
  const bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
  if (terminal) fputs(question, stderr);
  if (terminal && hidden) {
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  std::string line;
  const bool read = static_cast<bool>(std::getline(std::cin, line));
  if (terminal && hidden) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputs("\n", stderr);
  }
  if (!read) return std::nullopt;
  return line;
}

std::string ReadAllOfStdin() {
  std::string text;
  char buffer[4096];
  while (text.size() <= kMaxPassword) {
    const ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
    if (count <= 0) break;
    text.append(buffer, static_cast<size_t>(count));
  }
  // As `echo` writes it.
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

// What of the registry settings concerns a client.
RegistryOptions OptionsFromEnvironment() {
  const auto get = [](const char* name) {
    const char* value = getenv(name);
    return value == nullptr ? std::string() : std::string(wire::TrimSpace(value));
  };
  RegistryOptions options;
  const std::string insecure = get("MINIBOX_REGISTRY_INSECURE");
  for (const std::string_view host : wire::StrSplit(insecure, ',')) {
    if (!wire::TrimSpace(host).empty()) options.insecure.emplace_back(wire::TrimSpace(host));
  }
  options.https_proxy = get("HTTPS_PROXY");
  options.http_proxy = get("HTTP_PROXY");
  options.no_proxy = get("NO_PROXY");
  options.ca_file = get("SSL_CERT_FILE");
  return options;
}

struct LoginFlags {
  std::string registry = kDefaultRegistry;
  std::string username, password;
  bool password_stdin = false;
};

int Login(Session& session, const LoginFlags& flags) {
  const auto file = AuthFile();
  if (file.empty()) return session.Usage("neither MINIBOX_AUTH_FILE nor HOME is set");
  Credentials credentials{.username = flags.username, .password = flags.password};
  if (credentials.username.empty()) {
    if (flags.password_stdin) return session.Usage("--password-stdin needs --username");
    credentials.username = Prompt("Username: ", /*hidden=*/false).value_or("");
  }
  if (flags.password_stdin) {
    credentials.password = ReadAllOfStdin();
  } else if (credentials.password.empty()) {
    credentials.password = Prompt("Password: ", /*hidden=*/true).value_or("");
  }
  if (credentials.username.empty() || credentials.password.empty()) {
    return session.Usage("a user name and a password are needed");
  }
  if (credentials.username.find(':') != std::string::npos) {
    return session.Usage("a user name holds no ':'");
  }
  const Status accepted =
      Registry::CheckCredentials(flags.registry, credentials, OptionsFromEnvironment());
  if (!accepted.ok()) return session.Fail(accepted);
  const Status saved = SaveCredentials(file, flags.registry, credentials);
  if (!saved.ok()) return session.Fail(saved);
  session.terminal().Success(StrCat("Logged in to ", flags.registry));
  return kSuccess;
}

void AddLogin(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("login", "store credentials for a registry");
  command->footer(
      "Example:\n  minibox login registry.example:5000\n"
      "  minibox login -u me --password-stdin registry.example <token");
  auto flags = std::make_shared<LoginFlags>();
  command->add_option("registry", flags->registry, "host[:port] (default docker.io)");
  command->add_option("-u,--username", flags->username, "user name (default: asked for)");
  CLI::Option* password =
      command->add_option("-p,--password", flags->password, "password (default: asked for)");
  command->add_flag("--password-stdin", flags->password_stdin, "read the password from stdin")
      ->excludes(password);
  command->callback(
      [&session, flags] { session.action = [&session, flags] { return Login(session, *flags); }; });
}

void AddLogout(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("logout", "forget the credentials for a registry");
  command->footer("Example:\n  minibox logout registry.example:5000");
  auto registry = std::make_shared<std::string>(kDefaultRegistry);
  command->add_option("registry", *registry, "host[:port] (default docker.io)");
  command->callback([&session, registry] {
    session.action = [&session, registry] {
      const auto removed = RemoveCredentials(AuthFile(), *registry);
      if (!removed.ok()) return session.Fail(removed.status());
      session.terminal().Success(*removed ? StrCat("Logged out of ", *registry)
                                          : StrCat("Not logged in to ", *registry));
      return kSuccess;
    };
  });
}

}  // namespace

void AddRegistryCommands(CLI::App& app, Session& session) {
  AddPull(app, session);
  AddPush(app, session);
  AddLogin(app, session);
  AddLogout(app, session);
}

}  // namespace minibox::cli
