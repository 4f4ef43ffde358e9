// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec_validate.h"

#include <arpa/inet.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <vector>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/capabilities.h"
#include "kernel/cgroup_control.h"
#include "kernel/oci_seccomp.h"
#include "runtime/devices.h"
#include "runtime/mount_options.h"

namespace minibox::runtime {
namespace {

using core::InvalidArgument;
using core::StrCat;

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kMaxMemory = 16777216 * kMiB;
constexpr uint64_t kMaxShm = 1048576ull * kMiB;
constexpr int64_t kMinCpuQuota = 1000, kMaxCpuQuota = 102400000;
constexpr size_t kMaxArguments = 65536;
constexpr size_t kMaxArgument = 131071;
constexpr size_t kMaxEnvironment = 1u << 20;
constexpr size_t kMaxUserName = 32;
constexpr uint64_t kMaxId = 4294967294;
constexpr size_t kMaxLabels = 1000, kMaxLabelKey = 256, kMaxLabelValue = 64u << 10;
constexpr size_t kMaxName = 128, kMaxProject = 64, kMaxHostname = 63, kMaxHostAlias = 253;
constexpr size_t kMaxEntries = 1000;  // mounts, resolvers, extra hosts, sysctls
constexpr size_t kMaxPorts = 65536;
constexpr size_t kMaxSysctlKey = 255, kMaxSysctlValue = 4096;
constexpr auto kMaxStopTimeout = std::chrono::seconds(600);
constexpr std::chrono::milliseconds kMaxHealthTime = std::chrono::hours(24);
constexpr int kMaxHealthRetries = 1000;
constexpr int kMaxLogFiles = 100;

bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsNameText(std::string_view text, size_t limit) {
  return !text.empty() && text.size() <= limit && IsAlphanumeric(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

// UTF-8 without NUL and, unless `controls`, without control characters.
bool IsText(std::string_view text, bool controls = false) {
  return core::IsValidUtf8(text) && std::none_of(text.begin(), text.end(), [&](char c) {
           return c == 0 || (!controls && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f));
         });
}

std::string Item(std::string_view field, size_t index) { return StrCat(field, "[", index, "]"); }
std::string Entry(std::string_view field, std::string_view key) {
  return StrCat(field, "[\"", core::EscapeControl(key), "\"]");
}

Status ValidateArguments(const std::vector<std::string>& arguments, std::string_view field) {
  if (arguments.size() > kMaxArguments) return InvalidArgument(field, "has too many entries");
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].size() > kMaxArgument) return InvalidArgument(Item(field, i), "is too long");
    if (!IsText(arguments[i], /*controls=*/true)) {
      return InvalidArgument(Item(field, i), "must be UTF-8 without NUL");
    }
  }
  return Status();
}

Status ValidateEnvironment(const std::vector<std::string>& env) {
  size_t total = 0;
  for (size_t i = 0; i < env.size(); ++i) {
    const std::string_view key = std::string_view(env[i]).substr(0, env[i].find('='));
    if (key.empty()) return InvalidArgument(Item("env", i), "has no name");
    if (!IsText(key)) return InvalidArgument(Item("env", i), "has control characters in its name");
    if (!IsText(env[i], /*controls=*/true)) {
      return InvalidArgument(Item("env", i), "must be UTF-8 without NUL");
    }
    if (env[i].size() > kMaxArgument) return InvalidArgument(Item("env", i), "is too long");
    total += env[i].size() + 1;
  }
  if (total > kMaxEnvironment) return InvalidArgument("env", "is longer than 1 MiB");
  return Status();
}

bool IsUserPart(std::string_view text) {
  if (text.empty()) return false;
  if (text.find_first_not_of("0123456789") == std::string_view::npos) {
    const auto id = core::ParseUint64(text);
    return id && *id <= kMaxId;
  }
  return text.size() <= kMaxUserName && std::all_of(text.begin(), text.end(), [](char c) {
           return IsAlphanumeric(c) || c == '_' || c == '.' || c == '$' || c == '-';
         });
}

Status ValidateUser(std::string_view user) {
  if (user.empty()) return Status();
  const size_t colon = user.find(':');
  if (IsUserPart(user.substr(0, colon)) &&
      (colon == std::string_view::npos || IsUserPart(user.substr(colon + 1)))) {
    return Status();
  }
  return InvalidArgument("user", "must be '<name or uid>[:<group or gid>]'");
}

}  // namespace

Status ValidateResources(const Resources& limits, const HostFacts& host) {
  if (limits.memory_bytes && (*limits.memory_bytes < kMiB || *limits.memory_bytes > kMaxMemory)) {
    return InvalidArgument("memory", "must be 1 MiB to 16777216 MiB");
  }
  if (limits.memory_swap_bytes && *limits.memory_swap_bytes != -1) {
    if (!limits.memory_bytes) return InvalidArgument("memory_swap", "needs memory");
    if (*limits.memory_swap_bytes < *limits.memory_bytes ||
        *limits.memory_swap_bytes > 2 * kMaxMemory) {
      return InvalidArgument("memory_swap", "must be -1 or at least memory");
    }
  }
  if (limits.cpu_quota_us &&
      (*limits.cpu_quota_us < kMinCpuQuota || *limits.cpu_quota_us > kMaxCpuQuota)) {
    return InvalidArgument("cpu", "must be 1000 to 102400000 microseconds per 100 ms");
  }
  if (!limits.cpuset.empty()) {
    const auto wanted = kernel::ParseCpuList(limits.cpuset);
    if (!wanted) return InvalidArgument("cpuset", "must be a list such as '0,2-3'");
    const auto online = kernel::ParseCpuList(host.online_cpus);
    if (online && !std::includes(online->begin(), online->end(), wanted->begin(), wanted->end())) {
      return InvalidArgument("cpuset", StrCat("the online CPUs are ", host.online_cpus));
    }
  }
  if (limits.pids && *limits.pids != -1 && *limits.pids < 1) {
    return InvalidArgument("pids_limit", "must be -1 or at least 1");
  }
  if (limits.io_weight && (*limits.io_weight < 1 || *limits.io_weight > 1000)) {
    return InvalidArgument("io_weight", "must be 1 to 1000");
  }
  if (limits.oom_score_adj && (*limits.oom_score_adj < -1000 || *limits.oom_score_adj > 1000)) {
    return InvalidArgument("oom_score_adj", "must be -1000 to 1000");
  }
  return Status();
}

namespace {

Status ValidateMounts(const ContainerSpec& spec, const HostFacts& host) {
  if (spec.mounts.size() > kMaxEntries) return InvalidArgument("volumes", "has too many entries");
  std::set<std::string> targets;
  for (const Mount& mount : spec.mounts) {
    const std::string field = MountField(mount);
    const auto target = CleanPath(mount.target);
    if (!target || *target == "/") {
      return InvalidArgument(field, "container path must be absolute and not '/'");
    }
    // A colon begins the options in every written form of a mount.
    if (mount.kind != Mount::Kind::kTmpfs && target->find(':') != std::string::npos) {
      return InvalidArgument(field, "container path must not contain ':'");
    }
    if (!spec.security.privileged && (IsWithin(*target, "/proc") || IsWithin(*target, "/sys"))) {
      return InvalidArgument(field, StrCat("nothing may be mounted on '", *target, "'"));
    }
    if (!targets.insert(*target).second) {
      return InvalidArgument(field, StrCat("container path '", *target, "' is used twice"));
    }
    MBX_RETURN_IF_ERROR(ParseMountOptions(mount.kind, mount.options, field).status());
    if (mount.kind == Mount::Kind::kBind) {
      MBX_RETURN_IF_ERROR(ResolveHostPath(mount.source, host, field).status());
    } else if (mount.kind == Mount::Kind::kVolume && !mount.source.empty()) {
      MBX_RETURN_IF_ERROR(ValidateName(mount.source, kMaxProject, field));
    }
  }
  return Status();
}

Status ValidateNetwork(const ContainerSpec& spec) {
  if (const auto joined = JoinedContainer(spec.network)) {
    if (joined->empty()) return InvalidArgument("network", "must be 'container:<id or name>'");
    // They are the other container's.
    const std::pair<const char*, bool> given[] = {{"hostname", !spec.hostname.empty()},
                                                  {"dns", !spec.dns.empty()},
                                                  {"extra_hosts", !spec.extra_hosts.empty()}};
    for (const auto& [field, is_given] : given) {
      if (is_given) {
        return InvalidArgument(field, StrCat("network '", core::EscapeControl(spec.network),
                                             "' is shared with its owner, who has its own"));
      }
    }
  }
  const bool bridged = IsBridged(spec.network);
  if (bridged) {
    for (const std::string_view name : core::StrSplit(spec.network, ',')) {
      MBX_RETURN_IF_ERROR(ValidateName(name, kMaxProject, "network"));
      if (name == "none" || name == "host" || name == "container") {
        return InvalidArgument("network", StrCat("'", name, "' cannot be one of several"));
      }
    }
  }
  if (!bridged && !spec.ip.empty()) {
    return InvalidArgument("ip", StrCat("network '", spec.network, "' assigns no address"));
  }
  if (!bridged && !spec.mac.empty()) {
    return InvalidArgument("mac", StrCat("network '", spec.network, "' assigns no address"));
  }
  if (spec.ports.size() > kMaxPorts) return InvalidArgument("ports", "has too many entries");
  std::set<std::string> claimed;
  for (const PortMapping& port : spec.ports) {
    const std::string field = Entry("ports", PortKey(port));
    if (!bridged) {
      return InvalidArgument(field, StrCat("network '", spec.network, "' publishes no ports"));
    }
    if (port.container_port == 0)
      return InvalidArgument(field, "container port must be 1 to 65535");
    if (!port.host_ip.empty() && !IsIpAddress(port.host_ip)) {
      return InvalidArgument(field, StrCat("'", port.host_ip, "' is not an IP address"));
    }
    PortMapping same = port;
    if (same.host_ip == "0.0.0.0") same.host_ip.clear();
    if (port.host_port != 0 && !claimed.insert(PortKey(same)).second) {
      return InvalidArgument(field, "is claimed twice");
    }
  }
  if (spec.dns.size() > kMaxEntries) return InvalidArgument("dns", "has too many entries");
  for (size_t i = 0; i < spec.dns.size(); ++i) {
    if (!IsIpAddress(spec.dns[i])) return InvalidArgument(Item("dns", i), "is not an IP address");
  }
  if (spec.extra_hosts.size() > kMaxEntries) {
    return InvalidArgument("extra_hosts", "has too many entries");
  }
  for (size_t i = 0; i < spec.extra_hosts.size(); ++i) {
    const auto parsed = ParseExtraHost(spec.extra_hosts[i]);
    if (!parsed) return InvalidArgument(Item("extra_hosts", i), "must be '<name>:<ip>'");
    if (parsed->second == "host-gateway" && spec.network == "none") {
      return InvalidArgument(Item("extra_hosts", i), "network 'none' has no gateway");
    }
  }
  return Status();
}

Status ValidateDevices(const ContainerSpec& spec) {
  if (spec.devices.size() > kMaxEntries) return InvalidArgument("devices", "has too many entries");
  std::set<std::string> targets;
  for (size_t i = 0; i < spec.devices.size(); ++i) {
    MBX_ASSIGN_OR_RETURN(const DeviceEntry entry, ParseDevice(spec.devices[i], Item("devices", i)));
    if (!targets.insert(entry.target).second) {
      return InvalidArgument(Item("devices", i), StrCat("'", entry.target, "' is used twice"));
    }
  }
  for (const Mount& mount : spec.mounts) {
    if (const auto target = CleanPath(mount.target); target && targets.contains(*target)) {
      return InvalidArgument("devices", StrCat("something else is mounted on '", *target, "'"));
    }
  }
  return Status();
}

Status ValidateSysctls(const ContainerSpec& spec) {
  if (spec.sysctls.size() > kMaxEntries) return InvalidArgument("sysctls", "has too many entries");
  for (const auto& [key, value] : spec.sysctls) {
    const std::string field = Entry("sysctls", key);
    const auto path = ParseSysctlKey(key);
    if (!path) return InvalidArgument(field, "is not a setting that a container has to itself");
    if ((spec.network == "host" || JoinedContainer(spec.network)) && path->starts_with("net/")) {
      return InvalidArgument(field, StrCat("is not the container's own with network '",
                                           core::EscapeControl(spec.network), "'"));
    }
    if (value.empty() || value.size() > kMaxSysctlValue || !IsText(value, /*controls=*/true)) {
      return InvalidArgument(field, "has no valid value");
    }
  }
  return Status();
}

Status ValidateLabels(const Labels& labels) {
  if (labels.size() > kMaxLabels) return InvalidArgument("labels", "has more than 1000 entries");
  for (const auto& [key, value] : labels) {
    if (key.empty() || key.size() > kMaxLabelKey || !IsText(key)) {
      return InvalidArgument(Entry("labels", key), "the key must be 1 to 256 bytes of text");
    }
    if (value.size() > kMaxLabelValue || !IsText(value)) {
      return InvalidArgument(Entry("labels", key), "the value must be text of up to 64 KiB");
    }
  }
  return Status();
}

Status ValidateTimes(const ContainerSpec& spec) {
  if (!spec.stop_signal.empty() && !core::ParseSignal(spec.stop_signal)) {
    return InvalidArgument("stop_signal", StrCat("'", spec.stop_signal, "' is not a signal"));
  }
  if (spec.stop_timeout &&
      (spec.stop_timeout->count() < 0 || *spec.stop_timeout > kMaxStopTimeout)) {
    return InvalidArgument("stop_timeout", "must be 0 to 600 seconds");
  }
  if (spec.timeout.count() < 0) return InvalidArgument("timeout", "must not be negative");
  return Status();
}

Status ValidatePolicies(const ContainerSpec& spec) {
  if (spec.restart.kind != RestartPolicy::Kind::kNo && spec.remove_on_exit) {
    return InvalidArgument("restart", "a container that is removed at its exit has none");
  }
  if (spec.log_max_files < 1 || spec.log_max_files > kMaxLogFiles) {
    return InvalidArgument("log_max_files", "must be 1 to 100");
  }
  if (!spec.healthcheck) return Status();
  const HealthCheck& check = *spec.healthcheck;
  if (!check.test.empty()) {
    MBX_RETURN_IF_ERROR(ValidateArguments(check.test, "healthcheck.test"));
    const std::string& kind = check.test.front();
    const size_t size = check.test.size();
    if ((kind == "CMD" && size < 2) || (kind == "CMD-SHELL" && size != 2) ||
        (kind == "NONE" && size != 1) || kind.empty()) {
      return InvalidArgument("healthcheck.test",
                             "must be ['CMD', argument…], ['CMD-SHELL', script], ['NONE'] or an "
                             "argument list");
    }
  }
  const auto in_range = [](const std::optional<std::chrono::milliseconds>& time, int64_t least) {
    return !time || (time->count() >= least && *time <= kMaxHealthTime);
  };
  if (!in_range(check.interval, 1)) {
    return InvalidArgument("healthcheck.interval", "must be 1 ms to 24 h");
  }
  if (!in_range(check.timeout, 1)) {
    return InvalidArgument("healthcheck.timeout", "must be 1 ms to 24 h");
  }
  if (!in_range(check.start_period, 0)) {
    return InvalidArgument("healthcheck.start_period", "must be 0 to 24 h");
  }
  if (check.retries && (*check.retries < 1 || *check.retries > kMaxHealthRetries)) {
    return InvalidArgument("healthcheck.retries", "must be 1 to 1000");
  }
  return Status();
}

constexpr std::pair<std::string_view, int> kUlimits[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

std::optional<uint64_t> ParseRlimitValue(std::string_view text) {
  if (text == "-1") return std::numeric_limits<uint64_t>::max();
  return core::ParseUint64(text);
}

}  // namespace

Status ValidateName(std::string_view name, size_t limit, std::string_view field) {
  if (IsNameText(name, limit)) return Status();
  return InvalidArgument(field, StrCat("'", core::EscapeControl(name), "' must be 1 to ", limit,
                                       " of [A-Za-z0-9_.-], the first alphanumeric"));
}

StatusOr<init::Rlimit> ParseUlimit(std::string_view name, std::string_view value) {
  const std::string field = Entry("ulimits", name);
  const auto* row = std::find_if(std::begin(kUlimits), std::end(kUlimits),
                                 [&](const auto& known) { return known.first == name; });
  if (row == std::end(kUlimits)) return InvalidArgument(field, "is not a limit");
  const size_t colon = value.find(':');
  const auto soft = ParseRlimitValue(value.substr(0, colon));
  const auto hard =
      colon == std::string_view::npos ? soft : ParseRlimitValue(value.substr(colon + 1));
  if (!soft || !hard) return InvalidArgument(field, "must be 'soft[:hard]'");
  if (*soft > *hard) return InvalidArgument(field, "soft is above hard");
  return init::Rlimit{row->second, *soft, *hard, false};
}

std::optional<std::string> ParseSysctlKey(std::string_view key) {
  if (key.empty() || key.size() > kMaxSysctlKey || !IsText(key)) return std::nullopt;
  std::string path(key);
  // As sysctl(8) does: whichever separator comes first is one, the other stands for it in a
  // component (net.ipv4.conf.eth0/1.rp_filter).
  const size_t first = path.find_first_of("./");
  if (first != std::string::npos && path[first] == '.') {
    for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  for (const std::string_view part : core::StrSplit(path, '/')) {
    if (part.empty() || part == "." || part == "..") return std::nullopt;
  }
  static constexpr std::string_view kKernelKeys[] = {
      "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
      "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced"};
  if (path.starts_with("net/") || path.starts_with("fs/mqueue/") ||
      std::find(std::begin(kKernelKeys), std::end(kKernelKeys), path) != std::end(kKernelKeys)) {
    return path;
  }
  return std::nullopt;
}

bool IsIpAddress(std::string_view text) {
  unsigned char address[16];
  const std::string copy(text);
  return copy.find('\0') == std::string::npos && (inet_pton(AF_INET, copy.c_str(), address) == 1 ||
                                                  inet_pton(AF_INET6, copy.c_str(), address) == 1);
}

std::optional<std::pair<std::string, std::string>> ParseExtraHost(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view name = text.substr(0, colon);
  std::string_view ip = text.substr(colon + 1);
  if (ip.starts_with('[') && ip.ends_with(']')) ip = ip.substr(1, ip.size() - 2);
  if (!IsNameText(name, kMaxHostAlias) || (ip != "host-gateway" && !IsIpAddress(ip))) {
    return std::nullopt;
  }
  return std::pair(std::string(name), std::string(ip));
}

bool IsBridged(std::string_view network) {
  return network != "none" && network != "host" && !JoinedContainer(network);
}

std::optional<std::string> JoinedContainer(std::string_view network) {
  constexpr std::string_view kPrefix = "container:";
  if (!network.starts_with(kPrefix)) return std::nullopt;
  return std::string(network.substr(kPrefix.size()));
}

std::string PortKey(const PortMapping& port) {
  std::string key;
  if (port.host_ip.find(':') != std::string::npos) {
    key = StrCat("[", port.host_ip, "]:");
  } else if (!port.host_ip.empty()) {
    key = port.host_ip + ":";
  }
  key += std::to_string(port.host_port);
  if (port.protocol == PortMapping::Protocol::kUdp) key += "/udp";
  return key;
}

Status ValidateExec(const ExecSpec& spec) {
  if (spec.command.empty() || spec.command.front().empty()) {
    return core::Error(StatusCode::kInvalidArgument, "command_missing", "there is no command")
        .WithField("command");
  }
  MBX_RETURN_IF_ERROR(ValidateArguments(spec.command, "command"));
  MBX_RETURN_IF_ERROR(ValidateEnvironment(spec.env));
  MBX_RETURN_IF_ERROR(ValidateUser(spec.user));
  if (!spec.working_dir.empty() && !CleanPath(spec.working_dir)) {
    return InvalidArgument("workdir", "must be absolute");
  }
  if (spec.detached && (spec.tty || spec.open_stdin)) {
    return InvalidArgument("detached", "does not go together with a terminal or stdin");
  }
  if (spec.size.rows == 0 || spec.size.cols == 0) {
    return InvalidArgument(spec.size.rows == 0 ? "rows" : "cols", "must be 1 to 65535");
  }
  return Status();
}

Status ValidateSpec(const ContainerSpec& spec, const HostFacts& host) {
  if (spec.image.empty()) return InvalidArgument("image", "is required");
  if (!spec.name.empty()) MBX_RETURN_IF_ERROR(ValidateName(spec.name, kMaxName, "name"));
  if (!spec.project.empty()) {
    MBX_RETURN_IF_ERROR(ValidateName(spec.project, kMaxProject, "project"));
  }
  if (spec.entrypoint) MBX_RETURN_IF_ERROR(ValidateArguments(*spec.entrypoint, "entrypoint"));
  MBX_RETURN_IF_ERROR(ValidateArguments(spec.command, "command"));
  MBX_RETURN_IF_ERROR(ValidateEnvironment(spec.env));
  if (!spec.working_dir.empty() && !CleanPath(spec.working_dir)) {
    return InvalidArgument("workdir", "must be absolute");
  }
  MBX_RETURN_IF_ERROR(ValidateUser(spec.user));
  if (!spec.hostname.empty()) {
    MBX_RETURN_IF_ERROR(ValidateName(spec.hostname, kMaxHostname, "hostname"));
  }
  MBX_RETURN_IF_ERROR(ValidateMounts(spec, host));
  MBX_RETURN_IF_ERROR(ValidateNetwork(spec));
  if (spec.publish_all && !IsBridged(spec.network)) {
    return InvalidArgument("publish_all",
                           StrCat("network '", spec.network, "' publishes no ports"));
  }
  MBX_RETURN_IF_ERROR(ValidateResources(spec.resources, host));
  for (const auto& [name, value] : spec.ulimits) {
    MBX_RETURN_IF_ERROR(ParseUlimit(name, value).status());
  }
  MBX_RETURN_IF_ERROR(ValidateSysctls(spec));
  if (spec.shm_bytes < static_cast<uint64_t>(kMiB) || spec.shm_bytes > kMaxShm) {
    return InvalidArgument("shm_size", "must be 1 MiB to 1048576 MiB");
  }
  MBX_RETURN_IF_ERROR(
      kernel::ResolveCapabilities(0, spec.security.cap_add, spec.security.cap_drop).status());
  if (spec.security.seccomp == Security::Seccomp::kProfile) {
    MBX_RETURN_IF_ERROR(
        kernel::CompileOciSeccomp(spec.security.seccomp_profile, kernel::DefaultCapabilities())
            .status());
  }
  MBX_RETURN_IF_ERROR(ValidateDevices(spec));
  if (spec.terminal_size.rows == 0 || spec.terminal_size.cols == 0) {
    return InvalidArgument("terminal_size", "must be at least 1");
  }
  MBX_RETURN_IF_ERROR(ValidateTimes(spec));
  MBX_RETURN_IF_ERROR(ValidatePolicies(spec));
  return ValidateLabels(spec.labels);
}

}  // namespace minibox::runtime
