// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "render.h"
#include "wire/event.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

// "2026-01-02 03:04:05 container.die 0123abcd (exit_code=0, image=redis)"
std::string EventText(const Event& event) {
  if (event.type == Event::kOverflow) return "overflow: events are missing\n";
  std::vector<std::string> attributes;
  for (const auto& [key, value] : event.attributes) attributes.push_back(StrCat(key, "=", value));
  std::string text = StrCat(TimeText(event.time), " ", event.type);
  if (!event.id.empty()) text += " " + event.id;
  if (!attributes.empty()) text += StrCat(" (", wire::StrJoin(attributes, ", "), ")");
  return wire::EscapeControl(text) + "\n";
}

}  // namespace

int ShowEvents(Session& session, Call call, bool as_json, bool ids_only) {
  call.path = "/events";
  Status failed;
  std::string rest;
  bool overflow = false;
  call.sink = [&](std::string_view bytes) {
    rest += bytes;
    std::string out;
    size_t begin = 0;
    for (size_t end; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string_view line = std::string_view(rest).substr(begin, end - begin);
      const auto event = wire::ParseEventLine(line);
      if (!event.ok()) {
        failed = event.status();
        return false;
      }
      overflow |= event->type == Event::kOverflow;
      if (as_json) {
        out += StrCat(line, "\n");
      } else if (ids_only) {
        out += event->id + "\n";
      } else {
        out += EventText(*event);
      }
    }
    rest.erase(0, begin);
    return Terminal::Print(out);
  };
  const bool answered = session.Ask(call).has_value();
  if (!failed.ok()) return session.Fail(failed);
  return answered && !overflow ? kSuccess : kFailure;
}

void AddEventCommands(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("events", "follow what happens");
  command->footer("Example:\n  minibox events --since 10m --filter type=container");
  struct Flags : ListFlags {
    std::string since, until;
  };
  auto flags = std::make_shared<Flags>();
  flags->AddTo(*command);
  command->add_option("--since", flags->since, "past ones too, from a time or 10m ago on");
  command->add_option("--until", flags->until, "end at a time");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      const auto query = flags->FilterQuery();
      if (!query.ok()) return session.Usage(query.status().message());
      Call call{.query = *query};
      if (!flags->since.empty()) call.query.emplace_back("since", flags->since);
      if (!flags->until.empty()) call.query.emplace_back("until", flags->until);
      return ShowEvents(session, std::move(call), flags->wants_json(), flags->quiet);
    };
  });
}

}  // namespace minibox::cli
