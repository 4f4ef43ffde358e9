// SPDX-License-Identifier: Apache-2.0
#include "wire/container.h"

#include <algorithm>
#include <map>

#include "core/clock.h"
#include "core/errors.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "wire/fields.h"
#include "wire/ports.h"

namespace minibox::wire {
namespace {

constexpr ContainerState kStates[] = {ContainerState::kCreated, ContainerState::kRunning,
                                      ContainerState::kPaused, ContainerState::kExited,
                                      ContainerState::kRemoving};

constexpr Health kHealths[] = {Health::kNone, Health::kStarting, Health::kHealthy,
                               Health::kUnhealthy};

void WritePorts(json::Writer& writer, const std::vector<PortMapping>& mappings) {
  std::map<std::string, std::vector<std::string>> ports;
  for (const PortMapping& port : mappings) ports[HostSide(port)].push_back(ContainerSide(port));
  writer.Key("ports").BeginObject();
  for (const auto& [host, containers] : ports) {
    writer.Key(host);
    if (containers.size() == 1) {
      writer.String(containers.front());
    } else {
      writer.StringArray(containers);
    }
  }
  writer.EndObject();
}

void Write(json::Writer& writer, const ContainerInfo& info) {
  const auto text = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) writer.Key(key).String(value);
  };
  writer.BeginObject();
  writer.Key("id").String(info.id.ToString());
  writer.Key("image").String(info.image);
  writer.Key("command").StringArray(info.command);
  writer.Key("pid").Int(info.pid);
  writer.Key("status").String(StateName(info.state));
  writer.Key("health").String(HealthName(info.health));
  writer.Key("created_at").String(core::FormatTime(info.created));
  if (info.started) writer.Key("started_at").String(core::FormatTime(*info.started));
  if (info.exit) writer.Key("finished_at").String(core::FormatTime(info.exit->at));
  writer.Key("exit_code").Int(info.exit ? info.exit->code : 0);
  if (info.exit && info.exit->signal != 0) writer.Key("signal").Int(info.exit->signal);
  if (info.exit && info.exit->oom_killed) writer.Key("oom_killed").Bool(true);
  text("error", !info.error.empty() ? info.error : info.exit ? info.exit->error : "");
  if (!info.ports.empty()) WritePorts(writer, info.ports);
  text("name", info.name);
  text("project", info.project);
  text("ip", info.ip);
  if (!info.networks.empty()) {
    std::map<std::string, const NetworkAttachment*> by_name;
    for (const NetworkAttachment& network : info.networks) by_name[network.network] = &network;
    writer.Key("networks").BeginObject();
    for (const auto& [name, network] : by_name) {
      writer.Key(name).BeginObject();
      writer.Key("ip").String(network->ip);
      text("ipv6", network->ipv6);
      writer.Key("mac").String(network->mac);
      writer.Key("gateway").String(network->gateway);
      writer.EndObject();
    }
    writer.EndObject();
  }
  writer.Key("reference").String(info.reference);
  writer.Key("image_digest").String(info.image_digest);
  if (!info.labels.empty()) writer.Key("labels").StringMap(info.labels);
  if (info.restart.kind != RestartPolicy::Kind::kNo) {
    writer.Key("restart").String(info.restart.ToString());
  }
  if (info.restart_count > 0) writer.Key("restart_count").Int(info.restart_count);
  if (info.next_restart) {
    writer.Key("next_restart").String(core::FormatTime(*info.next_restart));
  }
  if (!info.warnings.empty()) writer.Key("warnings").StringArray(info.warnings);
  writer.EndObject();
}

StatusOr<std::optional<TimePoint>> ReadTime(const json::Value& object, std::string_view key) {
  MBX_ASSIGN_OR_RETURN(const std::string text, object.GetString(key, ""));
  if (text.empty()) return std::optional<TimePoint>();
  MBX_ASSIGN_OR_RETURN(const TimePoint time, core::ParseTime(text));
  return std::optional<TimePoint>(time);
}

Status ReadPorts(const json::Value& ports, ContainerInfo* info) {
  for (const auto& [host, value] : ports.Members()) {
    std::vector<std::string> containers;
    if (value.type() == json::Type::kArray) {
      MBX_ASSIGN_OR_RETURN(containers, value.AsStringArray());
    } else {
      MBX_ASSIGN_OR_RETURN(containers.emplace_back(), value.AsString());
    }
    for (const std::string& container : containers) {
      MBX_ASSIGN_OR_RETURN(const std::vector<PortMapping> parsed, ParsePorts(host, container));
      info->ports.insert(info->ports.end(), parsed.begin(), parsed.end());
    }
  }
  return Status();
}

Status ReadExit(const json::Value& object, ContainerInfo* info) {
  MBX_ASSIGN_OR_RETURN(const std::optional<TimePoint> finished, ReadTime(object, "finished_at"));
  if (!finished) return Status();
  ExitStatus exit;
  exit.at = *finished;
  MBX_ASSIGN_OR_RETURN(const int64_t code, object.GetInt("exit_code", 0));
  MBX_ASSIGN_OR_RETURN(const int64_t signal, object.GetInt("signal", 0));
  MBX_ASSIGN_OR_RETURN(exit.oom_killed, object.GetBool("oom_killed", false));
  exit.code = static_cast<int>(code);
  exit.signal = static_cast<int>(signal);
  exit.error = info->error;
  info->exit = std::move(exit);
  return Status();
}

StatusOr<ContainerInfo> Read(const json::Value& object) {
  MBX_ASSIGN_OR_RETURN(const std::string id_text, object.GetString("id"));
  MBX_ASSIGN_OR_RETURN(ContainerId id, ContainerId::Parse(id_text));
  ContainerInfo info{.id = std::move(id)};
  MBX_ASSIGN_OR_RETURN(info.image, object.GetString("image", ""));
  MBX_ASSIGN_OR_RETURN(info.reference, object.GetString("reference", ""));
  MBX_ASSIGN_OR_RETURN(info.image_digest, object.GetString("image_digest", ""));
  MBX_ASSIGN_OR_RETURN(info.name, object.GetString("name", ""));
  MBX_ASSIGN_OR_RETURN(info.project, object.GetString("project", ""));
  MBX_ASSIGN_OR_RETURN(info.command, object.GetStringArray("command"));
  MBX_ASSIGN_OR_RETURN(const std::string state, object.GetString("status"));
  const auto* found =
      std::find_if(std::begin(kStates), std::end(kStates),
                   [&](ContainerState candidate) { return StateName(candidate) == state; });
  if (found == std::end(kStates)) return object.Get("status").Expected("a container status");
  info.state = *found;
  MBX_ASSIGN_OR_RETURN(const int64_t pid, object.GetInt("pid", 0));
  info.pid = static_cast<int>(pid);
  MBX_ASSIGN_OR_RETURN(const std::optional<TimePoint> created, ReadTime(object, "created_at"));
  info.created = created.value_or(TimePoint());
  MBX_ASSIGN_OR_RETURN(info.started, ReadTime(object, "started_at"));
  MBX_ASSIGN_OR_RETURN(info.error, object.GetString("error", ""));
  MBX_RETURN_IF_ERROR(ReadExit(object, &info));
  MBX_RETURN_IF_ERROR(ReadPorts(object.Get("ports"), &info));
  MBX_ASSIGN_OR_RETURN(info.ip, object.GetString("ip", ""));
  for (const auto& [name, value] : object.Get("networks").Members()) {
    NetworkAttachment network{.network = name};
    MBX_ASSIGN_OR_RETURN(network.ip, value.GetString("ip", ""));
    MBX_ASSIGN_OR_RETURN(network.mac, value.GetString("mac", ""));
    MBX_ASSIGN_OR_RETURN(network.gateway, value.GetString("gateway", ""));
    MBX_ASSIGN_OR_RETURN(network.ipv6, value.GetString("ipv6", ""));
    if (network.ip == info.ip) {
      info.mac = network.mac;
      info.gateway = network.gateway;
    }
    info.networks.push_back(std::move(network));
  }
  MBX_ASSIGN_OR_RETURN(info.labels, object.GetStringMap("labels"));
  MBX_ASSIGN_OR_RETURN(info.warnings, object.GetStringArray("warnings"));
  MBX_ASSIGN_OR_RETURN(const std::string health, object.GetString("health", "none"));
  for (const Health known : kHealths) {
    if (HealthName(known) == health) info.health = known;
  }
  MBX_ASSIGN_OR_RETURN(const std::string restart, object.GetString("restart", "no"));
  MBX_ASSIGN_OR_RETURN(info.restart, RestartPolicy::Parse(restart));
  MBX_ASSIGN_OR_RETURN(const int64_t restarts, object.GetInt("restart_count", 0));
  info.restart_count = static_cast<int>(restarts);
  MBX_ASSIGN_OR_RETURN(info.next_restart, ReadTime(object, "next_restart"));
  return info;
}

}  // namespace

std::string_view StateName(ContainerState state) {
  switch (state) {
    case ContainerState::kCreated:
      return "created";
    case ContainerState::kRunning:
      return "running";
    case ContainerState::kPaused:
      return "paused";
    case ContainerState::kExited:
      return "exited";
    case ContainerState::kRemoving:
      return "removing";
  }
  return "";
}

std::string ToJson(const ContainerInfo& info) {
  json::Writer writer;
  Write(writer, info);
  return writer.Take();
}

std::string ToJson(const std::vector<ContainerInfo>& containers) {
  std::map<std::string, const ContainerInfo*> by_id;
  for (const ContainerInfo& info : containers) by_id[info.id.ToString()] = &info;
  json::Writer writer;
  writer.BeginObject();
  for (const auto& [id, info] : by_id) {
    writer.Key(id);
    Write(writer, *info);
  }
  writer.EndObject();
  return writer.Take();
}

StatusOr<ContainerInfo> ParseContainer(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value object, json::Parse(text, {.max_bytes = text.size()}));
  return Read(object);
}

StatusOr<std::vector<ContainerInfo>> ParseContainers(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, {.max_bytes = text.size()}));
  if (root.type() != json::Type::kObject) return root.Expected("an object");
  std::vector<ContainerInfo> containers;
  for (const auto& [id, value] : root.Members()) {
    MBX_ASSIGN_OR_RETURN(ContainerInfo info, Read(value));
    containers.push_back(std::move(info));
  }
  std::sort(containers.begin(), containers.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return containers;
}

std::string_view ExitReason(const ExitStatus& exit) {
  if (exit.code < 0) return "";
  if (exit.error == "timeout") return "timeout";
  if (exit.oom_killed) return "oom";
  return exit.signal != 0 ? "signal" : "exited";
}

}  // namespace minibox::wire
