// SPDX-License-Identifier: Apache-2.0
// system prune, df, verify, info.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "commands.h"
#include "render.h"
#include "wire/json.h"
#include "wire/store_reports.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

std::string PruneText(const PruneReport& report) {
  const bool dry = report.dry_run;
  std::string text;
  const std::pair<const char*, uint64_t> counts[] = {{"blobs", report.blobs_removed},
                                                     {"layers", report.layers_removed},
                                                     {"build cache", report.build_cache_removed},
                                                     {"temporary", report.temp_removed}};
  for (const auto& [name, count] : counts) {
    text += StrCat(dry ? "Would remove " : "Removed ", name, ": ", count, "\n");
  }
  return text + StrCat(dry ? "Would free: " : "Freed: ", SizeText(report.bytes_freed), "\n");
}

void AddPrune(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("prune", "remove what nothing needs");
  command->footer("Example:\n  minibox system prune --build-cache --keep-bytes 2000000000 -f");
  struct Flags {
    bool build_cache = false, dry_run = false, force = false, json = false;
    std::optional<uint64_t> keep_bytes;
  };
  auto flags = std::make_shared<Flags>();
  command->add_flag("--build-cache", flags->build_cache, "results of build steps too");
  command->add_option("--keep-bytes", flags->keep_bytes,
                      "of the build cache, keep the most recently used up to that size");
  command->add_flag("--dry-run", flags->dry_run, "only say what would be removed");
  command->add_flag("-f,--force", flags->force, "do not ask");
  command->add_flag("--json", flags->json, "the report as JSON");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      if (!flags->force && !flags->dry_run &&
          !session.Confirm("Remove everything that no image and no container needs?")) {
        return kFailure;
      }
      Query query;
      if (flags->build_cache) query.emplace_back("build_cache", "1");
      if (flags->dry_run) query.emplace_back("dry_run", "1");
      if (flags->keep_bytes) query.emplace_back("keep_bytes", std::to_string(*flags->keep_bytes));
      const auto reply = session.Ask(
          {.method = "POST", .path = "/system/prune", .query = query, .patience = std::nullopt});
      if (!reply) return kFailure;
      const auto report = wire::ParsePruneReport(reply->body);
      if (!report.ok()) return session.Fail(report.status());
      return session.Print(flags->json ? *wire::Indented(reply->body) : PruneText(*report));
    };
  });
}

using Kinds = std::vector<std::pair<const char*, const Usage*>>;

Kinds KindsOf(const DiskUsageReport& report) {
  return {{"images", &report.images},           {"layers", &report.layers},
          {"containers", &report.containers},   {"volumes", &report.volumes},
          {"build cache", &report.build_cache}, {"logs", &report.logs}};
}

std::string UsageTable(const DiskUsageReport& report, const Terminal& terminal) {
  Table table({"TYPE", "COUNT", "SIZE", "RECLAIMABLE"});
  for (const auto& [name, usage] : KindsOf(report)) {
    table.Add(
        {name, std::to_string(usage->count), SizeText(usage->size), SizeText(usage->reclaimable)});
  }
  return table.Text(terminal);
}

std::string ItemTable(const DiskUsageReport& report, const Terminal& terminal) {
  Table table({"TYPE", "ID", "SIZE", "RECLAIMABLE"});
  for (const auto& [name, usage] : KindsOf(report)) {
    for (const UsageItem& item : usage->items) {
      table.Add({name, item.id, SizeText(item.size), item.reclaimable ? "yes" : "no"});
    }
  }
  return table.Text(terminal);
}

// A list of rows for templates: {"type","count","size_bytes","reclaimable_bytes"}.
std::string UsageRows(const DiskUsageReport& report) {
  wire::JsonWriter writer;
  writer.BeginArray();
  for (const auto& [name, usage] : KindsOf(report)) {
    writer.BeginObject();
    writer.Key("type").String(name);
    writer.Key("count").Uint(usage->count);
    writer.Key("size_bytes").Uint(usage->size);
    writer.Key("reclaimable_bytes").Uint(usage->reclaimable);
    writer.Key("size").String(SizeText(usage->size));
    writer.Key("reclaimable").String(SizeText(usage->reclaimable));
    writer.EndObject();
  }
  writer.EndArray();
  return writer.Take();
}

void AddDiskUsage(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("df", "show what takes space");
  command->footer("Example:\n  minibox system df -v");
  struct Flags : FormatFlags {
    bool verbose = false;
  };
  auto flags = std::make_shared<Flags>();
  flags->AddTo(*command);
  command->add_flag("-v,--verbose", flags->verbose, "each image, layer, container …");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      Query query;
      if (flags->verbose) query.emplace_back("verbose", "1");
      const auto reply =
          session.Ask({.path = "/system/df", .query = query, .patience = std::nullopt});
      if (!reply) return kFailure;
      const auto report = wire::ParseDiskUsage(reply->body);
      if (!report.ok()) return session.Fail(report.status());
      if (flags->wants_json()) return session.Print(*wire::Indented(reply->body));
      if (flags->wants_template()) return session.PrintRows(flags->format, UsageRows(*report));
      return session.Print(flags->verbose ? ItemTable(*report, session.terminal())
                                          : UsageTable(*report, session.terminal()));
    };
  });
}

void AddVerify(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("verify", "check every blob and every reference");
  command->footer("Example:\n  minibox system verify && echo sound");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "the report as JSON");
  command->callback([&session, json] {
    session.action = [&session, json] {
      const auto reply =
          session.Ask({.method = "POST", .path = "/system/verify", .patience = std::nullopt});
      if (!reply) return kFailure;
      const auto report = wire::ParseVerifyReport(reply->body);
      if (!report.ok()) return session.Fail(report.status());
      std::string text;
      for (const StoreProblem& found : report->problems) {
        text += wire::EscapeControl(StrCat(found.object, ": ", found.problem)) + "\n";
      }
      text += StrCat("Verified: ", report->blobs, " blobs (", SizeText(report->bytes), "), ",
                     report->images, " images, ", report->layers, " layers; ",
                     report->problems.size(), " problems\n");
      const int printed = session.Print(*json ? *wire::Indented(reply->body) : text);
      return report->problems.empty() ? printed : kFailure;
    };
  });
}

std::string InfoText(const wire::JsonValue& value, const std::string& indent) {
  std::string text;
  for (const auto& [key, member] : value.Members()) {
    text += StrCat(indent, key, ":");
    if (member.type() == wire::JsonType::kObject) {
      text += "\n" + InfoText(member, indent + "  ");
    } else if (member.type() == wire::JsonType::kString) {
      text += StrCat(" ", wire::EscapeControl(*member.AsString()), "\n");
    } else if (member.type() == wire::JsonType::kArray) {
      std::vector<std::string> items;
      for (const wire::JsonValue& item : member.Elements()) {
        items.push_back(wire::EscapeControl(item.AsString().ok() ? *item.AsString() : item.Dump()));
      }
      text += StrCat(items.empty() ? "" : " ", wire::StrJoin(items, ", "), "\n");
    } else {
      text += StrCat(" ", member.Dump(), "\n");
    }
  }
  return text;
}

void AddInfo(CLI::App& group, Session& session) {
  CLI::App* command = group.add_subcommand("info", "describe the daemon and its host");
  command->footer("Example:\n  minibox info --format '{{.Cgroup}}'");
  auto flags = std::make_shared<FormatFlags>();
  flags->AddTo(*command);
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      const auto body = session.Fetch("/system/info");
      if (!body) return kFailure;
      if (flags->wants_json()) return session.Print(*wire::Indented(*body));
      if (flags->wants_template()) {
        return session.PrintRows(flags->format, StrCat("[", *body, "]"));
      }
      const auto value = json::Parse(*body, {.max_bytes = body->size()});
      if (!value.ok()) return session.Fail(value.status());
      return session.Print(InfoText(*value, ""));
    };
  });
}

}  // namespace

void AddStoreCommands(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand("system", "prune, measure, verify and describe");
  group->footer("Example:\n  minibox system df");
  group->require_subcommand(1);
  AddPrune(*group, session);
  AddDiskUsage(*group, session);
  AddVerify(*group, session);
  AddInfo(*group, session);
  AddInfo(app, session);
}

}  // namespace minibox::cli
