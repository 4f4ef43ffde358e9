// SPDX-License-Identifier: Apache-2.0
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

// The images as JSON, with the columns of the table besides.
std::string ImageRows(const std::vector<ImageInfo>& images) {
  std::string rows = "[";
  for (const ImageInfo& image : images) {
    const auto [repository, tag] = RepositoryAndTag(image.name);
    wire::JsonWriter columns;
    columns.BeginObject().Key("repository").String(repository).Key("tag").String(tag).EndObject();
    std::string more = columns.Take();
    more.back() = ',';
    rows += (rows.size() > 1 ? "," : "") + more + wire::ToJson(image).substr(1);
  }
  return rows + "]";
}

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
      if (flags->wants_template()) return session.PrintRows(flags->format, ImageRows(*images));
      std::string ids;
      for (const ImageInfo& image : *images) ids += image.id.ToString() + "\n";
      return session.Print(flags->quiet ? ids : ImageTable(*images, session.terminal()));
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
  AddRemove(app, session);
  AddTag(app, session);
}

}  // namespace minibox::cli
