// SPDX-License-Identifier: Apache-2.0
#include "wire/stats.h"

#include <cmath>

#include "core/clock.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::wire {
namespace {

struct Counter {
  std::string_view key;
  uint64_t ContainerStats::*field;
};
constexpr Counter kCounters[] = {
    {"memory_usage", &ContainerStats::memory_usage},
    {"memory_limit", &ContainerStats::memory_limit},
    {"memory_working_set", &ContainerStats::memory_working_set},
    {"memory_peak", &ContainerStats::memory_peak},
    {"swap_usage", &ContainerStats::swap_usage},
    {"cpu_usage_usec", &ContainerStats::cpu_usage_usec},
    {"cpu_throttled_usec", &ContainerStats::cpu_throttled_usec},
    {"pids", &ContainerStats::pids},
    {"pids_limit", &ContainerStats::pids_limit},
    {"net_input", &ContainerStats::net_input},
    {"net_output", &ContainerStats::net_output},
    {"block_input", &ContainerStats::block_input},
    {"block_output", &ContainerStats::block_output},
    {"oom_kills", &ContainerStats::oom_kills},
};

// Two decimals are what it is good for.
double Rounded(double percent) { return std::round(percent * 100) / 100; }

void Write(json::Writer& writer, const ContainerStats& stats) {
  writer.BeginObject();
  writer.Key("id").String(stats.id.ToString());
  if (!stats.name.empty()) writer.Key("name").String(stats.name);
  writer.Key("at").String(core::FormatTime(stats.at));
  for (const Counter& counter : kCounters) writer.Key(counter.key).Uint(stats.*counter.field);
  writer.Key("cpu_percent").Double(Rounded(stats.cpu_percent));
  if (!stats.unavailable.empty()) writer.Key("unavailable").StringArray(stats.unavailable);
  writer.EndObject();
}

StatusOr<ContainerStats> Read(const json::Value& object) {
  MBX_ASSIGN_OR_RETURN(const std::string id_text, object.GetString("id"));
  MBX_ASSIGN_OR_RETURN(ContainerId id, ContainerId::Parse(id_text));
  ContainerStats stats{.id = std::move(id)};
  MBX_ASSIGN_OR_RETURN(stats.name, object.GetString("name", ""));
  MBX_ASSIGN_OR_RETURN(const std::string at, object.GetString("at"));
  MBX_ASSIGN_OR_RETURN(stats.at, core::ParseTime(at));
  for (const Counter& counter : kCounters) {
    MBX_ASSIGN_OR_RETURN(stats.*counter.field, object.Get(counter.key).AsUint());
  }
  MBX_ASSIGN_OR_RETURN(stats.cpu_percent, object.Get("cpu_percent").AsDouble());
  MBX_ASSIGN_OR_RETURN(stats.unavailable, object.GetStringArray("unavailable"));
  return stats;
}

StatusOr<ProcessInfo> ReadProcess(const json::Value& object) {
  ProcessInfo process;
  MBX_ASSIGN_OR_RETURN(const int64_t pid, object.GetInt("pid"));
  MBX_ASSIGN_OR_RETURN(const int64_t container_pid, object.GetInt("container_pid", 0));
  MBX_ASSIGN_OR_RETURN(const int64_t parent, object.GetInt("ppid", 0));
  process.pid = static_cast<int>(pid);
  process.container_pid = static_cast<int>(container_pid);
  process.parent_pid = static_cast<int>(parent);
  MBX_ASSIGN_OR_RETURN(process.user, object.GetString("user", ""));
  MBX_ASSIGN_OR_RETURN(process.cpu_percent, object.Get("cpu_percent").AsDouble());
  MBX_ASSIGN_OR_RETURN(const int64_t cpu, object.GetInt("cpu_time_usec", 0));
  process.cpu_time = std::chrono::microseconds(cpu);
  MBX_ASSIGN_OR_RETURN(process.memory_bytes, object.Get("memory_bytes").AsUint());
  MBX_ASSIGN_OR_RETURN(const std::string started, object.GetString("started_at"));
  MBX_ASSIGN_OR_RETURN(process.started, core::ParseTime(started));
  MBX_ASSIGN_OR_RETURN(process.command, object.GetString("command", ""));
  return process;
}

}  // namespace

std::string ToJson(const ContainerStats& stats) {
  json::Writer writer;
  Write(writer, stats);
  return writer.Take();
}

std::string ToJson(const std::vector<ContainerStats>& stats) {
  json::Writer writer;
  writer.BeginArray();
  for (const ContainerStats& one : stats) Write(writer, one);
  writer.EndArray();
  return writer.Take();
}

std::string ToJson(const std::vector<ProcessInfo>& processes) {
  json::Writer writer;
  writer.BeginArray();
  for (const ProcessInfo& process : processes) {
    writer.BeginObject();
    writer.Key("pid").Int(process.pid);
    writer.Key("container_pid").Int(process.container_pid);
    writer.Key("ppid").Int(process.parent_pid);
    writer.Key("user").String(process.user);
    writer.Key("cpu_percent").Double(Rounded(process.cpu_percent));
    writer.Key("cpu_time_usec").Int(process.cpu_time.count());
    writer.Key("memory_bytes").Uint(process.memory_bytes);
    writer.Key("started_at").String(core::FormatTime(process.started));
    writer.Key("command").String(core::EscapeControl(process.command));
    writer.EndObject();
  }
  writer.EndArray();
  return writer.Take();
}

StatusOr<std::vector<ContainerStats>> ParseStatsList(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, {.max_bytes = text.size()}));
  if (root.type() != json::Type::kArray) return root.Expected("an array");
  std::vector<ContainerStats> all;
  for (const json::Value& value : root.Elements()) {
    MBX_ASSIGN_OR_RETURN(ContainerStats stats, Read(value));
    all.push_back(std::move(stats));
  }
  return all;
}

StatusOr<ContainerStats> ParseStats(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, {.max_bytes = text.size()}));
  return Read(root);
}

StatusOr<std::vector<ProcessInfo>> ParseProcesses(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, {.max_bytes = text.size()}));
  if (root.type() != json::Type::kArray) return root.Expected("an array");
  std::vector<ProcessInfo> all;
  for (const json::Value& value : root.Elements()) {
    MBX_ASSIGN_OR_RETURN(ProcessInfo process, ReadProcess(value));
    all.push_back(std::move(process));
  }
  return all;
}

}  // namespace minibox::wire
