// SPDX-License-Identifier: Apache-2.0
#include "run_flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "wire/json.h"
#include "wire/ports.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::ParseInt64;
using wire::ParseUint64;
using wire::StrCat;
using wire::StrSplit;

constexpr int64_t kMib = int64_t{1} << 20;
constexpr int64_t kQuotaOfOneCore = 100000;  // µs per 100 ms
constexpr double kMaxCpus = 1024;

Status Usage(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message), {.reason = "usage"});
}

StatusOr<std::string> AbsoluteHostPath(std::string_view path) {
  std::string text(path);
  if (text == "~" || text.starts_with("~/")) {
    const char* home = getenv("HOME");
    if (home == nullptr) return Usage("'~' needs HOME to be set");
    text = StrCat(home, text.substr(1));
  }
  std::error_code error;
  const auto absolute = std::filesystem::absolute(text, error).lexically_normal();
  if (error) return Usage(StrCat("'", path, "': ", error.message()));
  std::string out = absolute.string();
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

bool IsHostPath(std::string_view source) {
  return source.starts_with('/') || source.starts_with('.') || source.starts_with('~');
}

StatusOr<std::string> ReadJsonFile(const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file) return Usage(StrCat("--seccomp: cannot read '", wire::EscapeControl(path), "'"));
  auto compact = wire::CompactJson(text);
  if (!compact.ok()) return Usage(StrCat("--seccomp: ", path, ": ", compact.status().message()));
  return compact;
}

}  // namespace

StatusOr<int64_t> ParseMemory(std::string_view text) {
  const Status malformed =
      Usage(StrCat("'", wire::EscapeControl(text), "' is not a size such as 512, 512m or 2g"));
  int64_t unit = kMib;
  std::string_view digits = text;
  if (digits.size() > 1 && (digits.back() == 'b' || digits.back() == 'B') &&
      !isdigit(digits[digits.size() - 2])) {
    digits.remove_suffix(1);
  }
  if (!digits.empty()) {
    switch (digits.back()) {
      case 'b':
      case 'B':
        unit = 1;
        break;
      case 'k':
      case 'K':
        unit = 1 << 10;
        break;
      case 'm':
      case 'M':
        unit = kMib;
        break;
      case 'g':
      case 'G':
        unit = kMib << 10;
        break;
      case 't':
      case 'T':
        unit = kMib << 20;
        break;
      default:
        unit = 0;
    }
    if (unit != 0) digits.remove_suffix(1);
    if (unit == 0) unit = kMib;
  }
  const auto number = ParseUint64(digits);
  if (!number || *number == 0 || *number > static_cast<uint64_t>(INT64_MAX / unit - kMib)) {
    return malformed;
  }
  const int64_t bytes = static_cast<int64_t>(*number) * unit;
  return (bytes + kMib - 1) / kMib * kMib;
}

StatusOr<int64_t> ParseCpus(const std::string& text) {
  if (text == "-1") return -1;
  char* end = nullptr;
  const double cores = strtod(text.c_str(), &end);
  if (*end != '\0' || !(cores > 0) || cores > kMaxCpus) {
    return Usage(StrCat("--cpus: '", wire::EscapeControl(text), "' is not a number of cores"));
  }
  return std::max<int64_t>(1000, std::llround(cores * kQuotaOfOneCore));
}

Status AddPairs(const std::vector<std::string>& pairs, std::string_view what,
                std::map<std::string, std::string>* out) {
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == 0 || (equals == std::string::npos && what != "--label")) {
      return Usage(StrCat(what, ": '", wire::EscapeControl(pair), "' is not <key>=<value>"));
    }
    (*out)[pair.substr(0, equals)] = equals == std::string::npos ? "" : pair.substr(equals + 1);
  }
  return Status();
}

StatusOr<Mount> ParseVolume(std::string_view text) {
  const size_t first = text.find(':');
  if (first == text.npos || first == 0) {
    return Usage(StrCat("--volume: '", wire::EscapeControl(text), "' is not <source>:<path>"));
  }
  const std::string_view source = text.substr(0, first), rest = text.substr(first + 1);
  const size_t second = rest.find(':');
  Mount mount;
  mount.target = rest.substr(0, second);
  if (second != rest.npos) mount.options = rest.substr(second + 1);
  if (IsHostPath(source)) {
    auto path = AbsoluteHostPath(source);
    if (!path.ok()) return path.status();
    mount.kind = Mount::Kind::kBind;
    mount.source = std::move(*path);
  } else {
    mount.kind = Mount::Kind::kVolume;
    mount.source = source;
  }
  return mount;
}

StatusOr<Mount> ParseMount(std::string_view text) {
  Mount mount;
  std::string type = "volume";
  std::vector<std::string> options;
  for (const std::string_view item : StrSplit(text, ',')) {
    const size_t equals = item.find('=');
    const std::string_view key = item.substr(0, equals);
    const std::string value(equals == item.npos ? "" : item.substr(equals + 1));
    if (key == "type") {
      type = value;
    } else if (key == "source" || key == "src") {
      mount.source = value;
    } else if (key == "target" || key == "dst" || key == "destination") {
      mount.target = value;
    } else if (key == "readonly" || key == "ro") {
      if (value != "false" && value != "0") options.push_back("ro");
    } else if (!key.empty()) {
      // The options of the mount itself: size=64m, noexec, nocopy, …
      options.emplace_back(item);
    }
  }
  mount.options = wire::StrJoin(options, ",");
  if (type == "bind") {
    mount.kind = Mount::Kind::kBind;
    auto path = AbsoluteHostPath(mount.source);
    if (mount.source.empty()) return Usage("--mount: type=bind needs source=");
    if (!path.ok()) return path.status();
    mount.source = std::move(*path);
  } else if (type == "tmpfs") {
    mount.kind = Mount::Kind::kTmpfs;
    if (!mount.source.empty()) return Usage("--mount: type=tmpfs takes no source=");
  } else if (type == "volume") {
    mount.kind = Mount::Kind::kVolume;
    if (mount.source.empty()) return Usage("--mount: type=volume needs source=");
  } else {
    return Usage(StrCat("--mount: '", wire::EscapeControl(type), "' is not bind, volume or tmpfs"));
  }
  if (mount.target.empty()) return Usage("--mount: target= is missing");
  return mount;
}

void RunFlags::AddTo(CLI::App& command, bool run) {
  command.prefix_command();
  const auto list = [&](const char* names, std::vector<std::string>& out, const char* help) {
    // Each takes one value, so that the image is not taken for another.
    command.add_option(names, out, help)->allow_extra_args(false);
  };
  if (run) {
    command.add_flag("-d,--detach", detach_, "print the id and return once it runs");
    command.add_option("--detach-keys", detach_keys_,
                       "keys that leave the container running (default ctrl-p,ctrl-q)");
    command.add_option("--on-disconnect", on_disconnect_,
                       "kill (default) or keep the container when this command goes away");
  }
  command.add_flag("-i,--interactive", interactive_, "stdin is the container's; -d: stays open");
  command.add_flag("-t,--tty", tty_, "a terminal for the container");
  command.add_flag("--rm", remove_, "remove the container once it has exited");
  command.add_option("-m,--memory", memory_, "memory limit: MiB, or 512m, 2g");
  command.add_option("--memory-swap", memory_swap_, "memory and swap together; -1: unlimited swap");
  command.add_option("-c,--cpu", cpu_, "1-999: percent of a core; from 1000: µs per 100 ms");
  command.add_option("--cpus", cpus_, "CPU limit in cores, such as 1.5");
  command.add_option("--cpuset", cpuset_, "CPUs it may use, such as 0,2-3");
  command.add_option("--io-weight", io_weight_, "share of disk bandwidth, 1-1000");
  command.add_option("--pids-limit", pids_limit_, "processes at most; -1: unlimited");
  command.add_option("--oom-score-adj", oom_score_adj_, "-1000 to 1000");
  list("--ulimit", ulimits_, "name=soft[:hard]");
  list("-p,--publish", publish_, "[ip:]host:container[/tcp|udp]");
  command.add_flag("-P,--publish-all", publish_all_,
                   "publish every port that the image exposes on a free one");
  command.add_option("--network", network_,
                     "bridge (default), none, host, container:<id> or networks, a,b");
  command.add_option("--ip", ip_, "fixed address on the first network");
  command.add_option("--mac", mac_, "fixed MAC address on the first network");
  list("--dns", dns_, "resolver's address");
  list("--add-host", hosts_, "name:ip, an entry in /etc/hosts");
  list("-v,--volume", volumes_, "host path or volume name, :path[:options]");
  list("--mount", mounts_, "type=bind|volume|tmpfs,source=…,target=…[,options]");
  list("--tmpfs", tmpfs_, "path[:options]");
  list("--device", devices_, "/dev/x[:/dev/y[:rwm]], a device of the host");
  command.add_flag("--db", db_mode_, "settings for databases: shared memory, locks, priorities");
  command.add_option("--shm-size", shm_size_, "size of /dev/shm: MiB, or 64m");
  list("-e,--env", env_, "KEY=value; KEY alone removes one of the image's");
  list("--env-file", env_files_, "file of KEY=value lines");
  command.add_option("-u,--user", user_, "user[:group], names or numbers");
  command.add_option("-w,--workdir", workdir_, "working directory");
  command.add_option("--entrypoint", entrypoint_, "replaces the image's entrypoint; '': none");
  command.add_option("--name", name_, "name of the container");
  command.add_option("--hostname", hostname_, "host name inside");
  command.add_option("--project", project_, "project it belongs to")->envname("MINIBOX_PROJECT");
  list("-l,--label", labels_, "key=value");
  command.add_option("--stop-signal", stop_signal_, "signal that asks it to stop");
  command.add_option("--stop-timeout", stop_timeout_, "seconds from there to SIGKILL");
  command.add_option("--timeout", timeout_, "kill it after this time, such as 30s");
  command.add_option("--restart", restart_, "no (default), on-failure[:n], always, unless-stopped");
  command.add_option("--log-max-size", log_max_size_, "rotate the log at: MiB, or 64m; 0: never");
  command.add_option("--log-max-files", log_max_files_, "log files that are kept, 1-100");
  command.add_flag("--log-timestamps", log_timestamps_, "lines in the log begin with the time");
  command.add_option("--health-cmd", health_cmd_, "shell command that tells whether it is healthy");
  command.add_option("--health-interval", health_interval_, "pause between checks, such as 30s");
  command.add_option("--health-timeout", health_timeout_, "a check that takes longer has failed");
  command.add_option("--health-retries", health_retries_, "failures in a row that count");
  command.add_option("--health-start-period", health_start_period_,
                     "failures do not count for so long");
  command.add_flag("--no-healthcheck", no_healthcheck_, "not even the image's");
  command.add_flag("--init{true}", init_, "--init=false: the command itself is process 1");
  list("--cap-add", cap_add_, "capability, or ALL");
  list("--cap-drop", cap_drop_, "capability, or ALL");
  command.add_option("--seccomp", seccomp_, "default, unconfined, or a file with a profile");
  command.add_flag("--privileged", privileged_, "all capabilities and devices of the host");
  command.add_flag("--read-only", read_only_, "read-only root file system");
  command.add_option("--userns", userns_, "auto (default) or host");
  list("--sysctl", sysctls_, "key=value");
  command.add_option("--pull", pull_, "fetch the image first: missing (default), always or never")
      ->check([](const std::string& value) {
        return value == "missing" || value == "always" || value == "never"
                   ? ""
                   : "must be missing, always or never";
      });
  command.add_option("--platform", platform_, "of an image that is pulled: os/arch[/variant]");
  command.add_option("--cidfile", cidfile_, "write the id to this new file");
}

Status RunFlags::ReadResources(Resources* out) const {
  if (!memory_.empty()) {
    const auto bytes = ParseMemory(memory_);
    if (!bytes.ok()) return bytes.status().WithContext("--memory");
    out->memory_bytes = *bytes;
  }
  if (memory_swap_ == "-1") {
    out->memory_swap_bytes = -1;
  } else if (!memory_swap_.empty()) {
    const auto bytes = ParseMemory(memory_swap_);
    if (!bytes.ok()) return bytes.status().WithContext("--memory-swap");
    out->memory_swap_bytes = *bytes;
  }
  if (!cpus_.empty()) {
    if (cpu_ != 0) return Usage("--cpu and --cpus exclude each other");
    const auto quota = ParseCpus(cpus_);
    if (!quota.ok()) return quota.status();
    if (*quota < 0) return Usage("--cpus: '-1' is not a number of cores");
    out->cpu_quota_us = *quota;
  } else if (cpu_ != 0) {
    out->cpu_quota_us = cpu_ >= 1000 ? cpu_ : cpu_ * 1000;
  }
  out->cpuset = cpuset_;
  if (io_weight_ < 0 || io_weight_ > 1000) return Usage("--io-weight must be 1 to 1000");
  if (io_weight_ != 0) out->io_weight = static_cast<uint16_t>(io_weight_);
  if (pids_limit_ != 0) out->pids = pids_limit_;
  if (oom_score_adj_) out->oom_score_adj = static_cast<int>(*oom_score_adj_);
  return Status();
}

Status RunFlags::ReadMounts(std::vector<Mount>* out) const {
  for (const std::string& text : volumes_) {
    auto mount = ParseVolume(text);
    if (!mount.ok()) return mount.status();
    out->push_back(std::move(*mount));
  }
  for (const std::string& text : mounts_) {
    auto mount = ParseMount(text);
    if (!mount.ok()) return mount.status();
    out->push_back(std::move(*mount));
  }
  for (const std::string& text : tmpfs_) {
    const size_t colon = text.find(':');
    Mount mount{.kind = Mount::Kind::kTmpfs, .target = text.substr(0, colon)};
    if (colon != std::string::npos) mount.options = text.substr(colon + 1);
    out->push_back(std::move(mount));
  }
  return Status();
}

Status RunFlags::ReadPolicies(ContainerSpec* out) const {
  using std::chrono::milliseconds;
  const auto restart = RestartPolicy::Parse(restart_);
  if (!restart.ok()) return Usage(StrCat("--", restart.status().message()));
  out->restart = *restart;
  if (log_max_size_ == "0") {
    out->log_max_bytes = 0;
  } else if (!log_max_size_.empty()) {
    const auto bytes = ParseMemory(log_max_size_);
    if (!bytes.ok()) return bytes.status().WithContext("--log-max-size");
    out->log_max_bytes = static_cast<uint64_t>(*bytes);
  }
  if (log_max_files_) {
    if (*log_max_files_ < 1 || *log_max_files_ > 100) {
      return Usage("--log-max-files must be 1 to 100");
    }
    out->log_max_files = static_cast<int>(*log_max_files_);
  }
  out->log_timestamps = log_timestamps_;
  HealthCheck check;
  if (!health_cmd_.empty()) check.test = {"CMD-SHELL", health_cmd_};
  for (const auto& [text, time, flag] :
       {std::tuple(&health_interval_, &check.interval, "--health-interval"),
        std::tuple(&health_timeout_, &check.timeout, "--health-timeout"),
        std::tuple(&health_start_period_, &check.start_period, "--health-start-period")}) {
    if (text->empty()) continue;
    const auto nanoseconds = wire::ParseDurationNs(*text);
    if (!nanoseconds.ok()) return nanoseconds.status().WithContext(flag);
    *time = std::chrono::ceil<milliseconds>(std::chrono::nanoseconds(*nanoseconds));
  }
  if (health_retries_) {
    if (*health_retries_ < 1 || *health_retries_ > 1000) {
      return Usage("--health-retries must be 1 to 1000");
    }
    check.retries = static_cast<int>(*health_retries_);
  }
  if (no_healthcheck_) {
    if (check != HealthCheck()) return Usage("--no-healthcheck excludes the other --health flags");
    check.test = {"NONE"};
  }
  if (check != HealthCheck()) out->healthcheck = std::move(check);
  return Status();
}

Status RunFlags::ReadEnvironment(std::vector<std::string>* out) const {
  for (const std::string& path : env_files_) {
    std::ifstream file(path);
    if (!file) return Usage(StrCat("--env-file: cannot read '", path, "'"));
    for (std::string line; std::getline(file, line);) {
      const std::string_view text = wire::TrimSpace(line);
      if (!text.empty() && text[0] != '#') out->emplace_back(text);
    }
  }
  out->insert(out->end(), env_.begin(), env_.end());
  return Status();
}

StatusOr<wire::RunRequest> RunFlags::Request(const std::vector<std::string>& arguments) const {
  auto first = arguments.begin();
  const bool marked = first != arguments.end() && *first == "--";
  if (marked) ++first;
  if (first == arguments.end()) return Usage("the image is missing");
  if (!marked && first->starts_with('-')) return Usage(StrCat("unknown option '", *first, "'"));
  wire::RunRequest request;
  ContainerSpec& spec = request.spec;
  request.detached = detach_;
  spec.open_stdin = interactive_;
  spec.tty = tty_;
  if (!on_disconnect_.empty() && on_disconnect_ != "kill" && on_disconnect_ != "keep") {
    return Usage("--on-disconnect must be kill or keep");
  }
  if (on_disconnect_ == "keep") request.on_disconnect = OnDisconnect::kKeep;
  spec.image = *first;
  spec.command.assign(first + 1, arguments.end());
  if (entrypoint_) spec.entrypoint = {*entrypoint_};
  spec.name = name_;
  spec.unique_name = !name_.empty();
  spec.project = project_;
  spec.hostname = hostname_;
  spec.user = user_;
  spec.working_dir = workdir_;
  if (!network_.empty()) spec.network = network_;
  spec.ip = ip_;
  spec.mac = mac_;
  spec.dns = dns_;
  spec.extra_hosts = hosts_;
  spec.stop_signal = stop_signal_;
  spec.init = init_;
  spec.publish_all = publish_all_;
  spec.devices = devices_;
  spec.db_mode = db_mode_;
  spec.remove_on_exit = remove_;
  spec.security.cap_add = cap_add_;
  spec.security.cap_drop = cap_drop_;
  spec.security.privileged = privileged_;
  spec.security.read_only_rootfs = read_only_;

  Status status = ReadResources(&spec.resources);
  if (status.ok()) status = ReadMounts(&spec.mounts);
  if (status.ok()) status = ReadEnvironment(&spec.env);
  if (status.ok()) status = ReadPolicies(&spec);
  if (status.ok()) status = AddPairs(labels_, "--label", &spec.labels);
  if (status.ok()) status = AddPairs(ulimits_, "--ulimit", &spec.ulimits);
  if (status.ok()) status = AddPairs(sysctls_, "--sysctl", &spec.sysctls);
  if (!status.ok()) return status;

  for (const std::string& text : publish_) {
    const size_t colon = text.rfind(':');
    const auto ports = colon == std::string::npos
                           ? wire::ParsePorts("0", text)
                           : wire::ParsePorts(text.substr(0, colon), text.substr(colon + 1));
    if (!ports.ok()) return ports.status().WithContext("--publish");
    spec.ports.insert(spec.ports.end(), ports->begin(), ports->end());
  }
  if (!shm_size_.empty()) {
    const auto bytes = ParseMemory(shm_size_);
    if (!bytes.ok()) return bytes.status().WithContext("--shm-size");
    spec.shm_bytes = static_cast<uint64_t>(*bytes);
  }
  if (stop_timeout_) {
    if (*stop_timeout_ < 0 || *stop_timeout_ > 600) return Usage("--stop-timeout must be 0 to 600");
    spec.stop_timeout = std::chrono::seconds(*stop_timeout_);
  }
  if (!timeout_.empty()) {
    const auto nanoseconds = wire::ParseDurationNs(timeout_);
    if (!nanoseconds.ok()) return nanoseconds.status().WithContext("--timeout");
    spec.timeout =
        std::chrono::ceil<std::chrono::milliseconds>(std::chrono::nanoseconds(*nanoseconds));
  }
  if (seccomp_ == "unconfined") {
    spec.security.seccomp = Security::Seccomp::kUnconfined;
  } else if (!seccomp_.empty() && seccomp_ != "default") {
    auto profile = ReadJsonFile(seccomp_);
    if (!profile.ok()) return profile.status();
    spec.security.seccomp = Security::Seccomp::kProfile;
    spec.security.seccomp_profile = std::move(*profile);
  }
  if (!userns_.empty() && userns_ != "auto" && userns_ != "host") {
    return Usage("--userns must be auto or host");
  }
  spec.security.host_userns = userns_ == "host" || (privileged_ && userns_.empty());
  return request;
}

}  // namespace minibox::cli
