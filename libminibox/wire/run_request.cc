// SPDX-License-Identifier: Apache-2.0
#include "wire/run_request.h"

#include <chrono>
#include <utility>

#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "wire/fields.h"
#include "wire/mounts.h"
#include "wire/policies.h"
#include "wire/ports.h"
#include "wire/resources.h"

namespace minibox::wire {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kMaxShmMib = 1048576;
constexpr int64_t kMaxStopTimeoutS = 600;
constexpr uint64_t kMib = uint64_t{1} << 20;

Status WithField(std::string_view field, const Status& status) {
  return status.WithContext(field).WithField(field);
}

void ReadPorts(FieldReader& fields, RunRequest* request) {
  std::vector<std::pair<std::string, std::vector<std::string>>> entries;
  fields.ListMap("ports", &entries);
  for (const auto& [host, containers] : entries) {
    const std::string origin = EntryName("ports", host);
    for (const std::string& container : containers) {
      auto parsed = ParsePorts(host, container);
      if (!parsed.ok()) return fields.Fail(WithField(origin, parsed.status()));
      for (PortMapping& port : *parsed) request->spec.ports.push_back(std::move(port));
    }
  }
}

void ReadTimes(FieldReader& fields, ContainerSpec* spec) {
  std::optional<int64_t> stop_timeout;
  fields.OptionalInt("stop_timeout", 0, kMaxStopTimeoutS, &stop_timeout);
  if (stop_timeout) spec->stop_timeout = std::chrono::seconds(*stop_timeout);

  std::optional<milliseconds> timeout;
  ReadDuration(fields, "timeout", &timeout);
  spec->timeout = timeout.value_or(milliseconds(0));
}

void ReadSecurity(FieldReader& fields, Security* security) {
  fields.TextList("cap_add", &security->cap_add);
  fields.TextList("cap_drop", &security->cap_drop);
  fields.Bool("privileged", &security->privileged);
  fields.Bool("read_only", &security->read_only_rootfs);

  const json::Value seccomp = fields.Raw("seccomp");
  if (seccomp.type() == json::Type::kObject && seccomp.size() > 0) {
    security->seccomp = Security::Seccomp::kProfile;
    security->seccomp_profile = seccomp.Dump();
  } else if (!IsZero(seccomp)) {
    const auto profile = seccomp.AsString();
    if (!profile.ok()) {
      fields.Fail(InvalidRequest("seccomp", "expected a string or an object"));
    } else if (*profile == "unconfined") {
      security->seccomp = Security::Seccomp::kUnconfined;
    } else if (*profile != "default") {
      fields.Fail(InvalidField("seccomp", "must be 'default', 'unconfined' or a profile"));
    }
  }

  std::string userns;
  fields.Text("userns", &userns);
  if (!userns.empty() && userns != "auto" && userns != "host") {
    fields.Fail(InvalidField("userns", "must be 'auto' or 'host'"));
  }
  // Privileged means the host's ids unless the request says otherwise (spec §12.3).
  security->host_userns = userns == "host" || (security->privileged && userns.empty());
}

std::string DurationText(milliseconds duration) { return core::StrCat(duration.count(), "ms"); }

void WriteSecurity(json::Writer& writer, const Security& security) {
  if (!security.cap_add.empty()) writer.Key("cap_add").StringArray(security.cap_add);
  if (!security.cap_drop.empty()) writer.Key("cap_drop").StringArray(security.cap_drop);
  if (security.seccomp == Security::Seccomp::kUnconfined) {
    writer.Key("seccomp").String("unconfined");
  } else if (security.seccomp == Security::Seccomp::kProfile) {
    writer.Key("seccomp").Raw(security.seccomp_profile);
  }
  if (security.privileged) writer.Key("privileged").Bool(true);
  if (security.read_only_rootfs) writer.Key("read_only").Bool(true);
  if (security.host_userns != security.privileged) {
    writer.Key("userns").String(security.host_userns ? "host" : "auto");
  }
}

}  // namespace

StatusOr<RunRequest> ParseRunRequest(std::string_view body, size_t* end) {
  MBX_ASSIGN_OR_RETURN(FieldReader fields, FieldReader::Parse(body, Strictness::kPublished, end));
  RunRequest request;
  ContainerSpec& spec = request.spec;
  fields.Text("image", &spec.image);
  MBX_RETURN_IF_ERROR(fields.status());
  if (core::TrimSpace(spec.image).empty()) {
    return Status(StatusCode::kInvalidArgument, "Image name is required",
                  {.reason = "missing_argument", .field = "image"});
  }
  fields.TextList("command", &spec.command, Chars::kText);
  std::vector<std::string> entrypoint;
  fields.TextList("entrypoint", &entrypoint, Chars::kText);
  if (!entrypoint.empty()) spec.entrypoint = std::move(entrypoint);
  fields.Bool("detached", &request.detached);
  fields.Bool("interactive", &spec.open_stdin);
  std::optional<bool> tty;
  fields.OptionalBool("tty", &tty);
  spec.tty = tty.value_or(spec.open_stdin);
  ReadLimits(fields, &spec.resources);
  fields.TextMap("ulimits", &spec.ulimits);
  fields.TextMap("sysctls", &spec.sysctls);
  ReadPorts(fields, &request);
  fields.TextList("env", &spec.env, Chars::kText);
  ReadMounts(fields, &spec.mounts);
  int64_t shm_mib = 0;
  fields.Int("shm_size", 1, kMaxShmMib, &shm_mib);
  if (shm_mib != 0) spec.shm_bytes = static_cast<uint64_t>(shm_mib) * kMib;
  fields.Text("user", &spec.user);
  fields.Text("workdir", &spec.working_dir);
  fields.Text("name", &spec.name);
  fields.Text("project", &spec.project);
  fields.Bool("unique_name", &spec.unique_name);
  fields.Text("hostname", &spec.hostname);
  fields.TextMap("labels", &spec.labels);
  fields.Text("network", &spec.network);
  fields.Text("ip", &spec.ip);
  fields.Text("mac", &spec.mac);
  fields.TextList("dns", &spec.dns);
  fields.TextList("extra_hosts", &spec.extra_hosts);
  fields.Bool("rm", &spec.remove_on_exit);
  // A number names a signal as well as its name does.
  const json::Value signal = fields.Raw("stop_signal");
  if (signal.type() == json::Type::kNumber) {
    spec.stop_signal = IsZero(signal) ? "" : signal.Dump();
  } else {
    fields.Text("stop_signal", &spec.stop_signal);
  }
  ReadTimes(fields, &spec);
  std::string on_disconnect;
  fields.Text("on_disconnect", &on_disconnect);
  // What a terminal was opened for is not to be lost with it.
  if (on_disconnect.empty() && spec.open_stdin && !spec.remove_on_exit) {
    request.on_disconnect = OnDisconnect::kKeep;
  }
  if (on_disconnect == "keep") {
    request.on_disconnect = OnDisconnect::kKeep;
  } else if (!on_disconnect.empty() && on_disconnect != "kill") {
    fields.Fail(InvalidField("on_disconnect", "must be 'kill' or 'keep'"));
  }
  ReadSecurity(fields, &spec.security);
  std::optional<bool> init;
  fields.OptionalBool("init", &init);
  spec.init = init.value_or(true);
  fields.Bool("publish_all", &spec.publish_all);
  fields.TextList("devices", &spec.devices);
  fields.Bool("db_mode", &spec.db_mode);
  ReadPolicies(fields, &spec);
  MBX_RETURN_IF_ERROR(fields.Finish());
  request.unknown_fields = fields.Unknown();
  return request;
}

std::string ToJson(const RunRequest& request) {
  const ContainerSpec defaults;
  const ContainerSpec& spec = request.spec;
  json::Writer writer;
  const auto text = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) writer.Key(key).String(value);
  };
  const auto list = [&](std::string_view key, const std::vector<std::string>& values) {
    if (!values.empty()) writer.Key(key).StringArray(values);
  };
  const auto map = [&](std::string_view key, const std::map<std::string, std::string>& values) {
    if (!values.empty()) writer.Key(key).StringMap(values);
  };
  const auto flag = [&](std::string_view key, bool value) {
    if (value) writer.Key(key).Bool(true);
  };
  writer.BeginObject();
  text("image", spec.image);
  list("command", spec.command);
  if (spec.entrypoint) list("entrypoint", *spec.entrypoint);
  flag("detached", request.detached);
  flag("interactive", spec.open_stdin);
  if (spec.tty != spec.open_stdin) writer.Key("tty").Bool(spec.tty);
  WriteLimits(writer, spec.resources);
  map("ulimits", spec.ulimits);
  map("sysctls", spec.sysctls);
  if (!spec.ports.empty()) {
    std::map<std::string, std::vector<std::string>> ports;
    for (const PortMapping& port : spec.ports) ports[HostSide(port)].push_back(ContainerSide(port));
    writer.Key("ports").BeginObject();
    for (const auto& [host, containers] : ports) writer.Key(host).StringArray(containers);
    writer.EndObject();
  }
  list("env", spec.env);
  WriteMounts(writer, spec.mounts);
  if (spec.shm_bytes != defaults.shm_bytes) {
    writer.Key("shm_size").Uint((spec.shm_bytes + kMib - 1) / kMib);
  }
  text("user", spec.user);
  text("workdir", spec.working_dir);
  text("name", spec.name);
  text("project", spec.project);
  flag("unique_name", spec.unique_name);
  text("hostname", spec.hostname);
  map("labels", spec.labels);
  if (spec.network != defaults.network) text("network", spec.network);
  text("ip", spec.ip);
  text("mac", spec.mac);
  list("dns", spec.dns);
  list("extra_hosts", spec.extra_hosts);
  flag("rm", spec.remove_on_exit);
  text("stop_signal", spec.stop_signal);
  if (spec.stop_timeout) {
    writer.Key("stop_timeout")
        .Int(std::chrono::ceil<std::chrono::seconds>(*spec.stop_timeout).count());
  }
  if (spec.timeout.count() != 0) text("timeout", DurationText(spec.timeout));
  const bool kept_by_default = spec.open_stdin && !spec.remove_on_exit;
  if ((request.on_disconnect == OnDisconnect::kKeep) != kept_by_default) {
    text("on_disconnect", kept_by_default ? "kill" : "keep");
  }
  WriteSecurity(writer, spec.security);
  if (!spec.init) writer.Key("init").Bool(false);
  flag("publish_all", spec.publish_all);
  list("devices", spec.devices);
  flag("db_mode", spec.db_mode);
  WritePolicies(writer, spec);
  writer.EndObject();
  return writer.Take();
}

}  // namespace minibox::wire
