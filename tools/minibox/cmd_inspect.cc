// SPDX-License-Identifier: Apache-2.0
// inspect, of whatever has the name, and the history of an image.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "commands.h"
#include "render.h"
#include "wire/json.h"
#include "wire/store_reports.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr size_t kShortDigest = 12;
constexpr size_t kCreatedByWidth = 60;

struct Kind {
  const char *name, *path, *parameter;
};
constexpr Kind kKinds[] = {{"container", "/containers/inspect", "id"},
                           {"image", "/images/inspect", "image"},
                           {"volume", "/volumes/inspect", "name"},
                           {"network", "/networks/inspect", "name"}};

// The first kind that knows the name. nullopt: an error has been shown.
std::optional<std::string> Describe(Session& session, const std::string& name,
                                    const std::string& type, bool size) {
  std::string ambiguous;
  for (const Kind& kind : kKinds) {
    if (!type.empty() && type != kind.name) continue;
    Query query = {{kind.parameter, name}};
    if (size && kind.path == kKinds[0].path) query.emplace_back("size", "1");
    const auto reply = session.Send({.path = kind.path, .query = std::move(query)});
    if (!reply.ok()) {
      session.terminal().Error(reply.status().message());
      return std::nullopt;
    }
    if (reply->ok()) return reply->body;
    // 400: the name cannot be one of this kind.
    const bool other = reply->status == 404 || reply->status == 405 || reply->status == 400;
    if (other && type.empty()) continue;
    if (reply->status == 409 && type.empty()) {
      if (ambiguous.empty()) ambiguous = reply->body;
      continue;
    }
    session.terminal().Error(reply->body);
    return std::nullopt;
  }
  session.terminal().Error(!ambiguous.empty()
                               ? ambiguous
                               : StrCat("no such container, image, volume or network: ", name));
  return std::nullopt;
}

void AddInspect(CLI::App& app, Session& session) {
  CLI::App* command =
      app.add_subcommand("inspect", "show containers, images, volumes or networks as JSON");
  command->footer("Example:\n  minibox inspect --format '{{.Digest}}' site");
  struct Flags : FormatFlags {
    std::vector<std::string> names;
    std::string type;
    bool size = false;
  };
  auto flags = std::make_shared<Flags>();
  flags->AddTo(*command);
  command->add_flag("-s,--size", flags->size, "of a container: with the size of its own changes");
  command->add_option("--type", flags->type, "container, image, volume or network")
      ->check(CLI::IsMember({"container", "image", "volume", "network"}));
  command->add_option("name", flags->names, "names or ids")->required();
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      int status = kSuccess;
      for (const std::string& name : flags->names) {
        const auto body = Describe(session, name, flags->type, flags->size);
        if (!body) {
          status = kFailure;
        } else if (flags->wants_template()) {
          status = std::max(status, session.PrintRows(flags->format, StrCat("[", *body, "]")));
        } else {
          const auto text = wire::Indented(*body);
          status = std::max(status, session.Print(text.ok() ? *text : *body));
        }
      }
      return status;
    };
  });
}

std::string HistoryTable(const std::vector<ImageHistory>& history, const Terminal& terminal) {
  Table table({"LAYER", "CREATED", "CREATED BY", "SIZE", "COMMENT"});
  for (const ImageHistory& step : history) {
    const auto digest = Digest::Parse(step.digest);
    const auto created = wire::ParseTime(step.created);
    table.Add({digest.ok() ? std::string(digest->hex().substr(0, kShortDigest)) : "-",
               created.ok() ? TimeText(*created) : "-", Shortened(step.created_by, kCreatedByWidth),
               SizeText(step.size), step.comment});
  }
  return table.Text(terminal);
}

void AddHistory(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("history", "show how an image was made");
  command->footer("Example:\n  minibox history site");
  struct Flags : FormatFlags {
    std::string image;
    bool quiet = false;
  };
  auto flags = std::make_shared<Flags>();
  flags->AddTo(*command);
  command->add_flag("-q,--quiet", flags->quiet, "digests of layers only");
  command->add_option("image", flags->image, "name or id")->required();
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      const auto body = session.Fetch("/images/history", {{"image", flags->image}});
      if (!body) return kFailure;
      const auto history = wire::ParseHistory(*body);
      if (!history.ok()) return session.Fail(history.status());
      if (flags->wants_json()) return session.Print(*wire::Indented(*body));
      if (flags->wants_template()) return session.PrintRows(flags->format, *body);
      if (!flags->quiet) return session.Print(HistoryTable(*history, session.terminal()));
      std::string digests;
      for (const ImageHistory& step : *history) {
        if (!step.digest.empty()) digests += step.digest + "\n";
      }
      return session.Print(digests);
    };
  });
}

}  // namespace

void AddInspectCommands(CLI::App& app, Session& session) {
  AddInspect(app, session);
  AddHistory(app, session);
}

}  // namespace minibox::cli
