// SPDX-License-Identifier: Apache-2.0
// What one sees of containers: lists, details, logs, statistics, events, file systems.
#include "handles.h"
#include "wire/changes.h"
#include "wire/container.h"
#include "wire/details.h"
#include "wire/event.h"
#include "wire/json.h"
#include "wire/stats.h"

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::ContainerId;
using minibox::Runtime;
using minibox::Status;
namespace wire = minibox::wire;

namespace {

// A question about one container whose answer is JSON.
template <typename Question>
minibox_error* Answer(minibox_runtime* runtime, const char* container, char** json,
                      Question&& question) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const ContainerId id, FindContainer(*it, container));
    MBX_ASSIGN_OR_RETURN(const auto answer, question(*it, id));
    return Give(wire::ToJson(answer), json);
  });
}

std::string ToJson(const minibox::HealthLog& log) {
  wire::JsonWriter writer;
  writer.BeginObject().Key("failing_streak").Int(log.failing_streak);
  writer.Key("probes").BeginArray();
  for (const minibox::HealthProbe& probe : log.probes) {
    writer.BeginObject();
    writer.Key("start").String(wire::FormatTime(probe.start));
    writer.Key("end").String(wire::FormatTime(probe.end));
    writer.Key("exit_code").Int(probe.exit_code);
    writer.Key("output").String(wire::ReplaceInvalidUtf8(probe.output));
    writer.EndObject();
  }
  writer.EndArray().EndObject();
  return writer.Take();
}

}  // namespace

minibox_error* minibox_container_list(minibox_runtime* runtime, char** containers_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const auto containers, it->List());
    return Give(wire::ToJson(containers), containers_json);
  });
}

minibox_error* minibox_container_get(minibox_runtime* runtime, const char* container,
                                     char** container_json) {
  return Answer(runtime, container, container_json,
                [](const Runtime& it, const ContainerId& id) { return it.Inspect(id); });
}

minibox_error* minibox_container_inspect(minibox_runtime* runtime, const char* container, int size,
                                         char** details_json) {
  return Answer(runtime, container, details_json, [&](const Runtime& it, const ContainerId& id) {
    return it.InspectDetails(id, size != 0);
  });
}

minibox_error* minibox_container_health(minibox_runtime* runtime, const char* container,
                                        char** health_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const ContainerId id, FindContainer(*it, container));
    MBX_ASSIGN_OR_RETURN(const auto log, it->ReadHealthLog(id));
    return Give(ToJson(log), health_json);
  });
}

minibox_error* minibox_container_stats(minibox_runtime* runtime, const char* container,
                                       char** stats_json) {
  if (container != nullptr) {
    return Answer(runtime, container, stats_json,
                  [](const Runtime& it, const ContainerId& id) { return it.Stats(id); });
  }
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const auto all, it->AllStats());
    return Give(wire::ToJson(all), stats_json);
  });
}

minibox_error* minibox_container_top(minibox_runtime* runtime, const char* container,
                                     char** processes_json) {
  return Answer(runtime, container, processes_json,
                [](const Runtime& it, const ContainerId& id) { return it.Top(id); });
}

minibox_error* minibox_container_diff(minibox_runtime* runtime, const char* container,
                                      char** changes_json) {
  return Answer(runtime, container, changes_json,
                [](const Runtime& it, const ContainerId& id) { return it.Diff(id); });
}

minibox_error* minibox_container_export(minibox_runtime* runtime, const char* container,
                                        minibox_data_fn tar, void* user, minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const ContainerId id, FindContainer(*it, container));
    MBX_RETURN_IF_ERROR(Need(tar, "tar"));
    MBX_ENDING(ending, cancel);
    return ending.Result(it->Export(id, BytesTo(ending, tar, user), ending.token()));
  });
}

minibox_error* minibox_container_logs(minibox_runtime* runtime, const char* container,
                                      const minibox_log_options* options, minibox_output_fn output,
                                      void* user, minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const ContainerId id, FindContainer(*it, container));
    MBX_RETURN_IF_ERROR(Need(output, "output"));
    MBX_ASSIGN_OR_RETURN(const minibox_log_options known, Options(options));
    minibox::LogOptions wanted{.follow = known.follow != 0,
                               .until_exit = known.until_exit != 0,
                               .timestamps = known.timestamps != 0};
    if (known.has_tail != 0) wanted.tail_lines = known.tail_lines;
    MBX_ASSIGN_OR_RETURN(wanted.since, Moment(known.since, "since"));
    MBX_ASSIGN_OR_RETURN(wanted.until, Moment(known.until, "until"));
    if (known.stream < 0 || known.stream > MINIBOX_STDERR) return Bad("stream", "is none");
    if (known.stream == MINIBOX_STDOUT) wanted.stream = minibox::Stream::kStdout;
    if (known.stream == MINIBOX_STDERR) wanted.stream = minibox::Stream::kStderr;
    MBX_ENDING(ending, cancel);
    return ending.Result(it->ReadLogs(id, wanted, OutputTo(ending, output, user), ending.token()));
  });
}

minibox_error* minibox_events(minibox_runtime* runtime, const minibox_event_options* options,
                              minibox_data_fn event, void* user, minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Runtime* const it, Value(runtime, "runtime"));
    MBX_RETURN_IF_ERROR(Need(event, "event"));
    MBX_ASSIGN_OR_RETURN(const minibox_event_options known, Options(options));
    minibox::EventOptions wanted;
    MBX_ASSIGN_OR_RETURN(wanted.since, Moment(known.since, "since"));
    MBX_ASSIGN_OR_RETURN(wanted.until, Moment(known.until, "until"));
    MBX_ASSIGN_OR_RETURN(wanted.types, List(known.types, known.type_count, "types"));
    MBX_ASSIGN_OR_RETURN(wanted.containers,
                         List(known.containers, known.container_count, "containers"));
    MBX_ASSIGN_OR_RETURN(wanted.images, List(known.images, known.image_count, "images"));
    MBX_ASSIGN_OR_RETURN(wanted.projects, List(known.projects, known.project_count, "projects"));
    MBX_ASSIGN_OR_RETURN(wanted.labels, List(known.labels, known.label_count, "labels"));
    MBX_ENDING(ending, cancel);
    // Ends by the stop_token.
    wanted.ready = [&] { (void)DataTo(ending, known.ready, user, ""); };
    return ending.Result(it->ReadEvents(
        wanted,
        [&](const minibox::Event& one) {
          std::string line = wire::EventLine(one);
          line.pop_back();
          return DataTo(ending, event, user, line);
        },
        ending.token()));
  });
}

minibox_error* minibox_announce(minibox_runtime* runtime, const char* type, const char* id,
                                const char* attributes_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(type, "type"));
    MBX_ASSIGN_OR_RETURN(const auto attributes, TextMap(attributes_json, "attributes_json"));
    return it->Announce(name, OptionalText(id), attributes);
  });
}
