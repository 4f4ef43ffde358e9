// SPDX-License-Identifier: Apache-2.0
#include "compose/service_reader.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "compose/service_mounts.h"
#include "core/errors.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/port_text.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::compose {
namespace {

namespace fs = std::filesystem;
using core::StrCat;

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kCpuPeriodUs = 100'000;
constexpr size_t kMaxEnvFile = 1u << 20;
constexpr double kMaxCpus = 1024;

class ServiceReader {
 public:
  ServiceReader(const ServiceContext& context, std::string name)
      : context_(context), fields_(context.fields) {
    service_.name = std::move(name);
  }
  StatusOr<Service> Read(const Member& member);

 private:
  using Reader = ServiceReader;
  using Handler = Status (*)(Reader&, const Node&);
  struct Row {
    std::string_view key;
    Handler handler;
  };
  static const Row kRows[];
  template <auto method>
  static Status Call(Reader& reader, const Node& node) {
    return (reader.*method)(node);
  }

  ContainerSpec& spec() { return service_.spec; }
  // What needs no more than its type.
  Status Put(std::string_view key, const Node& node, std::string* out) {
    MBX_ASSIGN_OR_RETURN(*out, fields_.Text(key, node));
    return Status();
  }
  Status Put(std::string_view key, const Node& node, bool* out) {
    MBX_ASSIGN_OR_RETURN(*out, fields_.Bool(key, node));
    return Status();
  }
  Status Put(std::string_view key, const Node& node, std::vector<std::string>* out) {
    MBX_ASSIGN_OR_RETURN(*out, fields_.TextList(key, node));
    return Status();
  }

  Status Image(const Node& node);
  Status Build(const Node& node);
  Status Command(const Node& node);
  Status Entrypoint(const Node& node);
  Status Environment(const Node& node);
  Status EnvFile(const Node& node);
  Status LabelsOf(const Node& node);
  Status Ports(const Node& node);
  Status Expose(const Node& node);
  Status Volumes(const Node& node);
  Status Tmpfs(const Node& node);
  Status Networks(const Node& node);
  Status NetworkMode(const Node& node);
  Status DependsOn(const Node& node);
  Status Health(const Node& node);
  Status Deploy(const Node& node);
  Status MemoryLimit(const Node& node);
  Status Cpus(const Node& node);
  Status PidsLimit(const Node& node);
  Status Secrets(const Node& node);
  Status Configs(const Node& node);
  Status Restart(const Node& node);
  Status UsernsMode(const Node& node);
  Status StopSignal(const Node& node);
  Status StopGracePeriod(const Node& node);
  Status PlatformOf(const Node& node);
  Status PullPolicyOf(const Node& node);
  Status Dns(const Node& node);
  Status ExtraHosts(const Node& node);
  Status SecurityOpt(const Node& node);
  Status Sysctls(const Node& node);
  Status Ulimits(const Node& node);
  Status ShmSize(const Node& node);
  Status OomScoreAdj(const Node& node);
  Status IoWeight(const Node& node);
  Status Data(const Node& node);

  Status Port(const Node& node);
  Status PortPair(Position at, std::string_view host, std::string_view container);
  Status Mounted(std::string_view what, const std::map<std::string, fs::path>& files,
                 std::string_view folder, const Node& node);
  Status Finish(Position at);

  const ServiceContext& context_;
  const Fields& fields_;
  Service service_;
  std::map<std::string, std::optional<std::string>> from_files_, environment_;
  bool has_network_mode_ = false;
};

const ServiceReader::Row ServiceReader::kRows[] = {
    {"image", Call<&ServiceReader::Image>},
    {"build", Call<&ServiceReader::Build>},
    {"command", Call<&ServiceReader::Command>},
    {"entrypoint", Call<&ServiceReader::Entrypoint>},
    {"environment", Call<&ServiceReader::Environment>},
    {"env_file", Call<&ServiceReader::EnvFile>},
    {"labels", Call<&ServiceReader::LabelsOf>},
    {"ports", Call<&ServiceReader::Ports>},
    {"expose", Call<&ServiceReader::Expose>},
    {"volumes", Call<&ServiceReader::Volumes>},
    {"tmpfs", Call<&ServiceReader::Tmpfs>},
    {"networks", Call<&ServiceReader::Networks>},
    {"network_mode", Call<&ServiceReader::NetworkMode>},
    {"depends_on", Call<&ServiceReader::DependsOn>},
    {"healthcheck", Call<&ServiceReader::Health>},
    {"deploy", Call<&ServiceReader::Deploy>},
    {"mem_limit", Call<&ServiceReader::MemoryLimit>},
    {"cpus", Call<&ServiceReader::Cpus>},
    {"cpuset",
     [](Reader& r, const Node& n) { return r.Put("cpuset", n, &r.spec().resources.cpuset); }},
    {"pids_limit", Call<&ServiceReader::PidsLimit>},
    {"secrets", Call<&ServiceReader::Secrets>},
    {"configs", Call<&ServiceReader::Configs>},
    {"profiles",
     [](Reader& r, const Node& n) { return r.Put("profiles", n, &r.service_.profiles); }},
    {"restart", Call<&ServiceReader::Restart>},
    {"user", [](Reader& r, const Node& n) { return r.Put("user", n, &r.spec().user); }},
    {"working_dir",
     [](Reader& r, const Node& n) { return r.Put("working_dir", n, &r.spec().working_dir); }},
    {"hostname", [](Reader& r, const Node& n) { return r.Put("hostname", n, &r.spec().hostname); }},
    {"container_name",
     [](Reader& r, const Node& n) { return r.Put("container_name", n, &r.spec().name); }},
    {"init", [](Reader& r, const Node& n) { return r.Put("init", n, &r.spec().init); }},
    {"tty", [](Reader& r, const Node& n) { return r.Put("tty", n, &r.spec().tty); }},
    {"stdin_open",
     [](Reader& r, const Node& n) { return r.Put("stdin_open", n, &r.spec().open_stdin); }},
    {"privileged",
     [](Reader& r,
        const Node& n) { return r.Put("privileged", n, &r.spec().security.privileged); }},
    {"read_only",
     [](Reader& r,
        const Node& n) { return r.Put("read_only", n, &r.spec().security.read_only_rootfs); }},
    {"userns_mode", Call<&ServiceReader::UsernsMode>},
    {"stop_signal", Call<&ServiceReader::StopSignal>},
    {"stop_grace_period", Call<&ServiceReader::StopGracePeriod>},
    {"platform", Call<&ServiceReader::PlatformOf>},
    {"pull_policy", Call<&ServiceReader::PullPolicyOf>},
    {"devices", [](Reader& r, const Node& n) { return r.Put("devices", n, &r.spec().devices); }},
    {"dns", Call<&ServiceReader::Dns>},
    {"extra_hosts", Call<&ServiceReader::ExtraHosts>},
    {"cap_add",
     [](Reader& r, const Node& n) { return r.Put("cap_add", n, &r.spec().security.cap_add); }},
    {"cap_drop",
     [](Reader& r, const Node& n) { return r.Put("cap_drop", n, &r.spec().security.cap_drop); }},
    {"security_opt", Call<&ServiceReader::SecurityOpt>},
    {"sysctls", Call<&ServiceReader::Sysctls>},
    {"ulimits", Call<&ServiceReader::Ulimits>},
    {"db_mode", [](Reader& r, const Node& n) { return r.Put("db_mode", n, &r.spec().db_mode); }},
    {"shm_size", Call<&ServiceReader::ShmSize>},
    {"oom_score_adj", Call<&ServiceReader::OomScoreAdj>},
    {"io_weight", Call<&ServiceReader::IoWeight>},
    {"data", Call<&ServiceReader::Data>},
};

Status ServiceReader::Image(const Node& node) {
  MBX_ASSIGN_OR_RETURN(spec().image, fields_.Text("image", node));
  const auto reference = ImageRef::Parse(spec().image);
  return reference.ok() ? Status()
                        : fields_.Error(node.at, StrCat("image: ", reference.status().message()));
}

Status ServiceReader::Build(const Node& node) {
  BuildSource build;
  std::string context = ".", file = "MiniBox";
  Position at = node.at;
  if (node.kind == Node::Kind::kScalar) {
    MBX_ASSIGN_OR_RETURN(context, fields_.Text("build", node));
  } else {
    MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map("build", node));
    fields_.WarnUnknown(node, "of build",
                        {"context", "minibox", "args", "target", "labels", "secrets"});
    for (const auto& [key, key_at, value] : *members) {
      if (key == "context") {
        MBX_ASSIGN_OR_RETURN(context, fields_.Text("build.context", value));
        at = value.at;
      } else if (key == "minibox") {
        MBX_ASSIGN_OR_RETURN(file, fields_.Text("build.minibox", value));
      } else if (key == "target") {
        MBX_ASSIGN_OR_RETURN(build.target, fields_.Text("build.target", value));
      } else if (key == "args") {
        MBX_ASSIGN_OR_RETURN(const auto pairs, fields_.KeyValues("build.args", value));
        for (const auto& [name, text] : pairs) {
          const auto own = text ? text : context_.environment(name);
          if (own) build.args[name] = *own;
        }
      } else if (key == "labels") {
        MBX_ASSIGN_OR_RETURN(const auto pairs, fields_.KeyValues("build.labels", value));
        for (const auto& [name, text] : pairs) build.labels[name] = text.value_or("");
      } else if (key == "secrets") {
        MBX_ASSIGN_OR_RETURN(const auto names, fields_.TextList("build.secrets", value));
        for (const std::string& name : names) {
          const auto found = context_.secrets.find(name);
          if (found == context_.secrets.end()) {
            return fields_.Error(value.at,
                                 StrCat("build.secrets: there is no secret '", name, "'"));
          }
          build.secrets[name] = found->second;
        }
      }
    }
  }
  MBX_ASSIGN_OR_RETURN(build.context, ResolveFile(context_, at, context));
  build.file = fs::path(file).is_absolute() ? fs::path(file) : build.context / file;
  service_.build = std::move(build);
  return Status();
}

Status ServiceReader::Command(const Node& node) {
  MBX_ASSIGN_OR_RETURN(spec().command, fields_.Words("command", node));
  return Status();
}

Status ServiceReader::Entrypoint(const Node& node) {
  MBX_ASSIGN_OR_RETURN(auto words, fields_.Words("entrypoint", node));
  // None at all, not the image's.
  if (words.empty()) words = {""};
  spec().entrypoint = std::move(words);
  return Status();
}

Status ServiceReader::Environment(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const auto pairs, fields_.KeyValues("environment", node));
  for (const auto& [key, value] : pairs) environment_[key] = value;
  return Status();
}

Status ServiceReader::EnvFile(const Node& node) {
  std::vector<Node> entries = node.kind == Node::Kind::kList ? node.items : std::vector{node};
  for (const Node& entry : entries) {
    const Node* path = &entry;
    bool required = true;
    if (entry.kind == Node::Kind::kMap) {
      fields_.WarnUnknown(entry, "of env_file", {"path", "required"});
      path = entry.Find("path");
      if (path == nullptr) return fields_.Error(entry.at, "env_file needs a path");
      if (const Node* flag = entry.Find("required"); flag != nullptr) {
        MBX_ASSIGN_OR_RETURN(required, fields_.Bool("env_file.required", *flag));
      }
    }
    MBX_ASSIGN_OR_RETURN(const std::string text, fields_.Text("env_file", *path));
    MBX_ASSIGN_OR_RETURN(const fs::path file, ResolveFile(context_, path->at, text));
    const auto content = ReadProjectFile(file, kMaxEnvFile);
    if (!content.ok()) {
      if (!required && content.status().code() == StatusCode::kNotFound) continue;
      return fields_.Error(path->at, StrCat("env_file: ", content.status().message()));
    }
    const auto variables = ParseEnvFile(*content, file.string(), context_.environment);
    if (!variables.ok()) return fields_.Error(path->at, variables.status().message());
    for (const auto& [key, value] : *variables) from_files_[key] = value;
    service_.files.push_back(file);
  }
  return Status();
}

Status ServiceReader::LabelsOf(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const auto pairs, fields_.KeyValues("labels", node));
  for (const auto& [key, value] : pairs) {
    spec().labels[key] = value ? *value : context_.environment(key).value_or("");
  }
  return Status();
}

Status ServiceReader::PortPair(Position at, std::string_view host, std::string_view container) {
  const auto ports = core::ParsePorts(host, container);
  if (!ports.ok()) return fields_.Error(at, StrCat("ports: ", ports.status().message()));
  spec().ports.insert(spec().ports.end(), ports->begin(), ports->end());
  return Status();
}

Status ServiceReader::Port(const Node& node) {
  if (node.kind == Node::Kind::kMap) {
    std::string target, published, host_ip, protocol = "tcp";
    fields_.WarnUnknown(node, "of ports", {"target", "published", "host_ip", "protocol"});
    for (const auto& [key, at, value] : node.members) {
      std::string* const out = key == "target"      ? &target
                               : key == "published" ? &published
                               : key == "host_ip"   ? &host_ip
                               : key == "protocol"  ? &protocol
                                                    : nullptr;
      if (out == nullptr) continue;
      MBX_ASSIGN_OR_RETURN(*out, fields_.Text(StrCat("ports.", key), value));
    }
    if (target.empty()) return fields_.Error(node.at, "ports needs a target");
    std::string host = published.empty() ? "0" : published;
    if (!host_ip.empty()) {
      host = host_ip.find(':') == host_ip.npos ? StrCat(host_ip, ":", host)
                                               : StrCat("[", host_ip, "]:", host);
    }
    return PortPair(node.at, host, StrCat(target, "/", protocol));
  }
  MBX_ASSIGN_OR_RETURN(const std::string text, fields_.Text("each of ports", node));
  // [[ip:]host:]container[/proto]
  const size_t colon = text.rfind(':');
  if (colon != text.npos) {
    std::string host = text.substr(0, colon);
    // "127.0.0.1::80": a free port of that address.
    if (host.ends_with(':')) host += '0';
    return PortPair(node.at, host, text.substr(colon + 1));
  }
  // No host port: each of the range gets a free one.
  const size_t slash = text.find('/');
  const std::string_view range = std::string_view(text).substr(0, slash);
  const std::string protocol = slash == text.npos ? "" : text.substr(slash);
  const size_t dash = range.find('-');
  const auto first = core::ParseUint64(range.substr(0, dash));
  const auto last = dash == range.npos ? first : core::ParseUint64(range.substr(dash + 1));
  if (!first || !last || *first > *last || *last > 65535) return PortPair(node.at, "0", text);
  for (uint64_t port = *first; port <= *last; ++port) {
    MBX_RETURN_IF_ERROR(PortPair(node.at, "0", StrCat(port, protocol)));
  }
  return Status();
}

Status ServiceReader::Ports(const Node& node) {
  if (node.kind == Node::Kind::kNull) return Status();
  if (node.kind != Node::Kind::kList) return fields_.Expected("ports", node, "a list");
  for (const Node& item : node.items) MBX_RETURN_IF_ERROR(Port(item));
  return Status();
}

Status ServiceReader::Expose(const Node& node) {
  return fields_.TextList("expose", node).status();  // only information
}

Status ServiceReader::Volumes(const Node& node) { return ReadVolumes(context_, node, &service_); }

Status ServiceReader::Tmpfs(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const auto list, fields_.TextOrList("tmpfs", node));
  for (const std::string& text : list) {
    const size_t colon = text.find(':');
    spec().mounts.push_back({.kind = Mount::Kind::kTmpfs,
                             .target = text.substr(0, colon),
                             .options = colon == text.npos ? "" : text.substr(colon + 1)});
  }
  return Status();
}

Status ServiceReader::Networks(const Node& node) {
  std::vector<std::string> aliases;
  if (node.kind == Node::Kind::kMap) {
    for (const auto& [key, at, value] : node.members) {
      service_.network_keys.push_back(key);
      MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map(StrCat("networks.", key), value));
      fields_.WarnUnknown(value, "of a service's network", {"aliases", "ipv4_address"});
      for (const auto& [name, name_at, setting] : *members) {
        if (name == "aliases") {
          MBX_ASSIGN_OR_RETURN(const auto list, fields_.TextList("aliases", setting));
          aliases.insert(aliases.end(), list.begin(), list.end());
        } else if (name == "ipv4_address") {
          if (service_.network_keys.size() != 1) {
            return fields_.Error(setting.at, "ipv4_address is of the first network only");
          }
          MBX_ASSIGN_OR_RETURN(spec().ip, fields_.Text("ipv4_address", setting));
        }
      }
    }
  } else {
    MBX_ASSIGN_OR_RETURN(service_.network_keys, fields_.TextList("networks", node));
  }
  for (const std::string& key : service_.network_keys) {
    if (context_.project.FindNetwork(key) == nullptr) {
      return fields_.Error(node.at, StrCat("there is no network '", core::EscapeControl(key), "'"));
    }
  }
  if (!aliases.empty()) spec().labels["minibox.aliases"] = core::StrJoin(aliases, ",");
  return Status();
}

Status ServiceReader::NetworkMode(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const std::string mode, fields_.Text("network_mode", node));
  has_network_mode_ = true;
  constexpr std::string_view kService = "service:";
  if (mode.starts_with(kService)) {
    service_.network_service = mode.substr(kService.size());
    return Status();
  }
  if (mode != "bridge" && mode != "none" && mode != "host" && !mode.starts_with("container:")) {
    return fields_.Expected("network_mode", node,
                            "bridge, none, host, service:<service> or container:<id>");
  }
  spec().network = mode;
  return Status();
}

Status ServiceReader::DependsOn(const Node& node) {
  if (node.kind != Node::Kind::kMap) {
    MBX_ASSIGN_OR_RETURN(const auto names, fields_.TextList("depends_on", node));
    for (const std::string& name : names) service_.depends_on.push_back({.service = name});
    return Status();
  }
  for (const auto& [name, at, value] : node.members) {
    Dependency dependency{.service = name};
    MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map(StrCat("depends_on.", name), value));
    fields_.WarnUnknown(value, "of depends_on", {"condition", "required"});
    for (const auto& [key, key_at, setting] : *members) {
      if (key == "required") {
        MBX_ASSIGN_OR_RETURN(dependency.required, fields_.Bool("required", setting));
      } else if (key == "condition") {
        MBX_ASSIGN_OR_RETURN(const std::string text, fields_.Text("condition", setting));
        if (text == "service_healthy") {
          dependency.condition = Condition::kHealthy;
        } else if (text == "service_completed_successfully") {
          dependency.condition = Condition::kCompleted;
        } else if (text != "service_started") {
          return fields_.Expected(
              "condition", setting,
              "service_started, service_healthy or service_completed_successfully");
        }
      }
    }
    service_.depends_on.push_back(std::move(dependency));
  }
  return Status();
}

Status ServiceReader::Health(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map("healthcheck", node));
  fields_.WarnUnknown(node, "of healthcheck",
                      {"test", "interval", "timeout", "retries", "start_period", "disable"});
  HealthCheck check;
  bool disable = false;
  for (const auto& [key, at, value] : *members) {
    if (key == "test") {
      if (value.kind == Node::Kind::kScalar) {
        check.test = {"CMD-SHELL", value.text};
      } else {
        MBX_ASSIGN_OR_RETURN(check.test, fields_.TextList("healthcheck.test", value));
      }
    } else if (key == "interval") {
      MBX_ASSIGN_OR_RETURN(check.interval, fields_.Duration("healthcheck.interval", value));
    } else if (key == "timeout") {
      MBX_ASSIGN_OR_RETURN(check.timeout, fields_.Duration("healthcheck.timeout", value));
    } else if (key == "start_period") {
      MBX_ASSIGN_OR_RETURN(check.start_period, fields_.Duration("healthcheck.start_period", value));
    } else if (key == "retries") {
      MBX_ASSIGN_OR_RETURN(const int64_t count, fields_.Int("healthcheck.retries", value, 1, 1000));
      check.retries = static_cast<int>(count);
    } else if (key == "disable") {
      MBX_ASSIGN_OR_RETURN(disable, fields_.Bool("healthcheck.disable", value));
    }
  }
  if (disable) check = {.test = {"NONE"}};
  spec().healthcheck = std::move(check);
  return Status();
}

Status ServiceReader::Deploy(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map("deploy", node));
  fields_.WarnUnknown(node, "of deploy", {"resources"});
  for (const auto& [key, at, value] : *members) {
    if (key != "resources") continue;
    MBX_ASSIGN_OR_RETURN(const auto* kinds, fields_.Map("deploy.resources", value));
    fields_.WarnUnknown(value, "of deploy.resources", {"limits"});
    for (const auto& [kind, kind_at, limits] : *kinds) {
      if (kind != "limits") continue;
      MBX_ASSIGN_OR_RETURN(const auto* list, fields_.Map("deploy.resources.limits", limits));
      fields_.WarnUnknown(limits, "of limits", {"cpus", "memory", "pids"});
      for (const auto& [name, name_at, limit] : *list) {
        if (name == "cpus") MBX_RETURN_IF_ERROR(Cpus(limit));
        if (name == "memory") MBX_RETURN_IF_ERROR(MemoryLimit(limit));
        if (name == "pids") MBX_RETURN_IF_ERROR(PidsLimit(limit));
      }
    }
  }
  return Status();
}

Status ServiceReader::MemoryLimit(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const int64_t bytes, fields_.Bytes("memory limit", node));
  if (bytes > 0) spec().resources.memory_bytes = bytes;
  return Status();
}

Status ServiceReader::Cpus(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const double cores, fields_.Number("cpus", node));
  if (cores > kMaxCpus) return fields_.Expected("cpus", node, "at most 1024");
  if (cores > 0) spec().resources.cpu_quota_us = std::llround(cores * kCpuPeriodUs);
  return Status();
}

Status ServiceReader::PidsLimit(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const int64_t pids, fields_.Int("pids limit", node, -1, int64_t{1} << 22));
  spec().resources.pids = pids;
  return Status();
}

Status ServiceReader::Mounted(std::string_view what, const std::map<std::string, fs::path>& files,
                              std::string_view folder, const Node& node) {
  if (node.kind == Node::Kind::kNull) return Status();
  if (node.kind != Node::Kind::kList) return fields_.Expected(what, node, "a list");
  for (const Node& item : node.items) {
    std::string source, target;
    if (item.kind == Node::Kind::kMap) {
      fields_.WarnUnknown(item, StrCat("of ", what), {"source", "target"});
      const Node* const from = item.Find("source");
      if (from == nullptr) return fields_.Error(item.at, StrCat(what, " needs a source"));
      MBX_ASSIGN_OR_RETURN(source, fields_.Text(StrCat(what, ".source"), *from));
      if (const Node* to = item.Find("target"); to != nullptr) {
        MBX_ASSIGN_OR_RETURN(target, fields_.Text(StrCat(what, ".target"), *to));
      }
    } else {
      MBX_ASSIGN_OR_RETURN(source, fields_.Text(StrCat("each of ", what), item));
    }
    const auto found = files.find(source);
    if (found == files.end()) {
      return fields_.Error(item.at, StrCat("there is nothing called '", core::EscapeControl(source),
                                           "' in the top-level ", what));
    }
    if (target.empty()) target = source;
    if (!target.starts_with('/')) target = StrCat(folder, target);
    spec().mounts.push_back({.kind = Mount::Kind::kBind,
                             .source = found->second.string(),
                             .target = target,
                             .options = "ro"});
    service_.files.push_back(found->second);
  }
  return Status();
}

Status ServiceReader::Secrets(const Node& node) {
  return Mounted("secrets", context_.secrets, "/run/secrets/", node);
}

Status ServiceReader::Configs(const Node& node) {
  return Mounted("configs", context_.configs, "/", node);
}

Status ServiceReader::Restart(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const std::string text, fields_.Text("restart", node));
  const auto policy = RestartPolicy::Parse(text);
  if (!policy.ok()) return fields_.Error(node.at, policy.status().message());
  spec().restart = *policy;
  return Status();
}

Status ServiceReader::UsernsMode(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const std::string mode, fields_.Text("userns_mode", node));
  if (mode != "host" && mode != "auto")
    return fields_.Expected("userns_mode", node, "auto or host");
  spec().security.host_userns = mode == "host";
  return Status();
}

Status ServiceReader::StopSignal(const Node& node) {
  MBX_ASSIGN_OR_RETURN(spec().stop_signal, fields_.Text("stop_signal", node));
  if (!core::ParseSignal(spec().stop_signal)) {
    return fields_.Expected("stop_signal", node, "a signal such as SIGTERM");
  }
  return Status();
}

Status ServiceReader::StopGracePeriod(const Node& node) {
  MBX_ASSIGN_OR_RETURN(spec().stop_timeout, fields_.Duration("stop_grace_period", node));
  return Status();
}

Status ServiceReader::PlatformOf(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const std::string text, fields_.Text("platform", node));
  const auto parts = core::StrSplit(text, '/');
  if (parts.size() < 2 || parts.size() > 3) {
    return fields_.Expected("platform", node, "os/arch[/variant]");
  }
  service_.platform = {std::string(parts[0]), std::string(parts[1]),
                       parts.size() == 3 ? std::string(parts[2]) : std::string()};
  return Status();
}

Status ServiceReader::PullPolicyOf(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const std::string text, fields_.Text("pull_policy", node));
  constexpr std::pair<std::string_view, PullPolicy> kPolicies[] = {
      {"missing", PullPolicy::kMissing}, {"if_not_present", PullPolicy::kMissing},
      {"always", PullPolicy::kAlways},   {"never", PullPolicy::kNever},
      {"build", PullPolicy::kBuild},
  };
  for (const auto& [name, policy] : kPolicies) {
    if (text != name) continue;
    service_.pull_policy = policy;
    return Status();
  }
  return fields_.Expected("pull_policy", node, "always, missing, never or build");
}

Status ServiceReader::Dns(const Node& node) {
  MBX_ASSIGN_OR_RETURN(spec().dns, fields_.TextOrList("dns", node));
  return Status();
}

Status ServiceReader::ExtraHosts(const Node& node) {
  if (node.kind == Node::Kind::kMap) {
    MBX_ASSIGN_OR_RETURN(const auto pairs, fields_.KeyValues("extra_hosts", node));
    for (const auto& [name, ip] : pairs) {
      spec().extra_hosts.push_back(StrCat(name, ":", ip.value_or("")));
    }
    return Status();
  }
  MBX_ASSIGN_OR_RETURN(spec().extra_hosts, fields_.TextList("extra_hosts", node));
  // "name=ip" is the other form of it.
  for (std::string& host : spec().extra_hosts) {
    const size_t equals = host.find('=');
    if (equals != host.npos && host.find(':') > equals) host[equals] = ':';
  }
  return Status();
}

Status ServiceReader::SecurityOpt(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const auto list, fields_.TextList("security_opt", node));
  constexpr size_t kMaxProfile = 1u << 20;
  for (const std::string& option : list) {
    const size_t mark = option.find_first_of(":=");
    const std::string_view name = std::string_view(option).substr(0, mark);
    const std::string value = mark == option.npos ? "" : option.substr(mark + 1);
    if (name == "no-new-privileges") {
      if (value == "false") fields_.Warn(node.at, "no-new-privileges:false has no effect");
    } else if (name == "seccomp" && value == "unconfined") {
      spec().security.seccomp = Security::Seccomp::kUnconfined;
    } else if (name == "seccomp") {
      MBX_ASSIGN_OR_RETURN(const fs::path file, ResolveFile(context_, node.at, value));
      auto profile = ReadProjectFile(file, kMaxProfile);
      if (!profile.ok()) return fields_.Error(node.at, profile.status().message());
      spec().security.seccomp = Security::Seccomp::kProfile;
      spec().security.seccomp_profile = std::move(*profile);
      service_.files.push_back(file);
    } else {
      fields_.Warn(node.at, StrCat("security_opt '", core::EscapeControl(option),
                                   "' is not supported and has no effect"));
    }
  }
  return Status();
}

Status ServiceReader::Sysctls(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const auto pairs, fields_.KeyValues("sysctls", node));
  for (const auto& [key, value] : pairs) spec().sysctls[key] = value.value_or("");
  return Status();
}

Status ServiceReader::Ulimits(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map("ulimits", node));
  for (const auto& [name, at, value] : *members) {
    if (value.kind != Node::Kind::kMap) {
      MBX_ASSIGN_OR_RETURN(spec().ulimits[name], fields_.Text(StrCat("ulimits.", name), value));
      continue;
    }
    fields_.WarnUnknown(value, "of ulimits", {"soft", "hard"});
    const Node *soft = value.Find("soft"), *hard = value.Find("hard");
    if (soft == nullptr || hard == nullptr) {
      return fields_.Error(value.at, StrCat("ulimits.", name, " needs soft and hard"));
    }
    MBX_ASSIGN_OR_RETURN(const std::string low, fields_.Text("soft", *soft));
    MBX_ASSIGN_OR_RETURN(const std::string high, fields_.Text("hard", *hard));
    spec().ulimits[name] = StrCat(low, ":", high);
  }
  return Status();
}

Status ServiceReader::ShmSize(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const int64_t bytes, fields_.Bytes("shm_size", node, kMiB));
  spec().shm_bytes = static_cast<uint64_t>(bytes);
  return Status();
}
Status ServiceReader::OomScoreAdj(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const int64_t value, fields_.Int("oom_score_adj", node, -1000, 1000));
  spec().resources.oom_score_adj = static_cast<int>(value);
  return Status();
}
Status ServiceReader::IoWeight(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const int64_t value, fields_.Int("io_weight", node, 1, 1000));
  spec().resources.io_weight = static_cast<uint16_t>(value);
  return Status();
}

Status ServiceReader::Data(const Node& node) {
  MBX_ASSIGN_OR_RETURN(const std::string target, fields_.Text("data", node));
  spec().mounts.push_back({.kind = Mount::Kind::kVolume,
                           .source = StrCat(context_.project.name, "-", service_.name, "-data"),
                           .target = target});
  return Status();
}

// What depends on several keys, or on none.
Status ServiceReader::Finish(Position at) {
  if (spec().image.empty() && !service_.build) {
    return fields_.Error(at, StrCat("service '", service_.name, "' needs image or build"));
  }
  const std::string own_name = StrCat(context_.project.name, "-", service_.name);
  if (spec().image.empty()) spec().image = own_name;
  if (spec().name.empty()) spec().name = own_name;
  if (spec().hostname.empty() && service_.network_service.empty() &&
      !spec().network.starts_with("container:")) {
    spec().hostname = service_.name;
  }
  spec().project = context_.project.name;
  spec().labels["minibox.project"] = context_.project.name;
  spec().labels["minibox.service"] = service_.name;
  if (has_network_mode_) {
    if (!service_.network_keys.empty()) {
      return fields_.Error(
          at, StrCat("service '", service_.name, "' has both networks and network_mode"));
    }
  } else {
    if (service_.network_keys.empty()) service_.network_keys.emplace_back("default");
    std::vector<std::string> names;
    for (const std::string& key : service_.network_keys) {
      names.push_back(context_.project.FindNetwork(key)->name);
    }
    spec().network = core::StrJoin(names, ",");
  }
  for (const auto& [key, value] : environment_) from_files_[key] = value;
  for (const auto& [key, value] : from_files_) {
    const auto own = value ? value : context_.environment(key);
    if (own) spec().env.push_back(StrCat(key, "=", *own));
  }
  if (!service_.network_service.empty()) {
    const bool named = std::any_of(
        service_.depends_on.begin(), service_.depends_on.end(),
        [&](const Dependency& entry) { return entry.service == service_.network_service; });
    if (!named) service_.depends_on.push_back({.service = service_.network_service});
  }
  return Status();
}

StatusOr<Service> ServiceReader::Read(const Member& member) {
  MBX_ASSIGN_OR_RETURN(const auto* members,
                       fields_.Map(StrCat("service '", member.key, "'"), member.value));
  std::vector<std::string_view> known;
  for (const Row& row : kRows) known.push_back(row.key);
  fields_.WarnUnknown(member.value, StrCat("of service '", member.key, "'"), known);
  for (const Row& row : kRows) {
    for (const Member& field : *members) {
      if (field.key == row.key) MBX_RETURN_IF_ERROR(row.handler(*this, field.value));
    }
  }
  MBX_RETURN_IF_ERROR(Finish(member.at));
  return std::move(service_);
}

}  // namespace

StatusOr<Service> ReadService(const ServiceContext& context, const Member& member) {
  return ServiceReader(context, member.key).Read(member);
}

StatusOr<fs::path> ResolveFile(const ServiceContext& context, Position at, std::string_view text) {
  if (text == "~" || text.starts_with("~/")) {
    if (context.home.empty()) return context.fields.Error(at, "'~' without a home directory");
    return (context.home / text.substr(std::min<size_t>(text.size(), 2))).lexically_normal();
  }
  return (context.directory / fs::path(text)).lexically_normal();
}

StatusOr<std::string> ReadProjectFile(const fs::path& path, size_t limit) {
  const core::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return core::SysError("open", path.string());
  struct stat stat {};
  if (fstat(fd.get(), &stat) != 0) return core::SysError("fstat", path.string());
  if (!S_ISREG(stat.st_mode)) {
    return core::InvalidArgument(path.string(), "is not a file");
  }
  return core::ReadAll(fd.get(), limit);
}

}  // namespace minibox::compose
