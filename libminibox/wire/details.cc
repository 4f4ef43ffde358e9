// SPDX-License-Identifier: Apache-2.0
#include "wire/details.h"

#include <string_view>

#include "core/clock.h"
#include "core/json.h"
#include "core/strings.h"
#include "wire/container.h"
#include "wire/run_request.h"

namespace minibox::wire {
namespace {

void WriteMounts(json::Writer& writer, const ContainerDetails& details) {
  writer.Key("mounts").BeginArray();
  for (const MountDetails& mount : details.mounts) {
    writer.BeginObject();
    writer.Key("type").String(mount.type);
    writer.Key("source").String(mount.source);
    if (!mount.name.empty()) writer.Key("name").String(mount.name);
    writer.Key("target").String(mount.target);
    writer.Key("options").String(mount.options);
    writer.EndObject();
  }
  writer.EndArray();
}

// Bytes, microseconds per 100 ms, counts; what has no limit is not there.
void WriteLimits(json::Writer& writer, const ContainerDetails& details) {
  writer.Key("limits").BeginObject();
  if (details.limits) {
    const LimitDetails& limits = *details.limits;
    const auto number = [&](std::string_view key, const std::optional<int64_t>& value) {
      if (value) writer.Key(key).Int(*value);
    };
    number("memory_bytes", limits.memory_bytes);
    number("memory_swap_bytes", limits.memory_swap_bytes);
    number("cpu_quota_usec", limits.cpu_quota_us);
    if (!limits.cpuset.empty()) writer.Key("cpuset").String(limits.cpuset);
    if (limits.io_weight) writer.Key("io_weight").Int(*limits.io_weight);
    number("pids", limits.pids);
  }
  writer.EndObject();
}

void WriteSecurity(json::Writer& writer, const SecurityDetails& security) {
  writer.Key("security").BeginObject();
  writer.Key("capabilities").StringArray(security.capabilities);
  writer.Key("seccomp").String(security.seccomp);
  writer.Key("no_new_privs").Bool(security.no_new_privs);
  writer.Key("userns").String(security.userns);
  writer.Key("id_map").BeginArray();
  for (const IdMapping& map : security.id_map) {
    writer.BeginObject();
    writer.Key("container_id").Uint(map.container_id);
    writer.Key("host_id").Uint(map.host_id);
    writer.Key("size").Uint(map.size);
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
}

void WriteHealthLog(json::Writer& writer, const HealthLog& log) {
  writer.Key("health_log").BeginObject();
  writer.Key("failing_streak").Int(log.failing_streak);
  writer.Key("probes").BeginArray();
  for (const HealthProbe& probe : log.probes) {
    writer.BeginObject();
    writer.Key("start").String(core::FormatTime(probe.start));
    writer.Key("end").String(core::FormatTime(probe.end));
    writer.Key("exit_code").Int(probe.exit_code);
    writer.Key("output").String(core::ReplaceInvalidUtf8(probe.output));
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
}

}  // namespace

std::string ToJson(const ContainerDetails& details) {
  json::Writer writer;
  writer.BeginObject();
  RunRequest request;
  request.spec = details.config;
  writer.Key("config").Raw(ToJson(request));
  WriteMounts(writer, details);
  WriteLimits(writer, details);
  WriteSecurity(writer, details.security);
  writer.Key("cgroup").String(details.cgroup);
  writer.Key("log_path").String(details.log_path);
  if (details.size_rw) writer.Key("size_rw").Uint(*details.size_rw);
  if (details.config.healthcheck) WriteHealthLog(writer, details.health_log);
  if (details.info.warnings.empty()) writer.Key("warnings").StringArray({});
  writer.EndObject();
  // Both are objects: one continues where the other ends.
  std::string text = ToJson(details.info);
  const std::string more = writer.Take();
  text.back() = ',';
  return text + more.substr(1);
}

}  // namespace minibox::wire
