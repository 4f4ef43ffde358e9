// SPDX-License-Identifier: Apache-2.0
// The life of containers.
#include "wire/container.h"

#include <chrono>
#include <csignal>

#include "handles.h"
#include "wire/changes.h"
#include "wire/image.h"
#include "wire/lifecycle.h"
#include "wire/resources.h"
#include "wire/store_reports.h"

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::ContainerId;
using minibox::Runtime;
using minibox::Status;
using minibox::StatusOr;
using std::chrono::milliseconds;
namespace wire = minibox::wire;

namespace {

StatusOr<minibox::StopOptions> ReadStop(const minibox_stop_options* options) {
  MBX_ASSIGN_OR_RETURN(const minibox_stop_options known, Options(options));
  minibox::StopOptions wanted;
  wanted.signal = known.signal;
  if (known.grace_ms < 0) return Bad("grace_ms", "must not be negative");
  if (known.has_grace != 0) wanted.grace = milliseconds(known.grace_ms);
  return wanted;
}

StatusOr<minibox::ContainerUpdate> ReadUpdate(const char* changes_json) {
  MBX_ASSIGN_OR_RETURN(wire::FieldReader fields, Fields(changes_json, "changes_json"));
  wire::UpdateRequest request;
  const auto number = [&](const char* name, const wire::UpdateLimit& limit) {
    fields.OptionalInt(name, -1, limit.max, &(request.*limit.field));
  };
  for (const wire::UpdateLimit& limit : wire::kUpdateLimits) number(limit.name, limit);
  fields.Text("cpuset", &request.cpuset);
  fields.Text("restart", &request.restart);
  MBX_RETURN_IF_ERROR(fields.Finish());
  return wire::ToUpdate(request);
}

// What changes a container and says nothing but how it went.
template <typename Change>
minibox_error* Apply(minibox_runtime* runtime, const char* container, Change&& change) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const ContainerId id, FindContainer(*it, container));
    return change(*it, id);
  });
}

}  // namespace

minibox_error* minibox_runtime_open(minibox_store* store, minibox_network* network,
                                    const minibox_runtime_options* options,
                                    minibox_runtime** runtime) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const minibox::Store* const images, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const minibox::Network* const networks, Value(network, "network"));
    MBX_RETURN_IF_ERROR(Need(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const minibox_runtime_options known, Options(options));
    minibox::RuntimeOptions wanted;
    wanted.run_dir = OptionalText(known.run_dir);
    wanted.cgroup_parent = OptionalText(known.cgroup_parent);
    if (known.subid_base != 0) wanted.subid_base = known.subid_base;
    if (known.subid_count != 0) wanted.subid_count = known.subid_count;
    MBX_ASSIGN_OR_RETURN(const auto prefixes,
                         List(known.bind_prefixes, known.bind_prefix_count, "bind_prefixes"));
    wanted.bind_prefixes.assign(prefixes.begin(), prefixes.end());
    wanted.supervise = known.supervise != 0;
    MBX_ASSIGN_OR_RETURN(Runtime opened, Runtime::Open(*images, *networks, wanted));
    return Wrap(std::move(opened), runtime);
  });
}

void minibox_runtime_free(minibox_runtime* runtime) { Free(runtime); }

minibox_error* minibox_system_info(minibox_runtime* runtime, char** info_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const auto info, it->GetSystemInfo());
    return Give(wire::ToJson(info), info_json);
  });
}

minibox_error* minibox_container_create(minibox_runtime* runtime, const char* spec_json,
                                        char** container_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const RunRequestParts request, RunSpec(spec_json));
    MBX_ASSIGN_OR_RETURN(const auto info, it->Create(request.spec));
    return Give(wire::ToJson(info), container_json);
  });
}

minibox_error* minibox_container_start(minibox_runtime* runtime, const char* container,
                                       minibox_cancel* cancel, char** container_json) {
  return Apply(runtime, container, [&](Runtime& it, const ContainerId& id) -> Status {
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(const auto info, it.Start(id, ending.token()));
    return Give(wire::ToJson(info), container_json);
  });
}

minibox_error* minibox_container_run(minibox_runtime* runtime, const char* spec_json,
                                     minibox_cancel* cancel, char** container_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const RunRequestParts request, RunSpec(spec_json));
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(const auto info, it->Run(request.spec, ending.token()));
    return Give(wire::ToJson(info), container_json);
  });
}

minibox_error* minibox_container_run_foreground(minibox_runtime* runtime, const char* spec_json,
                                                const minibox_run_options* options,
                                                minibox_cancel* cancel, minibox_exit* exit) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const RunRequestParts request, RunSpec(spec_json));
    MBX_ASSIGN_OR_RETURN(const minibox_run_options known, Options(options));
    MBX_RETURN_IF_ERROR(CheckExit(exit));
    MBX_ENDING(ending, cancel);
    const auto ended = it->RunForeground(
        request.spec, OutputTo(ending, known.output, known.user),
        {.on_disconnect = request.on_disconnect, .started = StartedTo(ending, known)},
        ending.token());
    if (!ended.ok()) return ending.Result(ended.status());
    GiveExit(*ended, exit);
    return Status();
  });
}

minibox_error* minibox_container_stop(minibox_runtime* runtime, const char* container,
                                      const minibox_stop_options* options, minibox_cancel* cancel,
                                      int* outcome) {
  return Apply(runtime, container, [&](Runtime& it, const ContainerId& id) -> Status {
    MBX_ASSIGN_OR_RETURN(const minibox::StopOptions wanted, ReadStop(options));
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(const minibox::StopResult result, it.Stop(id, wanted, ending.token()));
    if (outcome != nullptr) *outcome = static_cast<int>(result);
    return Status();
  });
}

minibox_error* minibox_container_restart(minibox_runtime* runtime, const char* container,
                                         const minibox_stop_options* options,
                                         minibox_cancel* cancel, char** container_json) {
  return Apply(runtime, container, [&](Runtime& it, const ContainerId& id) -> Status {
    MBX_ASSIGN_OR_RETURN(const minibox::StopOptions wanted, ReadStop(options));
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(const auto info, it.Restart(id, wanted, ending.token()));
    return Give(wire::ToJson(info), container_json);
  });
}

minibox_error* minibox_container_kill(minibox_runtime* runtime, const char* container, int signal) {
  return Apply(runtime, container, [&](Runtime& it, const ContainerId& id) {
    return it.Kill(id, signal == 0 ? SIGKILL : signal);
  });
}

minibox_error* minibox_container_remove(minibox_runtime* runtime, const char* container,
                                        int force) {
  return Apply(runtime, container,
               [&](Runtime& it, const ContainerId& id) { return it.Remove(id, force != 0); });
}

minibox_error* minibox_container_pause(minibox_runtime* runtime, const char* container) {
  return Apply(runtime, container, [](Runtime& it, const ContainerId& id) { return it.Pause(id); });
}

minibox_error* minibox_container_unpause(minibox_runtime* runtime, const char* container) {
  return Apply(runtime, container,
               [](Runtime& it, const ContainerId& id) { return it.Unpause(id); });
}

minibox_error* minibox_container_rename(minibox_runtime* runtime, const char* container,
                                        const char* name) {
  return Apply(runtime, container, [&](Runtime& it, const ContainerId& id) -> Status {
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(name, "name"));
    return it.Rename(id, text);
  });
}

minibox_error* minibox_container_update(minibox_runtime* runtime, const char* container,
                                        const char* changes_json) {
  return Apply(runtime, container, [&](Runtime& it, const ContainerId& id) -> Status {
    MBX_ASSIGN_OR_RETURN(const minibox::ContainerUpdate update, ReadUpdate(changes_json));
    return it.Update(id, update);
  });
}

minibox_error* minibox_container_wait(minibox_runtime* runtime, const char* container,
                                      const minibox_wait_options* options, minibox_cancel* cancel,
                                      minibox_exit* exit, char** container_json) {
  return Apply(runtime, container, [&](Runtime& it, const ContainerId& id) -> Status {
    MBX_ASSIGN_OR_RETURN(const minibox_wait_options known, Options(options));
    MBX_RETURN_IF_ERROR(CheckExit(exit));
    minibox::WaitOptions wanted;
    switch (known.condition) {
      case MINIBOX_UNTIL_EXITED:
        break;
      case MINIBOX_UNTIL_REMOVED:
        wanted.condition = minibox::WaitCondition::kRemoved;
        break;
      case MINIBOX_UNTIL_HEALTHY:
        wanted.condition = minibox::WaitCondition::kHealthy;
        break;
      default:
        return Bad("condition", "is none");
    }
    if (known.timeout_ms < 0) return Bad("timeout_ms", "must not be negative");
    if (known.timeout_ms != 0) wanted.timeout = milliseconds(known.timeout_ms);
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(const auto info, it.WaitFor(id, wanted, ending.token()));
    GiveExit(info.exit.value_or(minibox::ExitStatus()), exit);
    return Give(wire::ToJson(info), container_json);
  });
}

minibox_error* minibox_container_commit(minibox_runtime* runtime, const char* container,
                                        const char* image, const minibox_commit_options* options,
                                        minibox_cancel* cancel, char** image_json) {
  return Apply(runtime, container, [&](Runtime& it, const ContainerId& id) -> Status {
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(image, "image"));
    MBX_ASSIGN_OR_RETURN(const minibox_commit_options known, Options(options));
    minibox::CommitOptions wanted{.image = std::string(name),
                                  .message = std::string(OptionalText(known.message)),
                                  .author = std::string(OptionalText(known.author)),
                                  .pause = known.no_pause == 0};
    MBX_ASSIGN_OR_RETURN(wanted.changes, List(known.changes, known.change_count, "changes"));
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(const auto info, it.Commit(id, wanted, ending.token()));
    return Give(wire::ToJson(info), image_json);
  });
}

minibox_error* minibox_container_prune(minibox_runtime* runtime,
                                       const minibox_container_prune_options* options,
                                       char** report_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const minibox_container_prune_options known, Options(options));
    minibox::ContainerPruneOptions wanted{.dry_run = known.dry_run != 0};
    MBX_ASSIGN_OR_RETURN(wanted.until, Moment(known.until, "until"));
    MBX_ASSIGN_OR_RETURN(wanted.labels, List(known.labels, known.label_count, "labels"));
    MBX_ASSIGN_OR_RETURN(const auto report, it->Prune(wanted));
    return Give(wire::ToJson(report), report_json);
  });
}
