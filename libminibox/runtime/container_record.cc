// SPDX-License-Identifier: Apache-2.0
#include "runtime/container_record.h"

#include <map>
#include <optional>
#include <utility>

#include "core/clock.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/spec_validate.h"

namespace minibox::runtime {
namespace {

constexpr int64_t kDefaultPids = 4096;
constexpr int64_t kMiB = 1 << 20;

struct StateRow {
  ContainerState state;
  std::string_view name;
};
constexpr StateRow kStates[] = {{ContainerState::kCreated, "created"},
                                {ContainerState::kRunning, "running"},
                                {ContainerState::kPaused, "paused"},
                                {ContainerState::kExited, "exited"},
                                {ContainerState::kRemoving, "removing"}};

std::string ContainerPort(const PortMapping& port) {
  std::string text = std::to_string(port.container_port);
  if (port.protocol == PortMapping::Protocol::kUdp) text += "/udp";
  return text;
}

// Keys may repeat (several free ports): their values become a list, as in the run request.
void WriteGrouped(const std::vector<std::pair<std::string, std::string>>& entries,
                  json::Writer& out) {
  std::map<std::string, std::vector<std::string>> grouped;
  for (const auto& [key, value] : entries) grouped[key].push_back(value);
  out.BeginObject();
  for (const auto& [key, values] : grouped) {
    out.Key(key);
    if (values.size() == 1) {
      out.String(values.front());
    } else {
      out.StringArray(values);
    }
  }
  out.EndObject();
}

StatusOr<std::vector<std::pair<std::string, std::string>>> ReadGrouped(const json::Value& map) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto& [key, value] : map.Members()) {
    if (value.type() == json::Type::kArray) {
      MBX_ASSIGN_OR_RETURN(const std::vector<std::string> values, value.AsStringArray());
      for (const std::string& one : values) entries.emplace_back(key, one);
    } else {
      MBX_ASSIGN_OR_RETURN(std::string one, value.AsString());
      entries.emplace_back(key, std::move(one));
    }
  }
  return entries;
}

void WritePorts(const std::vector<PortMapping>& ports, json::Writer& out) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (const PortMapping& port : ports) entries.emplace_back(PortKey(port), ContainerPort(port));
  WriteGrouped(entries, out);
}

StatusOr<uint16_t> ParsePort(std::string_view text, const json::Value& where) {
  const auto port = core::ParseUint64(text);
  if (!port || *port > 65535) return where.Expected("a port");
  return static_cast<uint16_t>(*port);
}

StatusOr<std::vector<PortMapping>> ReadPorts(const json::Value& map) {
  MBX_ASSIGN_OR_RETURN(const auto entries, ReadGrouped(map));
  std::vector<PortMapping> ports;
  for (const auto& [key, value] : entries) {
    PortMapping port;
    std::string_view host = key, container = value;
    if (host.ends_with("/udp")) {
      port.protocol = PortMapping::Protocol::kUdp;
      host.remove_suffix(4);
    }
    if (const size_t slash = container.find('/'); slash != std::string_view::npos) {
      container = container.substr(0, slash);
    }
    if (const size_t colon = host.rfind(':'); colon != std::string_view::npos) {
      std::string_view ip = host.substr(0, colon);
      host.remove_prefix(colon + 1);
      if (ip.starts_with('[') && ip.ends_with(']')) ip = ip.substr(1, ip.size() - 2);
      port.host_ip = ip;
    }
    MBX_ASSIGN_OR_RETURN(port.host_port, ParsePort(host, map));
    MBX_ASSIGN_OR_RETURN(port.container_port, ParsePort(container, map));
    ports.push_back(std::move(port));
  }
  return ports;
}

// "path[:options]"
std::string TargetText(const Mount& mount) {
  return mount.options.empty() ? mount.target : mount.target + ":" + mount.options;
}

void WriteMounts(const ContainerSpec& spec, json::Writer& out) {
  std::vector<std::pair<std::string, std::string>> binds, volumes, tmpfs;
  for (const Mount& mount : spec.mounts) {
    switch (mount.kind) {
      case Mount::Kind::kBind:
        binds.emplace_back(mount.source, TargetText(mount));
        break;
      case Mount::Kind::kVolume:
        volumes.emplace_back(mount.source, TargetText(mount));
        break;
      case Mount::Kind::kTmpfs:
        tmpfs.emplace_back(mount.target, mount.options);
        break;
    }
  }
  out.Key("volumes");
  WriteGrouped(binds, out);
  out.Key("named_volumes");
  WriteGrouped(volumes, out);
  out.Key("tmpfs");
  WriteGrouped(tmpfs, out);
}

Status ReadMounts(const json::Value& root, std::vector<Mount>& mounts) {
  const std::pair<std::string_view, Mount::Kind> maps[] = {{"volumes", Mount::Kind::kBind},
                                                           {"named_volumes", Mount::Kind::kVolume}};
  for (const auto& [key, kind] : maps) {
    MBX_ASSIGN_OR_RETURN(const auto entries, ReadGrouped(root.Get(key)));
    for (const auto& [source, text] : entries) {
      const size_t colon = text.find(':');
      mounts.push_back({kind, source, text.substr(0, colon),
                        colon == std::string::npos ? "" : text.substr(colon + 1)});
    }
  }
  MBX_ASSIGN_OR_RETURN(const auto tmpfs, ReadGrouped(root.Get("tmpfs")));
  for (const auto& [target, options] : tmpfs) {
    mounts.push_back({Mount::Kind::kTmpfs, "", target, options});
  }
  return Status();
}

// Sizes are MiB in the request; one that is not a multiple is kept exactly beside it.
void WriteSize(std::string_view key, int64_t bytes, json::Writer& out) {
  out.Key(key).Int(bytes < 0 ? bytes : bytes / kMiB);
  if (bytes >= 0 && bytes % kMiB != 0) out.Key(core::StrCat(key, "_bytes")).Int(bytes);
}

StatusOr<std::optional<int64_t>> ReadOptional(const json::Value& root, std::string_view key) {
  const json::Value value = root.Get(key);
  if (value.empty()) return std::optional<int64_t>();
  MBX_ASSIGN_OR_RETURN(const int64_t number, value.AsInt());
  return std::optional<int64_t>(number);
}

StatusOr<std::optional<int64_t>> ReadSize(const json::Value& root, std::string_view key) {
  MBX_ASSIGN_OR_RETURN(std::optional<int64_t> exact,
                       ReadOptional(root, core::StrCat(key, "_bytes")));
  if (exact) return exact;
  MBX_ASSIGN_OR_RETURN(std::optional<int64_t> mib, ReadOptional(root, key));
  if (mib && *mib >= 0) mib = *mib * kMiB;
  return mib;
}

void WriteResources(const Resources& limits, json::Writer& out) {
  if (limits.memory_bytes) WriteSize("memory", *limits.memory_bytes, out);
  if (limits.memory_swap_bytes) WriteSize("memory_swap", *limits.memory_swap_bytes, out);
  if (limits.cpu_quota_us) out.Key("cpu").Int(*limits.cpu_quota_us);
  if (!limits.cpuset.empty()) out.Key("cpuset").String(limits.cpuset);
  out.Key("pids_limit").Int(limits.pids.value_or(kDefaultPids));
  // A default that the host cannot apply only warns, so it has to be known as one.
  if (!limits.pids) out.Key("pids_limit_default").Bool(true);
  if (limits.io_weight) out.Key("io_weight").Int(*limits.io_weight);
  if (limits.oom_score_adj) out.Key("oom_score_adj").Int(*limits.oom_score_adj);
}

Status ReadResources(const json::Value& root, Resources& limits) {
  MBX_ASSIGN_OR_RETURN(limits.memory_bytes, ReadSize(root, "memory"));
  MBX_ASSIGN_OR_RETURN(limits.memory_swap_bytes, ReadSize(root, "memory_swap"));
  MBX_ASSIGN_OR_RETURN(limits.cpu_quota_us, ReadOptional(root, "cpu"));
  MBX_ASSIGN_OR_RETURN(limits.cpuset, root.GetString("cpuset", ""));
  MBX_ASSIGN_OR_RETURN(const bool default_pids, root.GetBool("pids_limit_default", false));
  if (!default_pids) {
    MBX_ASSIGN_OR_RETURN(limits.pids, ReadOptional(root, "pids_limit"));
  }
  MBX_ASSIGN_OR_RETURN(const auto weight, ReadOptional(root, "io_weight"));
  if (weight) limits.io_weight = static_cast<uint16_t>(*weight);
  MBX_ASSIGN_OR_RETURN(const auto score, ReadOptional(root, "oom_score_adj"));
  if (score) limits.oom_score_adj = static_cast<int>(*score);
  return Status();
}

void WriteSecurity(const Security& security, json::Writer& out) {
  out.Key("cap_add").StringArray(security.cap_add);
  out.Key("cap_drop").StringArray(security.cap_drop);
  out.Key("seccomp");
  switch (security.seccomp) {
    case Security::Seccomp::kDefault:
      out.String("default");
      break;
    case Security::Seccomp::kUnconfined:
      out.String("unconfined");
      break;
    case Security::Seccomp::kProfile:
      out.Raw(security.seccomp_profile);
      break;
  }
  out.Key("privileged").Bool(security.privileged);
  out.Key("read_only").Bool(security.read_only_rootfs);
  out.Key("userns").String(security.host_userns ? "host" : "auto");
}

Status ReadSecurity(const json::Value& root, Security& security) {
  MBX_ASSIGN_OR_RETURN(security.cap_add, root.GetStringArray("cap_add"));
  MBX_ASSIGN_OR_RETURN(security.cap_drop, root.GetStringArray("cap_drop"));
  if (const json::Value profile = root.Get("seccomp"); profile.type() == json::Type::kObject) {
    security.seccomp = Security::Seccomp::kProfile;
    security.seccomp_profile = profile.Dump();
  } else {
    MBX_ASSIGN_OR_RETURN(const std::string seccomp, root.GetString("seccomp", "default"));
    if (seccomp == "unconfined") {
      security.seccomp = Security::Seccomp::kUnconfined;
    } else if (seccomp != "default") {
      return profile.Expected("'default', 'unconfined' or a profile");
    }
  }
  MBX_ASSIGN_OR_RETURN(security.privileged, root.GetBool("privileged", false));
  MBX_ASSIGN_OR_RETURN(security.read_only_rootfs, root.GetBool("read_only", false));
  MBX_ASSIGN_OR_RETURN(const std::string userns, root.GetString("userns", "auto"));
  security.host_userns = userns == "host";
  return Status();
}

std::string Milliseconds(std::chrono::milliseconds time) {
  return core::StrCat(time.count(), "ms");
}

StatusOr<std::chrono::milliseconds> ReadDuration(const json::Value& root, std::string_view key) {
  const json::Value value = root.Get(key);
  if (value.empty()) return std::chrono::milliseconds(0);
  MBX_ASSIGN_OR_RETURN(const std::string text, value.AsString());
  MBX_ASSIGN_OR_RETURN(const int64_t nanoseconds, core::ParseDurationNs(text));
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::nanoseconds(nanoseconds));
}

StatusOr<std::optional<TimePoint>> ReadTime(const json::Value& root, std::string_view key) {
  MBX_ASSIGN_OR_RETURN(const std::string text, root.GetString(key, ""));
  if (text.empty()) return std::optional<TimePoint>();
  MBX_ASSIGN_OR_RETURN(const TimePoint time, core::ParseTime(text));
  return std::optional<TimePoint>(time);
}

void WriteIfNotEmpty(std::string_view key, std::string_view value, json::Writer& out) {
  if (!value.empty()) out.Key(key).String(value);
}

// Resolved: {"CMD", argv…} and every time.
void WriteHealthcheck(const HealthCheck& check, json::Writer& out) {
  const auto time = [&out](std::string_view key,
                           const std::optional<std::chrono::milliseconds>& t) {
    if (t) out.Key(key).String(Milliseconds(*t));
  };
  out.Key("healthcheck").BeginObject();
  out.Key("test").StringArray(check.test);
  time("interval", check.interval);
  time("timeout", check.timeout);
  time("start_period", check.start_period);
  if (check.retries) out.Key("retries").Int(*check.retries);
  out.EndObject();
}

Status ReadHealthcheck(const json::Value& root, ContainerSpec& spec) {
  const json::Value value = root.Get("healthcheck");
  if (value.empty()) return Status();
  HealthCheck check;
  MBX_ASSIGN_OR_RETURN(check.test, value.GetStringArray("test"));
  const std::pair<std::string_view, std::optional<std::chrono::milliseconds>*> times[] = {
      {"interval", &check.interval},
      {"timeout", &check.timeout},
      {"start_period", &check.start_period}};
  for (const auto& [key, out] : times) {
    if (value.Get(key).empty()) continue;
    MBX_ASSIGN_OR_RETURN(*out, ReadDuration(value, key));
  }
  MBX_ASSIGN_OR_RETURN(const auto retries, ReadOptional(value, "retries"));
  if (retries) check.retries = static_cast<int>(*retries);
  spec.healthcheck = std::move(check);
  return Status();
}

void WriteLogging(const ContainerSpec& spec, json::Writer& out) {
  WriteSize("log_max_size", static_cast<int64_t>(spec.log_max_bytes), out);
  out.Key("log_max_files").Int(spec.log_max_files);
  if (spec.log_timestamps) out.Key("log_timestamps").Bool(true);
}

Status ReadLogging(const json::Value& root, ContainerSpec& spec) {
  MBX_ASSIGN_OR_RETURN(const auto size, ReadSize(root, "log_max_size"));
  if (size) spec.log_max_bytes = static_cast<uint64_t>(*size);
  MBX_ASSIGN_OR_RETURN(const auto files, ReadOptional(root, "log_max_files"));
  if (files) spec.log_max_files = static_cast<int>(*files);
  MBX_ASSIGN_OR_RETURN(spec.log_timestamps, root.GetBool("log_timestamps", false));
  return Status();
}

}  // namespace

namespace {

// What restart policy and health check have come to.
Status ReadPolicy(const json::Value& root, ContainerRecord& record) {
  ContainerInfo& info = record.info;
  MBX_ASSIGN_OR_RETURN(const std::string health, root.GetString("health", "none"));
  for (const Health known :
       {Health::kNone, Health::kStarting, Health::kHealthy, Health::kUnhealthy}) {
    if (HealthName(known) == health) info.health = known;
  }
  MBX_ASSIGN_OR_RETURN(const std::string restart, root.GetString("restart", "no"));
  MBX_ASSIGN_OR_RETURN(info.restart, RestartPolicy::Parse(restart));
  MBX_ASSIGN_OR_RETURN(const int64_t count, root.GetInt("restart_count", 0));
  info.restart_count = static_cast<int>(count);
  MBX_ASSIGN_OR_RETURN(info.next_restart, ReadTime(root, "next_restart"));
  MBX_ASSIGN_OR_RETURN(record.stopped, root.GetBool("stopped", false));
  MBX_ASSIGN_OR_RETURN(const int64_t row, root.GetInt("restart_row", 0));
  record.restart_row = static_cast<int>(row);
  return Status();
}

}  // namespace

std::string_view StateName(ContainerState state) {
  for (const StateRow& row : kStates) {
    if (row.state == state) return row.name;
  }
  return "unknown";
}

StatusOr<ContainerState> ParseState(std::string_view name) {
  for (const StateRow& row : kStates) {
    if (row.name == name) return row.state;
  }
  return core::InvalidArgument("status", core::StrCat("'", name, "' is not a status"));
}

std::string SerializeConfig(const ContainerConfig& config) {
  const ContainerSpec& spec = config.spec;
  json::Writer out;
  out.BeginObject();
  out.Key("version").Int(1);
  out.Key("image").String(spec.image);
  out.Key("reference").String(config.reference);
  out.Key("image_digest").String(config.image_digest);
  WriteIfNotEmpty("name", spec.name, out);
  WriteIfNotEmpty("project", spec.project, out);
  // [""] is how a request says "no entrypoint": an empty list would mean the image's.
  const std::vector<std::string> none = {""};
  out.Key("entrypoint")
      .StringArray(spec.entrypoint && !spec.entrypoint->empty() ? *spec.entrypoint : none);
  out.Key("command").StringArray(spec.command);
  out.Key("env").StringArray(spec.env);
  out.Key("workdir").String(spec.working_dir);
  out.Key("user").String(spec.user);
  out.Key("hostname").String(spec.hostname);
  WriteMounts(spec, out);
  out.Key("anonymous_volumes").StringArray(config.anonymous_volumes);
  out.Key("network").String(spec.network);
  WriteIfNotEmpty("ip", spec.ip, out);
  WriteIfNotEmpty("mac", spec.mac, out);
  out.Key("ports");
  WritePorts(spec.ports, out);
  out.Key("dns").StringArray(spec.dns);
  out.Key("extra_hosts").StringArray(spec.extra_hosts);
  WriteResources(spec.resources, out);
  out.Key("ulimits").StringMap(spec.ulimits);
  out.Key("sysctls").StringMap(spec.sysctls);
  WriteSize("shm_size", static_cast<int64_t>(spec.shm_bytes), out);
  WriteSecurity(spec.security, out);
  out.Key("stop_signal").String(spec.stop_signal);
  if (spec.stop_timeout) {
    out.Key("stop_timeout").Double(static_cast<double>(spec.stop_timeout->count()) / 1000);
  }
  if (spec.timeout.count() > 0) out.Key("timeout").String(Milliseconds(spec.timeout));
  out.Key("init").Bool(spec.init);
  out.Key("rm").Bool(spec.remove_on_exit);
  out.Key("restart").String(spec.restart.ToString());
  if (spec.healthcheck) WriteHealthcheck(*spec.healthcheck, out);
  if (spec.publish_all) out.Key("publish_all").Bool(true);
  if (spec.db_mode) out.Key("db_mode").Bool(true);
  if (!spec.devices.empty()) out.Key("devices").StringArray(spec.devices);
  WriteLogging(spec, out);
  out.Key("interactive").Bool(spec.open_stdin);
  out.Key("tty").Bool(spec.tty);
  out.Key("rows").Int(spec.terminal_size.rows);
  out.Key("cols").Int(spec.terminal_size.cols);
  out.Key("labels").StringMap(spec.labels);
  if (!config.warnings.empty()) out.Key("warnings").StringArray(config.warnings);
  out.EndObject();
  return out.Take();
}

StatusOr<ContainerConfig> ParseConfig(std::string_view text) {
  json::ParseLimits limits;
  limits.max_bytes = 64u << 20;
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, limits));
  ContainerConfig config;
  ContainerSpec& spec = config.spec;
  MBX_ASSIGN_OR_RETURN(spec.image, root.GetString("image"));
  MBX_ASSIGN_OR_RETURN(config.reference, root.GetString("reference", ""));
  MBX_ASSIGN_OR_RETURN(config.image_digest, root.GetString("image_digest"));
  MBX_ASSIGN_OR_RETURN(spec.name, root.GetString("name", ""));
  MBX_ASSIGN_OR_RETURN(spec.project, root.GetString("project", ""));
  MBX_ASSIGN_OR_RETURN(spec.entrypoint, root.GetStringArray("entrypoint"));
  if (*spec.entrypoint == std::vector<std::string>{""}) spec.entrypoint->clear();
  MBX_ASSIGN_OR_RETURN(spec.command, root.GetStringArray("command"));
  MBX_ASSIGN_OR_RETURN(spec.env, root.GetStringArray("env"));
  MBX_ASSIGN_OR_RETURN(spec.working_dir, root.GetString("workdir", "/"));
  MBX_ASSIGN_OR_RETURN(spec.user, root.GetString("user", ""));
  MBX_ASSIGN_OR_RETURN(spec.hostname, root.GetString("hostname", ""));
  MBX_RETURN_IF_ERROR(ReadMounts(root, spec.mounts));
  MBX_ASSIGN_OR_RETURN(config.anonymous_volumes, root.GetStringArray("anonymous_volumes"));
  MBX_ASSIGN_OR_RETURN(spec.network, root.GetString("network", "bridge"));
  MBX_ASSIGN_OR_RETURN(spec.ip, root.GetString("ip", ""));
  MBX_ASSIGN_OR_RETURN(spec.mac, root.GetString("mac", ""));
  MBX_ASSIGN_OR_RETURN(spec.ports, ReadPorts(root.Get("ports")));
  MBX_ASSIGN_OR_RETURN(spec.dns, root.GetStringArray("dns"));
  MBX_ASSIGN_OR_RETURN(spec.extra_hosts, root.GetStringArray("extra_hosts"));
  MBX_RETURN_IF_ERROR(ReadResources(root, spec.resources));
  MBX_ASSIGN_OR_RETURN(spec.ulimits, root.GetStringMap("ulimits"));
  MBX_ASSIGN_OR_RETURN(spec.sysctls, root.GetStringMap("sysctls"));
  MBX_ASSIGN_OR_RETURN(const auto shm, ReadSize(root, "shm_size"));
  if (shm) spec.shm_bytes = static_cast<uint64_t>(*shm);
  MBX_RETURN_IF_ERROR(ReadSecurity(root, spec.security));
  MBX_ASSIGN_OR_RETURN(spec.stop_signal, root.GetString("stop_signal", ""));
  if (const json::Value timeout = root.Get("stop_timeout"); !timeout.empty()) {
    MBX_ASSIGN_OR_RETURN(const double seconds, timeout.AsDouble());
    spec.stop_timeout = std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
  }
  MBX_ASSIGN_OR_RETURN(spec.timeout, ReadDuration(root, "timeout"));
  MBX_ASSIGN_OR_RETURN(spec.init, root.GetBool("init", true));
  MBX_ASSIGN_OR_RETURN(spec.remove_on_exit, root.GetBool("rm", false));
  MBX_ASSIGN_OR_RETURN(const std::string restart, root.GetString("restart", "no"));
  MBX_ASSIGN_OR_RETURN(spec.restart, RestartPolicy::Parse(restart));
  MBX_RETURN_IF_ERROR(ReadHealthcheck(root, spec));
  MBX_ASSIGN_OR_RETURN(spec.publish_all, root.GetBool("publish_all", false));
  MBX_ASSIGN_OR_RETURN(spec.db_mode, root.GetBool("db_mode", false));
  MBX_ASSIGN_OR_RETURN(spec.devices, root.GetStringArray("devices"));
  MBX_RETURN_IF_ERROR(ReadLogging(root, spec));
  MBX_ASSIGN_OR_RETURN(spec.open_stdin, root.GetBool("interactive", false));
  MBX_ASSIGN_OR_RETURN(spec.tty, root.GetBool("tty", false));
  MBX_ASSIGN_OR_RETURN(const int64_t rows, root.GetInt("rows", spec.terminal_size.rows));
  MBX_ASSIGN_OR_RETURN(const int64_t cols, root.GetInt("cols", spec.terminal_size.cols));
  spec.terminal_size = {static_cast<uint16_t>(rows), static_cast<uint16_t>(cols)};
  MBX_ASSIGN_OR_RETURN(spec.labels, root.GetStringMap("labels"));
  MBX_ASSIGN_OR_RETURN(config.warnings, root.GetStringArray("warnings"));
  return config;
}

void WriteContainerInfo(const ContainerInfo& info, json::Writer& out) {
  out.Key("id").String(info.id.ToString());
  out.Key("image").String(info.image);
  out.Key("reference").String(info.reference);
  out.Key("image_digest").String(info.image_digest);
  out.Key("command").StringArray(info.command);
  out.Key("pid").Int(info.pid);
  out.Key("status").String(StateName(info.state));
  out.Key("health").String(HealthName(info.health));
  out.Key("created_at").String(core::FormatTime(info.created));
  if (info.started) out.Key("started_at").String(core::FormatTime(*info.started));
  if (info.exit) out.Key("finished_at").String(core::FormatTime(info.exit->at));
  out.Key("exit_code").Int(info.exit ? info.exit->code : 0);
  if (info.exit && info.exit->signal != 0) out.Key("signal").Int(info.exit->signal);
  if (info.exit && info.exit->oom_killed) out.Key("oom_killed").Bool(true);
  WriteIfNotEmpty("error",
                  !info.error.empty() ? info.error
                  : info.exit         ? info.exit->error
                                      : "",
                  out);
  if (!info.ports.empty()) {
    out.Key("ports");
    WritePorts(info.ports, out);
  }
  WriteIfNotEmpty("name", info.name, out);
  WriteIfNotEmpty("project", info.project, out);
  WriteIfNotEmpty("ip", info.ip, out);
  if (!info.networks.empty()) {
    out.Key("networks").BeginObject();
    for (const NetworkAttachment& network : info.networks) {
      out.Key(network.network).BeginObject();
      out.Key("ip").String(network.ip);
      out.Key("mac").String(network.mac);
      out.Key("gateway").String(network.gateway);
      WriteIfNotEmpty("ipv6", network.ipv6, out);
      out.EndObject();
    }
    out.EndObject();
  }
  if (!info.labels.empty()) out.Key("labels").StringMap(info.labels);
  if (info.restart.kind != RestartPolicy::Kind::kNo) {
    out.Key("restart").String(info.restart.ToString());
  }
  if (info.restart_count > 0) out.Key("restart_count").Int(info.restart_count);
  if (info.next_restart) out.Key("next_restart").String(core::FormatTime(*info.next_restart));
  if (!info.warnings.empty()) out.Key("warnings").StringArray(info.warnings);
}

std::string SerializeRecord(const ContainerRecord& record) {
  json::Writer out;
  out.BeginObject();
  WriteContainerInfo(record.info, out);
  // "error" above is one of these; both are needed to tell them apart again.
  WriteIfNotEmpty("start_error", record.info.error, out);
  if (record.info.exit) WriteIfNotEmpty("exit_error", record.info.exit->error, out);
  if (record.monitor.pid > 0) {
    out.Key("monitor").BeginObject();
    out.Key("pid").Int(record.monitor.pid);
    out.Key("start_time").Uint(record.monitor.start_time);
    out.EndObject();
  }
  WriteIfNotEmpty("boot_id", record.boot_id, out);
  if (record.ids.count > 0) {
    out.Key("id_map").BeginObject();
    out.Key("base").Uint(record.ids.base);
    out.Key("count").Uint(record.ids.count);
    out.EndObject();
  }
  if (record.starting) out.Key("starting").Bool(true);
  if (record.provisional) out.Key("provisional").Bool(true);
  if (record.stopped) out.Key("stopped").Bool(true);
  if (record.restart_row > 0) out.Key("restart_row").Int(record.restart_row);
  out.EndObject();
  return out.Take();
}

StatusOr<ContainerRecord> ParseRecord(std::string_view text) {
  json::ParseLimits limits;
  limits.max_bytes = 64u << 20;
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, limits));
  MBX_ASSIGN_OR_RETURN(const std::string id_text, root.GetString("id"));
  MBX_ASSIGN_OR_RETURN(ContainerId id, ContainerId::Parse(id_text));
  ContainerRecord record(std::move(id));
  ContainerInfo& info = record.info;
  MBX_ASSIGN_OR_RETURN(info.image, root.GetString("image"));
  MBX_ASSIGN_OR_RETURN(info.reference, root.GetString("reference", ""));
  MBX_ASSIGN_OR_RETURN(info.image_digest, root.GetString("image_digest", ""));
  // Older records have the command as one string (spec §5.1).
  if (const json::Value command = root.Get("command"); command.type() == json::Type::kString) {
    MBX_ASSIGN_OR_RETURN(std::string line, command.AsString());
    info.command = {std::move(line)};
  } else {
    MBX_ASSIGN_OR_RETURN(info.command, root.GetStringArray("command"));
  }
  MBX_ASSIGN_OR_RETURN(const int64_t pid, root.GetInt("pid", 0));
  info.pid = static_cast<int>(pid);
  MBX_ASSIGN_OR_RETURN(const std::string status, root.GetString("status"));
  MBX_ASSIGN_OR_RETURN(info.state, ParseState(status));
  MBX_ASSIGN_OR_RETURN(const auto created, ReadTime(root, "created_at"));
  info.created = created.value_or(TimePoint());
  MBX_ASSIGN_OR_RETURN(info.started, ReadTime(root, "started_at"));
  MBX_ASSIGN_OR_RETURN(const auto finished, ReadTime(root, "finished_at"));
  if (finished) {
    ExitStatus exit;
    exit.at = *finished;
    MBX_ASSIGN_OR_RETURN(const int64_t code, root.GetInt("exit_code", 0));
    exit.code = static_cast<int>(code);
    MBX_ASSIGN_OR_RETURN(const int64_t signal, root.GetInt("signal", 0));
    exit.signal = static_cast<int>(signal);
    MBX_ASSIGN_OR_RETURN(exit.oom_killed, root.GetBool("oom_killed", false));
    MBX_ASSIGN_OR_RETURN(exit.error, root.GetString("exit_error", ""));
    info.exit = std::move(exit);
  }
  MBX_ASSIGN_OR_RETURN(info.error, root.GetString("start_error", ""));
  MBX_ASSIGN_OR_RETURN(info.ports, ReadPorts(root.Get("ports")));
  MBX_ASSIGN_OR_RETURN(info.name, root.GetString("name", ""));
  MBX_ASSIGN_OR_RETURN(info.project, root.GetString("project", ""));
  MBX_ASSIGN_OR_RETURN(info.ip, root.GetString("ip", ""));
  for (const auto& [name, value] : root.Get("networks").Members()) {
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
  MBX_ASSIGN_OR_RETURN(info.labels, root.GetStringMap("labels"));
  MBX_ASSIGN_OR_RETURN(info.warnings, root.GetStringArray("warnings"));

  const json::Value monitor = root.Get("monitor");
  MBX_ASSIGN_OR_RETURN(const int64_t monitor_pid, monitor.GetInt("pid", -1));
  record.monitor.pid = static_cast<pid_t>(monitor_pid);
  MBX_ASSIGN_OR_RETURN(const int64_t start_time, monitor.GetInt("start_time", 0));
  record.monitor.start_time = static_cast<uint64_t>(start_time);
  MBX_ASSIGN_OR_RETURN(record.boot_id, root.GetString("boot_id", ""));
  MBX_ASSIGN_OR_RETURN(const int64_t base, root.Get("id_map").GetInt("base", 0));
  MBX_ASSIGN_OR_RETURN(const int64_t count, root.Get("id_map").GetInt("count", 0));
  record.ids.base = static_cast<uint32_t>(base);
  record.ids.count = static_cast<uint32_t>(count);
  MBX_ASSIGN_OR_RETURN(record.starting, root.GetBool("starting", false));
  MBX_ASSIGN_OR_RETURN(record.provisional, root.GetBool("provisional", false));
  MBX_RETURN_IF_ERROR(ReadPolicy(root, record));
  return record;
}

StatusOr<ExitStatus> ParseExit(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text));
  ExitStatus exit;
  MBX_ASSIGN_OR_RETURN(const int64_t code, root.GetInt("exit_code"));
  exit.code = static_cast<int>(code);
  MBX_ASSIGN_OR_RETURN(const int64_t signal, root.GetInt("signal", 0));
  exit.signal = static_cast<int>(signal);
  MBX_ASSIGN_OR_RETURN(exit.oom_killed, root.GetBool("oom_killed", false));
  MBX_ASSIGN_OR_RETURN(exit.error, root.GetString("error", ""));
  MBX_ASSIGN_OR_RETURN(const auto finished, ReadTime(root, "finished_at"));
  exit.at = finished.value_or(TimePoint());
  return exit;
}

}  // namespace minibox::runtime
