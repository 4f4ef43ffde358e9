// SPDX-License-Identifier: Apache-2.0
// Compose projects.
#include <array>
#include <chrono>
#include <csignal>

#include "handles.h"
#include "wire/container.h"
#include "wire/json.h"

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::Compose;
using minibox::ComposeEvent;
using minibox::Status;
using minibox::StatusOr;
using std::chrono::seconds;
namespace wire = minibox::wire;

namespace {

// In the order of ComposeEvent::Kind.
constexpr std::array<std::string_view, 14> kKinds = {
    "building",       "pulling",        "created", "started",         "unchanged",
    "waiting",        "stopped",        "removed", "network_created", "network_removed",
    "volume_created", "volume_removed", "warning", "failed"};
static_assert(static_cast<size_t>(ComposeEvent::Kind::kFailed) == kKinds.size() - 1);

std::string ToJson(const ComposeEvent& event) {
  wire::JsonWriter writer;
  writer.BeginObject();
  writer.Key("kind").String(kKinds[static_cast<size_t>(event.kind)]);
  writer.Key("service").String(event.service);
  writer.Key("id").String(event.id);
  writer.Key("text").String(wire::ReplaceInvalidUtf8(event.text));
  writer.EndObject();
  return writer.Take();
}

std::string ToJson(const minibox::ComposeLogLine& line) {
  wire::JsonWriter writer;
  writer.BeginObject();
  writer.Key("service").String(line.service);
  writer.Key("time").String(line.time);
  writer.Key("text").String(wire::ReplaceInvalidUtf8(line.text));
  writer.Key("stream").String(line.stream == minibox::Stream::kStdout ? "stdout" : "stderr");
  writer.EndObject();
  return writer.Take();
}

StatusOr<minibox::ComposeOptions> ReadOptions(const minibox_compose_options& known) {
  minibox::ComposeOptions wanted;
  wanted.file = OptionalText(known.file);
  if (known.directory != nullptr) wanted.directory = known.directory;
  wanted.project = OptionalText(known.project);
  MBX_ASSIGN_OR_RETURN(wanted.profiles, List(known.profiles, known.profile_count, "profiles"));
  MBX_ASSIGN_OR_RETURN(wanted.environment, TextMap(known.environment_json, "environment_json"));
  wanted.env_file = OptionalText(known.env_file);
  wanted.home = OptionalText(known.home);
  if (known.lock_dir != nullptr) wanted.lock_dir = known.lock_dir;
  return wanted;
}

// The services and the way its events go; what else a call needs is read from `options`.
struct CallParts {
  minibox_compose_call options;
  std::vector<std::string> services;
  std::optional<seconds> stop_timeout;
  minibox::ComposeEventFn events;
};

// Runs one operation of a project.
template <typename Operation>
minibox_error* Carry(minibox_compose* compose, const minibox_compose_call* call,
                     minibox_cancel* cancel, Operation&& operation) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Compose* const it, Value(compose, "compose"));
    CallParts parts;
    MBX_ASSIGN_OR_RETURN(parts.options, Options(call, "call"));
    const minibox_compose_call& known = parts.options;
    MBX_ASSIGN_OR_RETURN(parts.services, List(known.services, known.service_count, "services"));
    if (known.stop_timeout_s < 0) return Bad("stop_timeout_s", "must not be negative");
    if (known.timeout_s < 0) return Bad("timeout_s", "must not be negative");
    if (known.has_stop_timeout != 0) parts.stop_timeout = seconds(known.stop_timeout_s);
    MBX_ENDING(ending, cancel);
    // The operation ends by the stop_token.
    parts.events = [&](const ComposeEvent& event) {
      (void)DataTo(ending, known.event, known.user, ToJson(event));
    };
    return ending.Result(operation(*it, parts, ending.token()));
  });
}

}  // namespace

minibox_error* minibox_compose_open(minibox_store* store, minibox_network* network,
                                    minibox_runtime* runtime, minibox_builder* builder,
                                    const minibox_compose_options* options,
                                    minibox_compose** compose) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const minibox::Store* const images, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const minibox::Network* const networks, Value(network, "network"));
    MBX_ASSIGN_OR_RETURN(const minibox::Runtime* const containers, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const minibox::ImageBuilder* const builds, Value(builder, "builder"));
    MBX_RETURN_IF_ERROR(Need(compose, "compose"));
    MBX_ASSIGN_OR_RETURN(const minibox_compose_options known, Options(options));
    MBX_ASSIGN_OR_RETURN(const minibox::ComposeOptions wanted, ReadOptions(known));
    std::optional<minibox::Registry> registry;
    if (known.registry != nullptr) {
      MBX_ASSIGN_OR_RETURN(const minibox::Registry* const given, Value(known.registry, "registry"));
      registry = *given;
    }
    const auto backend =
        minibox::LocalComposeBackend(*images, *networks, *containers, *builds, registry);
    MBX_ASSIGN_OR_RETURN(Compose opened, known.attach != 0 ? Compose::Attach(wanted, backend)
                                                           : Compose::Load(wanted, backend));
    return Wrap(std::move(opened), compose);
  });
}

void minibox_compose_free(minibox_compose* compose) { Free(compose); }

minibox_error* minibox_compose_describe(minibox_compose* compose, char** project_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Compose* const it, Value(compose, "compose"));
    wire::JsonWriter writer;
    writer.BeginObject().Key("project").String(it->project());
    writer.Key("services").StringArray(it->services());
    writer.Key("warnings").StringArray(it->warnings()).EndObject();
    return Give(writer.Take(), project_json);
  });
}

minibox_error* minibox_compose_config(minibox_compose* compose, char** yaml) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Compose* const it, Value(compose, "compose"));
    return Give(it->ConfigYaml(), yaml);
  });
}

minibox_error* minibox_compose_ps(minibox_compose* compose, char** services_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Compose* const it, Value(compose, "compose"));
    MBX_ASSIGN_OR_RETURN(const auto services, it->Ps());
    wire::JsonWriter writer;
    writer.BeginArray();
    for (const minibox::ServiceStatus& one : services) {
      writer.BeginObject().Key("service").String(one.service);
      writer.Key("container").Raw(wire::ToJson(one.container)).EndObject();
    }
    writer.EndArray();
    return Give(writer.Take(), services_json);
  });
}

minibox_error* minibox_compose_up(minibox_compose* compose, const minibox_compose_call* call,
                                  minibox_cancel* cancel) {
  return Carry(compose, call, cancel,
               [](Compose& it, const CallParts& parts, const std::stop_token& stop) {
                 const minibox_compose_call& known = parts.options;
                 minibox::UpOptions wanted{.services = parts.services,
                                           .build = known.build != 0,
                                           .force_recreate = known.force_recreate != 0,
                                           .no_deps = known.no_deps != 0,
                                           .remove_orphans = known.remove_orphans != 0,
                                           .wait = known.wait != 0,
                                           .stop_timeout = parts.stop_timeout};
                 if (known.timeout_s != 0) wanted.timeout = seconds(known.timeout_s);
                 return it.Up(wanted, parts.events, stop);
               });
}

minibox_error* minibox_compose_down(minibox_compose* compose, const minibox_compose_call* call,
                                    minibox_cancel* cancel) {
  return Carry(compose, call, cancel,
               [](Compose& it, const CallParts& parts, const std::stop_token& stop) {
                 if (!parts.services.empty()) return Bad("services", "must be none");
                 return it.Down({.volumes = parts.options.volumes != 0,
                                 .remove_orphans = parts.options.remove_orphans != 0,
                                 .stop_timeout = parts.stop_timeout},
                                parts.events, stop);
               });
}

minibox_error* minibox_compose_start(minibox_compose* compose, const minibox_compose_call* call,
                                     minibox_cancel* cancel) {
  return Carry(compose, call, cancel,
               [](Compose& it, const CallParts& parts, const std::stop_token& stop) {
                 return it.Start(parts.services, parts.events, stop);
               });
}

minibox_error* minibox_compose_stop(minibox_compose* compose, const minibox_compose_call* call,
                                    minibox_cancel* cancel) {
  return Carry(compose, call, cancel,
               [](Compose& it, const CallParts& parts, const std::stop_token& stop) {
                 return it.Stop(parts.services, parts.stop_timeout, parts.events, stop);
               });
}

minibox_error* minibox_compose_restart(minibox_compose* compose, const minibox_compose_call* call,
                                       minibox_cancel* cancel) {
  return Carry(compose, call, cancel,
               [](Compose& it, const CallParts& parts, const std::stop_token& stop) {
                 return it.Restart(parts.services, parts.stop_timeout, parts.events, stop);
               });
}

minibox_error* minibox_compose_kill(minibox_compose* compose, const minibox_compose_call* call) {
  return Carry(compose, call, nullptr,
               [](Compose& it, const CallParts& parts, const std::stop_token&) {
                 const int signal = parts.options.signal == 0 ? SIGKILL : parts.options.signal;
                 return it.Kill(parts.services, signal, parts.events);
               });
}

minibox_error* minibox_compose_remove(minibox_compose* compose, const minibox_compose_call* call,
                                      minibox_cancel* cancel) {
  return Carry(
      compose, call, cancel, [](Compose& it, const CallParts& parts, const std::stop_token& stop) {
        return it.Remove(parts.services, parts.options.stop_first != 0, parts.events, stop);
      });
}

minibox_error* minibox_compose_build(minibox_compose* compose, const minibox_compose_call* call,
                                     minibox_cancel* cancel) {
  return Carry(compose, call, cancel,
               [](Compose& it, const CallParts& parts, const std::stop_token& stop) {
                 return it.Build(parts.services, parts.options.no_cache != 0, parts.events, stop);
               });
}

minibox_error* minibox_compose_pull(minibox_compose* compose, const minibox_compose_call* call,
                                    minibox_cancel* cancel) {
  return Carry(compose, call, cancel,
               [](Compose& it, const CallParts& parts, const std::stop_token& stop) {
                 return it.Pull(parts.services, parts.events, stop);
               });
}

minibox_error* minibox_compose_logs(minibox_compose* compose,
                                    const minibox_compose_log_options* options,
                                    minibox_data_fn line, void* user, minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Compose* const it, Value(compose, "compose"));
    MBX_RETURN_IF_ERROR(Need(line, "line"));
    MBX_ASSIGN_OR_RETURN(const minibox_compose_log_options known, Options(options));
    minibox::ComposeLogOptions wanted{.follow = known.follow != 0};
    MBX_ASSIGN_OR_RETURN(wanted.services, List(known.services, known.service_count, "services"));
    if (known.has_tail != 0) wanted.tail_lines = known.tail_lines;
    MBX_ENDING(ending, cancel);
    return ending.Result(it->ReadLogs(
        wanted,
        [&](const minibox::ComposeLogLine& one) { return DataTo(ending, line, user, ToJson(one)); },
        ending.token()));
  });
}
