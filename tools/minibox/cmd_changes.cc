// SPDX-License-Identifier: Apache-2.0
// What a container has made of its image: diff, commit, export.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "commands.h"
#include "wire/changes.h"
#include "wire/image.h"
#include "wire/json.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

void AddDiff(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("diff", "list what a container has changed of its image");
  command->footer("Example:\n  minibox diff web");
  auto id = std::make_shared<std::string>();
  command->add_option("container", *id, "id, name or beginning of an id")->required();
  command->callback([&session, id] {
    session.action = [&session, id] {
      const auto body = session.Fetch("/containers/diff", {{"id", *id}});
      if (!body) return kFailure;
      const auto changes = wire::ParseChanges(*body);
      if (!changes.ok()) return session.Fail(changes.status());
      std::string text;
      for (const FileChange& change : *changes) {
        text += StrCat(wire::KindLetter(change.kind), " ", wire::EscapeControl(change.path), "\n");
      }
      return session.Print(text);
    };
  });
}

void AddCommit(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("commit", "make an image of a container's changes");
  command->footer("Example:\n  minibox commit -c 'CMD [\"serve\"]' web web:2");
  struct Flags {
    std::string id, image, message, author;
    std::vector<std::string> changes;
    bool no_pause = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("container", flags->id, "id, name or beginning of an id")->required();
  command->add_option("name", flags->image, "name of the new image")->required();
  command->add_option("-m,--message", flags->message, "comment of its history");
  command->add_option("-a,--author", flags->author, "who made it");
  command->add_option("-c,--change", flags->changes, "instruction that changes the config")
      ->allow_extra_args(false);
  command->add_flag("--no-pause", flags->no_pause, "let the container run meanwhile");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      wire::JsonWriter writer;
      writer.BeginObject().Key("changes").StringArray(flags->changes).EndObject();
      Call call{.method = "POST",
                .path = "/containers/commit",
                .query = {{"id", flags->id}, {"image", flags->image}},
                .body = writer.Take(),
                .patience = std::nullopt};
      if (!flags->message.empty()) call.query.emplace_back("message", flags->message);
      if (!flags->author.empty()) call.query.emplace_back("author", flags->author);
      if (flags->no_pause) call.query.emplace_back("pause", "0");
      const auto reply = session.Ask(call);
      if (!reply) return kFailure;
      const auto image = wire::ParseImage(reply->body);
      if (!image.ok()) return session.Fail(image.status());
      return session.Print(image->id.ToString() + "\n");
    };
  });
}

void AddExport(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("export", "write a container's file system as a tar");
  command->footer("Example:\n  minibox export -o web.tar web");
  struct Flags {
    std::string id, output;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("container", flags->id, "id, name or beginning of an id")->required();
  command->add_option("-o,--output", flags->output, "file instead of stdout");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      if (flags->output.empty() && isatty(STDOUT_FILENO) != 0) {
        return session.Usage("a tar is not for a terminal: give -o FILE");
      }
      int fd = STDOUT_FILENO;
      if (!flags->output.empty()) {
        fd = open(flags->output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0) {
          session.terminal().Error(StrCat(flags->output, ": ", strerror(errno)));
          return kFailure;
        }
      }
      bool written = true;
      Call call{
          .path = "/containers/export", .query = {{"id", flags->id}}, .patience = std::nullopt};
      call.sink = [&](std::string_view bytes) {
        while (!bytes.empty()) {
          const ssize_t n = write(fd, bytes.data(), bytes.size());
          if (n < 0 && errno == EINTR) continue;
          if (n < 0) return written = false;
          bytes.remove_prefix(static_cast<size_t>(n));
        }
        return true;
      };
      const bool answered = session.Ask(call).has_value();
      if (fd != STDOUT_FILENO && close(fd) != 0) written = false;
      if (!written) session.terminal().Error("cannot write the output");
      if ((!answered || !written) && !flags->output.empty()) (void)unlink(flags->output.c_str());
      return answered && written ? kSuccess : kFailure;
    };
  });
}

}  // namespace

void AddChangeCommands(CLI::App& app, Session& session) {
  AddDiff(app, session);
  AddCommit(app, session);
  AddExport(app, session);
}

}  // namespace minibox::cli
