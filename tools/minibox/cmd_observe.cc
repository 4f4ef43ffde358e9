// SPDX-License-Identifier: Apache-2.0
// What one sees of containers: stats, top, port.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>

#include "commands.h"
#include "render.h"
#include "wire/container.h"
#include "wire/json.h"
#include "wire/stats.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr size_t kBarCells = 20;
constexpr double kYellowAbove = 50, kRedAbove = 80;
constexpr std::string_view kUnlimited = "Unlimited";

std::string Percent(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.2f%%", value);
  return text;
}

std::string Pair(uint64_t a, uint64_t b) { return StrCat(SizeText(a), " / ", SizeText(b)); }

double MemoryPercent(const ContainerStats& stats) {
  if (stats.memory_limit == 0) return 0;
  return 100.0 * static_cast<double>(stats.memory_usage) / static_cast<double>(stats.memory_limit);
}

// "█████░░░░░░░░░░░░░░░ 25.00%"; without terminal the number alone.
Table::Cell Bar(double percent, const Terminal& terminal) {
  if (!terminal.is_live()) return Percent(percent);
  const double filled = std::clamp(percent, 0.0, 100.0) / 100 * kBarCells;
  std::string text;
  for (size_t i = 0; i < kBarCells; ++i) {
    text += static_cast<double>(i) + 0.5 <= filled ? "█" : "░";
  }
  const Colour colour = percent > kRedAbove      ? Colour::kRed
                        : percent > kYellowAbove ? Colour::kYellow
                                                 : Colour::kGreen;
  return {StrCat(text, " ", Percent(percent)), colour};
}

std::string StatsTable(const std::vector<ContainerStats>& all, const Terminal& terminal) {
  Table table({"CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O",
               "BLOCK I/O", "PIDS"},
              /*gap=*/2);
  for (const ContainerStats& stats : all) {
    const std::string limit =
        stats.memory_limit == 0 ? std::string(kUnlimited) : SizeText(stats.memory_limit);
    table.Add({stats.id.ToString(), stats.name.empty() ? "-" : stats.name,
               Bar(stats.cpu_percent, terminal), StrCat(SizeText(stats.memory_usage), " / ", limit),
               stats.memory_limit == 0 ? Table::Cell("-") : Bar(MemoryPercent(stats), terminal),
               Pair(stats.net_input, stats.net_output), Pair(stats.block_input, stats.block_output),
               std::to_string(stats.pids)});
  }
  return table.Text(terminal);
}

struct StatsFlags : ListFlags {
  std::vector<std::string> ids;
  bool no_stream = false;
};

// Names as ids, so that they can be picked from all.
std::optional<std::set<ContainerId>> ResolveIds(Session& session,
                                                const std::vector<std::string>& names) {
  std::set<ContainerId> ids;
  for (const std::string& name : names) {
    const auto body = session.Fetch("/containers/inspect", {{"id", name}});
    if (!body) return std::nullopt;
    const auto info = wire::ParseContainer(*body);
    if (!info.ok()) {
      session.Fail(info.status());
      return std::nullopt;
    }
    if (info->state != ContainerState::kRunning && info->state != ContainerState::kPaused) {
      session.terminal().Error(StrCat("container ", name, " is not running"));
      return std::nullopt;
    }
    ids.insert(info->id);
  }
  return ids;
}

int ShowStats(Session& session, const StatsFlags& flags) {
  const auto ids = ResolveIds(session, flags.ids);
  if (!ids) return kFailure;
  const bool live = session.terminal().is_live() && !flags.no_stream && !flags.wants_json();
  const auto show = [&](std::string_view line) -> Status {
    auto all = wire::ParseStatsList(line);
    if (!all.ok()) return all.status();
    if (!ids->empty()) {
      std::erase_if(*all, [&](const ContainerStats& stats) { return !ids->contains(stats.id); });
    }
    std::string text;
    if (flags.wants_json()) {
      text = wire::ToJson(*all) + "\n";
      if (flags.no_stream) {
        auto indented = wire::Indented(text);
        if (indented.ok()) text = *indented;
      }
    } else if (flags.quiet) {
      for (const ContainerStats& stats : *all) text += stats.id.ToString() + "\n";
    } else {
      // From the upper left corner; what was there before is cleared.
      text = StrCat(live ? "\x1b[H\x1b[J" : "", StatsTable(*all, session.terminal()));
    }
    return session.Print(text) == kSuccess ? Status()
                                           : Status(StatusCode::kUnavailable, "no output");
  };
  if (flags.no_stream) {
    const auto body = session.Fetch("/containers/stats", {{"all", "1"}});
    if (!body) return kFailure;
    const Status shown = show(*body);
    return shown.ok() ? kSuccess : session.Fail(shown);
  }
  Call call{.path = "/containers/stats", .query = {{"all", "1"}, {"stream", "1"}}};
  Status shown;
  std::string rest;
  if (live) session.Print("\x1b[2J");
  call.sink = [&](std::string_view bytes) {
    rest += bytes;
    size_t begin = 0;
    for (size_t end; shown.ok() && (end = rest.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      shown = show(std::string_view(rest).substr(begin, end - begin));
    }
    rest.erase(0, begin);
    return shown.ok();
  };
  const bool answered = session.Ask(call).has_value();
  if (!shown.ok()) return session.Fail(shown);
  return answered ? kSuccess : kFailure;
}

void AddStats(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("stats", "show what running containers use");
  command->footer("Example:\n  minibox stats --no-stream");
  auto flags = std::make_shared<StatsFlags>();
  flags->AddTo(*command);
  command->add_option("container", flags->ids, "ids, names or beginnings of ids; default all");
  command->add_flag("--no-stream", flags->no_stream, "once instead of every second");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return ShowStats(session, *flags); };
  });
}

void AddTop(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("top", "list the processes of a container");
  command->footer("Example:\n  minibox top web");
  auto id = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command->add_option("container", *id, "id, name or beginning of an id")->required();
  command->add_flag("--json", *json, "as JSON");
  command->callback([&session, id, json] {
    session.action = [&session, id, json] { return ShowTop(session, *id, *json); };
  });
}

void AddPort(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("port", "list the published ports of a container");
  command->footer("Example:\n  minibox port web");
  auto id = std::make_shared<std::string>();
  command->add_option("container", *id, "id, name or beginning of an id")->required();
  command->callback([&session, id] {
    session.action = [&session, id] {
      const auto body = session.Fetch("/containers/inspect", {{"id", *id}});
      if (!body) return kFailure;
      const auto info = wire::ParseContainer(*body);
      if (!info.ok()) return session.Fail(info.status());
      std::vector<PortMapping> ports = info->ports;
      std::stable_sort(ports.begin(), ports.end(), [](const auto& a, const auto& b) {
        return a.container_port < b.container_port;
      });
      std::string text;
      for (const PortMapping& port : ports) {
        const bool v6 = port.host_ip.find(':') != std::string::npos;
        const std::string address = port.host_ip.empty() ? "0.0.0.0" : port.host_ip;
        text += StrCat(port.container_port,
                       port.protocol == PortMapping::Protocol::kUdp ? "/udp" : "/tcp", " -> ",
                       v6 ? "[" : "", address, v6 ? "]" : "", ":", port.host_port, "\n");
      }
      return session.Print(text);
    };
  });
}

}  // namespace

int ShowTop(Session& session, const std::string& id, bool as_json) {
  const auto body = session.Fetch("/containers/top", {{"id", id}});
  if (!body) return kFailure;
  if (as_json) {
    const auto text = wire::Indented(*body);
    return text.ok() ? session.Print(*text) : session.Fail(text.status());
  }
  const auto processes = wire::ParseProcesses(*body);
  if (!processes.ok()) return session.Fail(processes.status());
  Table table({"PID", "CONTAINER PID", "USER", "CPU %", "MEMORY", "STARTED", "COMMAND"});
  for (const ProcessInfo& process : *processes) {
    table.Add({std::to_string(process.pid), std::to_string(process.container_pid), process.user,
               Percent(process.cpu_percent), SizeText(process.memory_bytes),
               TimeText(process.started), process.command});
  }
  return session.Print(table.Text(session.terminal()));
}

void AddObserveCommands(CLI::App& app, Session& session) {
  AddStats(app, session);
  AddTop(app, session);
  AddPort(app, session);
}

}  // namespace minibox::cli
