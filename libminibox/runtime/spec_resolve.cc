// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec_resolve.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <optional>
#include <string_view>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/mount_options.h"

namespace minibox::runtime {
namespace {

constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr auto kDefaultStopTimeout = std::chrono::seconds(10);
constexpr size_t kMaxHostname = 63;
constexpr std::chrono::milliseconds kHealthInterval{30'000}, kHealthTimeout{30'000};
constexpr int kHealthRetries = 3;

std::string_view Key(std::string_view variable) { return variable.substr(0, variable.find('=')); }

bool HasKey(const std::vector<std::string>& env, std::string_view key) {
  return std::any_of(env.begin(), env.end(),
                     [&](const std::string& variable) { return Key(variable) == key; });
}

void ResolveCommand(const oci::ImageConfig& image, ContainerSpec& spec) {
  const bool given = spec.entrypoint && !spec.entrypoint->empty();
  std::vector<std::string> entrypoint = given ? *spec.entrypoint : image.entrypoint;
  if (given && entrypoint == std::vector<std::string>{""}) entrypoint.clear();
  if (spec.command.empty() && !given) spec.command = image.cmd;
  spec.entrypoint = std::move(entrypoint);
}

void ResolveVolumes(const oci::ImageConfig& image, ContainerSpec& spec,
                    std::vector<std::string>& warnings) {
  for (Mount& mount : spec.mounts) mount.target = *CleanPath(mount.target);
  for (const std::string& path : image.volumes) {
    const auto target = CleanPath(path);
    if (!target || *target == "/" || IsWithin(*target, "/proc") || IsWithin(*target, "/sys")) {
      warnings.push_back(
          core::StrCat("the image's volume '", core::EscapeControl(path), "' is ignored"));
      continue;
    }
    const bool covered = std::any_of(spec.mounts.begin(), spec.mounts.end(),
                                     [&](const Mount& mount) { return mount.target == *target; });
    if (!covered) spec.mounts.push_back({Mount::Kind::kVolume, "", *target, ""});
  }
}

}  // namespace

std::vector<std::string> Argv(const ContainerSpec& resolved) {
  std::vector<std::string> argv = resolved.entrypoint.value_or(std::vector<std::string>());
  argv.insert(argv.end(), resolved.command.begin(), resolved.command.end());
  return argv;
}

std::vector<std::string> MergeEnvironment(const std::vector<std::string>& base,
                                          const std::vector<std::string>& over) {
  std::vector<std::optional<std::string>> variables;
  std::map<std::string, size_t, std::less<>> places;
  for (const auto* list : {&base, &over}) {
    for (const std::string& variable : *list) {
      const auto known = places.find(Key(variable));
      if (variable.find('=') == std::string::npos) {
        if (known == places.end()) continue;
        variables[known->second].reset();
        places.erase(known);
      } else if (known != places.end()) {
        variables[known->second] = variable;
      } else {
        places.emplace(Key(variable), variables.size());
        variables.emplace_back(variable);
      }
    }
  }
  std::vector<std::string> result;
  for (auto& variable : variables) {
    if (variable) result.push_back(std::move(*variable));
  }
  return result;
}

StatusOr<ContainerConfig> ResolveSpec(const ContainerSpec& request, const oci::ImageConfig& image,
                                      const ContainerId& id) {
  ContainerConfig result;
  ContainerSpec& spec = result.spec;
  spec = request;
  ResolveCommand(image, spec);
  if (Argv(spec).empty()) {
    return core::Error(StatusCode::kInvalidArgument, "command_missing",
                       "no command: the image has none and none was given")
        .WithField("command");
  }
  if (spec.hostname.empty()) {
    spec.hostname = spec.name.empty() ? id.ToString() : spec.name.substr(0, kMaxHostname);
  }
  spec.env = MergeEnvironment(image.env, request.env);
  if (!HasKey(spec.env, "PATH")) spec.env.push_back(core::StrCat("PATH=", kDefaultPath));
  if (spec.tty && !HasKey(spec.env, "TERM")) spec.env.push_back("TERM=xterm");
  if (!HasKey(spec.env, "HOSTNAME")) spec.env.push_back("HOSTNAME=" + spec.hostname);

  if (spec.working_dir.empty()) {
    spec.working_dir =
        image.working_dir.starts_with('/') ? image.working_dir : "/" + image.working_dir;
  }
  const auto working_dir = CleanPath(spec.working_dir);
  if (!working_dir) return core::InvalidArgument("workdir", "the image's is not a valid path");
  spec.working_dir = *working_dir;
  if (spec.user.empty()) spec.user = image.user;
  ResolveVolumes(image, spec, result.warnings);

  if (spec.stop_signal.empty()) spec.stop_signal = image.stop_signal;
  auto signal = core::ParseSignal(spec.stop_signal);
  if (!signal) {
    if (!spec.stop_signal.empty()) {
      result.warnings.push_back(core::StrCat("the image's stop signal '",
                                             core::EscapeControl(spec.stop_signal),
                                             "' is unknown, using SIGTERM"));
    }
    signal = SIGTERM;
  }
  spec.stop_signal = "SIG" + core::SignalName(*signal);
  if (!spec.stop_timeout) spec.stop_timeout = kDefaultStopTimeout;
  spec.healthcheck = ResolveHealthcheck(request, image);
  if (spec.publish_all) PublishExposedPorts(image, spec, result.warnings);
  // Privileged means the host's devices and settings, which the ids of a range cannot use.
  if (spec.security.privileged) spec.security.host_userns = true;
  return result;
}

namespace {

constexpr std::string_view kHealthLabel = "mini.healthcheck.cmd";
constexpr std::string_view kHealthIntervalLabel = "mini.healthcheck.interval";
constexpr char kHealthWordEnd = 0x1f;

using std::chrono::milliseconds;

// A container's label wins over its image's.
std::string LabelOf(std::string_view key, const Labels& own, const Labels& image) {
  for (const Labels* labels : {&own, &image}) {
    const auto found = labels->find(std::string(key));
    if (found != labels->end()) return found->second;
  }
  return "";
}

std::optional<HealthCheck> ImageHealthcheck(const oci::ImageConfig& image, const Labels& labels) {
  const auto given = [](int64_t nanoseconds) {
    return nanoseconds <= 0 ? std::nullopt
                            : std::optional(std::chrono::ceil<milliseconds>(
                                  std::chrono::nanoseconds(nanoseconds)));
  };
  if (image.healthcheck) {
    const oci::Healthcheck& from = *image.healthcheck;
    HealthCheck check{from.test,
                      given(from.interval_ns),
                      given(from.timeout_ns),
                      given(from.start_period_ns),
                      {}};
    if (from.retries > 0) check.retries = from.retries;
    return check;
  }
  std::string command = LabelOf(kHealthLabel, labels, image.labels);
  if (command.empty()) return std::nullopt;
  std::replace(command.begin(), command.end(), kHealthWordEnd, ' ');
  HealthCheck check{{"CMD", "/bin/sh", "-c", std::move(command)}, {}, {}, {}, {}};
  const auto interval = core::ParseUint64(LabelOf(kHealthIntervalLabel, labels, image.labels));
  constexpr uint64_t kLongest = 24 * 3600;
  if (interval && *interval > 0 && *interval <= kLongest) {
    check.interval = std::chrono::seconds(*interval);
  }
  return check;
}

}  // namespace

std::optional<HealthCheck> ResolveHealthcheck(const ContainerSpec& request,
                                              const oci::ImageConfig& image) {
  const auto base = ImageHealthcheck(image, request.labels);
  if (!request.healthcheck && !base) return std::nullopt;
  HealthCheck check = request.healthcheck.value_or(HealthCheck());
  const HealthCheck from = base.value_or(HealthCheck());
  if (check.test.empty()) check.test = from.test;
  if (check.test.empty() || check.test.front() == "NONE") return std::nullopt;
  check.interval = check.interval ? check.interval : from.interval.value_or(kHealthInterval);
  check.timeout = check.timeout ? check.timeout : from.timeout.value_or(kHealthTimeout);
  check.start_period =
      check.start_period ? check.start_period : from.start_period.value_or(milliseconds(0));
  check.retries = check.retries ? check.retries : from.retries.value_or(kHealthRetries);
  if (check.test.front() == "CMD-SHELL") {
    std::vector<std::string> shell = image.shell;
    if (shell.empty()) shell = {"/bin/sh", "-c"};
    shell.push_back(check.test.size() > 1 ? check.test[1] : "");
    shell.insert(shell.begin(), "CMD");
    check.test = std::move(shell);
  } else if (check.test.front() != "CMD") {
    check.test.insert(check.test.begin(), "CMD");
  }
  return check.test.size() > 1 ? std::optional(std::move(check)) : std::nullopt;
}

void PublishExposedPorts(const oci::ImageConfig& image, ContainerSpec& spec,
                         std::vector<std::string>& warnings) {
  for (const std::string& exposed : image.exposed_ports) {
    const size_t slash = exposed.find('/');
    const std::string protocol = slash == std::string::npos ? "tcp" : exposed.substr(slash + 1);
    const auto number = core::ParseUint64(exposed.substr(0, slash));
    if (!number || *number == 0 || *number > 65535 || (protocol != "tcp" && protocol != "udp")) {
      warnings.push_back(
          core::StrCat("the image's port '", core::EscapeControl(exposed), "' is not published"));
      continue;
    }
    PortMapping port;
    port.container_port = static_cast<uint16_t>(*number);
    if (protocol == "udp") port.protocol = PortMapping::Protocol::kUdp;
    const bool published =
        std::any_of(spec.ports.begin(), spec.ports.end(), [&](const PortMapping& other) {
          return other.container_port == port.container_port && other.protocol == port.protocol;
        });
    if (!published) spec.ports.push_back(std::move(port));
  }
}

ContainerRecord NewRecord(const ContainerId& id, const ContainerConfig& config) {
  ContainerRecord record(id);
  ContainerInfo& info = record.info;
  info.image = config.spec.image;
  info.reference = config.reference;
  info.image_digest = config.image_digest;
  info.name = config.spec.name;
  info.project = config.spec.project;
  info.command = Argv(config.spec);
  info.created = std::chrono::system_clock::now();
  info.ports = config.spec.ports;
  info.restart = config.spec.restart;
  info.labels = config.spec.labels;
  info.warnings = config.warnings;
  return record;
}

}  // namespace minibox::runtime
