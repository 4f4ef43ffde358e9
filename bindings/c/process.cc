// SPDX-License-Identifier: Apache-2.0
// Processes that are talked to.
#include <limits>

#include "handles.h"
#include "wire/container.h"
#include "wire/exec_request.h"

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::Process;
using minibox::Runtime;
using minibox::Status;
namespace wire = minibox::wire;

minibox_error* minibox_process_run(minibox_runtime* runtime, const char* spec_json,
                                   const minibox_run_options* options, minibox_cancel* cancel,
                                   minibox_process** process) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_RETURN_IF_ERROR(Need(process, "process"));
    MBX_ASSIGN_OR_RETURN(const RunRequestParts request, RunSpec(spec_json));
    MBX_ASSIGN_OR_RETURN(const minibox_run_options known, Options(options));
    MBX_ENDING(ending, cancel);
    auto started = it->StartForeground(
        request.spec, {.on_disconnect = request.on_disconnect, .started = StartedTo(ending, known)},
        ending.token());
    if (!started.ok()) return ending.Result(started.status());
    // A callback that wants no more gets no process; the container follows its "on_disconnect".
    MBX_RETURN_IF_ERROR(ending.Result(ending.token().stop_requested()
                                          ? Status(minibox::StatusCode::kCancelled, "cancelled")
                                          : Status()));
    return Wrap(std::move(*started), process);
  });
}

minibox_error* minibox_process_start(minibox_runtime* runtime, const char* container,
                                     minibox_cancel* cancel, minibox_process** process) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_RETURN_IF_ERROR(Need(process, "process"));
    MBX_ASSIGN_OR_RETURN(const auto id, FindContainer(*it, container));
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(
        Process started,
        it->StartForeground(id, {.on_disconnect = minibox::OnDisconnect::kKeep}, ending.token()));
    return Wrap(std::move(started), process);
  });
}

minibox_error* minibox_process_attach(minibox_runtime* runtime, const char* container, int logs,
                                      minibox_process** process) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_RETURN_IF_ERROR(Need(process, "process"));
    MBX_ASSIGN_OR_RETURN(const auto id, FindContainer(*it, container));
    MBX_ASSIGN_OR_RETURN(Process attached, it->Attach(id, {.logs = logs != 0}));
    return Wrap(std::move(attached), process);
  });
}

minibox_error* minibox_process_exec(minibox_runtime* runtime, const char* exec_json,
                                    minibox_cancel* cancel, minibox_process** process) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_RETURN_IF_ERROR(Need(process, "process"));
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(exec_json, "exec_json"));
    size_t end = 0;
    MBX_ASSIGN_OR_RETURN(const wire::ExecRequest request, wire::ParseExecRequest(text, &end));
    MBX_RETURN_IF_ERROR(CheckWhole(text, end, request.unknown_fields));
    MBX_ASSIGN_OR_RETURN(const auto id, it->Find(request.id));
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(Process started, it->StartExec(id, request.spec, ending.token()));
    return Wrap(std::move(started), process);
  });
}

minibox_error* minibox_process_wait(minibox_process* process, minibox_output_fn output, void* user,
                                    minibox_cancel* cancel, minibox_exit* exit) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Process* const it, Value(process, "process"));
    MBX_RETURN_IF_ERROR(CheckExit(exit));
    MBX_ENDING(ending, cancel);
    const auto ended = it->Wait(OutputTo(ending, output, user), ending.token());
    if (!ended.ok()) return ending.Result(ended.status());
    GiveExit(*ended, exit);
    return Status();
  });
}

minibox_error* minibox_process_write(minibox_process* process, const char* bytes, size_t size,
                                     minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Process* const it, Value(process, "process"));
    if (bytes == nullptr && size != 0) return Bad("bytes", "must not be NULL");
    MBX_ENDING(ending, cancel);
    return it->Write({bytes, size}, ending.token());
  });
}

minibox_error* minibox_process_close_stdin(minibox_process* process) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Process* const it, Value(process, "process"));
    return it->CloseStdin();
  });
}

minibox_error* minibox_process_resize(minibox_process* process, int rows, int cols) {
  return Call([&]() -> Status {
    constexpr int kMax = std::numeric_limits<uint16_t>::max();
    MBX_ASSIGN_OR_RETURN(Process* const it, Value(process, "process"));
    if (rows < 1 || rows > kMax) return Bad("rows", "must be 1 to 65535");
    if (cols < 1 || cols > kMax) return Bad("cols", "must be 1 to 65535");
    return it->Resize({static_cast<uint16_t>(rows), static_cast<uint16_t>(cols)});
  });
}

minibox_error* minibox_process_signal(minibox_process* process, int signal) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Process* const it, Value(process, "process"));
    return it->Signal(signal);
  });
}

void minibox_process_free(minibox_process* process) { Free(process); }
