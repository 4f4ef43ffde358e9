// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "render.h"
#include "wire/image.h"
#include "wire/json.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

void AddList(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("images", "list images");
  command->footer("Example:\n  minibox images --filter label=app=web");
  struct Flags : ListFlags {
    std::string name;
  };
  auto flags = std::make_shared<Flags>();
  flags->AddTo(*command);
  command->add_option("name", flags->name, "only this image");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      auto query = flags->FilterQuery();
      if (!query.ok()) return session.Usage(query.status().message());
      if (!flags->name.empty()) query->emplace_back("name", flags->name);
      const auto body = session.Fetch("/images", *query);
      if (!body) return kFailure;
      const auto images = wire::ParseImages(*body);
      if (!images.ok()) return session.Fail(images.status());
      if (flags->wants_json()) return session.Print(*wire::Indented(*body));
      std::string ids;
      for (const ImageInfo& image : *images) ids += image.id.ToString() + "\n";
      return session.Print(flags->quiet ? ids : ImageTable(*images, session.terminal()));
    };
  });
}

int Load(Session& session, const std::string& path) {
  const bool from_stdin = path.empty() || path == "-";
  if (from_stdin && isatty(STDIN_FILENO)) return session.Usage("no file, and stdin is a terminal");
  const int fd = from_stdin ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    session.terminal().Error(StrCat("cannot open '", path, "'"));
    return kFailure;
  }
  const auto reply = session.Ask(
      {.method = "POST", .path = "/images/archive", .upload_fd = fd, .patience = std::nullopt});
  if (!from_stdin) close(fd);
  return reply ? session.Print(reply->body) : kFailure;
}

void AddLoad(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("load", "load images from an archive");
  command->footer("Example:\n  minibox load site.tar\n  gunzip -c site.tar.gz | minibox load");
  struct Flags {
    std::string input, file;
  };
  auto flags = std::make_shared<Flags>();
  CLI::Option* input = command->add_option("-i,--input", flags->input, "the archive");
  command->add_option("file", flags->file, "the archive (default: stdin)")->excludes(input);
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      return Load(session, flags->input.empty() ? flags->file : flags->input);
    };
  });
}

void AddRemove(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("rmi", "remove images");
  command->footer("Example:\n  minibox rmi site:old");
  struct Flags {
    std::vector<std::string> images;
    bool force = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("image", flags->images, "names or ids")->required();
  command->add_flag("-f,--force", flags->force, "also if containers use them");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      return session.ForEach(flags->images, "/images/remove", [&](const std::string& image) {
        Query query = {{"image", image}};
        if (flags->force) query.emplace_back("force", "1");
        return query;
      });
    };
  });
}

void AddTag(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("tag", "give an image another name");
  command->footer("Example:\n  minibox tag site site:v2");
  struct Flags {
    std::string source, name;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("image", flags->source, "name or id")->required();
  command->add_option("name", flags->name, "the further name")->required();
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      return session.ForEach({flags->source}, "/images/tag", [&](const std::string& image) {
        return Query{{"image", image}, {"tag", flags->name}};
      });
    };
  });
}

}  // namespace

void AddImageCommands(CLI::App& app, Session& session) {
  AddList(app, session);
  AddLoad(app, session);
  AddRemove(app, session);
  AddTag(app, session);
}

}  // namespace minibox::cli
