// SPDX-License-Identifier: Apache-2.0
// Version, errors, cancellation, log; and what handles.h declares.
#include <cstdlib>

#include "handles.h"
#include "wire/container.h"
#include "wire/run_request.h"
#include "wire/time.h"
#include "wire/transfer.h"

namespace minibox::c {
namespace {

constexpr size_t kMaxList = 1 << 20;

// Its address is the error without memory.
constexpr char kNoMemory = 0;

bool IsNoMemory(const minibox_error* error) {
  return static_cast<const void*>(error) == &kNoMemory;
}

}  // namespace

minibox_error* NoMemory() {
  return reinterpret_cast<minibox_error*>(const_cast<char*>(&kNoMemory));
}

StatusOr<std::vector<std::string>> List(const char* const* items, size_t count,
                                        std::string_view name) {
  if (count > kMaxList) return Bad(name, "has too many entries");
  if (items == nullptr && count != 0) return Bad(name, "must not be NULL");
  std::vector<std::string> list;
  for (size_t i = 0; i < count; ++i) {
    if (items[i] == nullptr) return Bad(wire::EntryName(name, i), "must not be NULL");
    list.emplace_back(items[i]);
  }
  return list;
}

Status Give(std::string_view text, char** out) {
  if (out == nullptr) return Status();
  auto* const copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy == nullptr) throw std::bad_alloc();
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  *out = copy;
  return Status();
}

StatusOr<std::optional<std::stop_token>> Ending::TokenOf(minibox_cancel* cancel) {
  if (cancel == nullptr) return std::optional<std::stop_token>();
  MBX_ASSIGN_OR_RETURN(const std::stop_source* const source, Value(cancel, "cancel"));
  return std::optional(source->get_token());
}

Ending::Ending(const std::optional<std::stop_token>& outer) {
  if (outer) link_.emplace(*outer, [this] { stop_.request_stop(); });
}

Status Ending::Ask(const std::function<int()>& callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!refused_.ok()) return refused_;
  }
  std::string_view why = "a callback ended the call";
  int answer = 1;
  try {
    answer = callback();
  } catch (...) {
    why = "a callback threw an exception";
  }
  if (answer == 0) return Status();
  Status status(StatusCode::kCancelled, std::string(why), {.reason = "callback_stopped"});
  {
    const std::lock_guard lock(mutex_);
    refused_ = status;
  }
  stop_.request_stop();
  return status;
}

Status Ending::Result(const Status& status) const {
  const std::lock_guard lock(mutex_);
  return status.ok() || refused_.ok() ? status : refused_;
}

OutputFn OutputTo(Ending& ending, minibox_output_fn output, void* user) {
  if (output == nullptr) return [](const OutputChunk&) { return Status(); };
  return [&ending, output, user](const OutputChunk& chunk) {
    return ending.Ask([&] {
      const int stream = chunk.stream == Stream::kStdout ? MINIBOX_STDOUT : MINIBOX_STDERR;
      return output(user, stream, chunk.bytes.data(), chunk.bytes.size());
    });
  };
}

Status DataTo(Ending& ending, minibox_data_fn data, void* user, const std::string& text) {
  if (data == nullptr) return Status();
  return ending.Ask([&] { return data(user, text.c_str(), text.size()); });
}

BytesSink BytesTo(Ending& ending, minibox_data_fn data, void* user) {
  return [&ending, data, user](std::string_view bytes) {
    return ending.Ask([&] { return data(user, bytes.data(), bytes.size()); });
  };
}

ProgressFn ProgressTo(Ending& ending, minibox_data_fn progress, void* user) {
  if (progress == nullptr) return {};
  return [&ending, progress, user](const Progress& step) {
    std::string line = wire::ProgressLine(step);
    line.pop_back();
    // The operation ends by the stop_token.
    (void)DataTo(ending, progress, user, line);
  };
}

std::function<void(const ContainerInfo&)> StartedTo(Ending& ending,
                                                    const minibox_run_options& options) {
  return [&ending, &options](const ContainerInfo& info) {
    // The run ends by the stop_token.
    (void)DataTo(ending, options.started, options.user, wire::ToJson(info));
  };
}

StatusOr<wire::FieldReader> Fields(const char* json, std::string_view name) {
  MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(json, name));
  return wire::FieldReader::Parse(text, wire::Strictness::kStrict);
}

StatusOr<Labels> TextMap(const char* json, std::string_view name) {
  if (json == nullptr) return Labels();
  const auto root = json::Parse(json);
  if (!root.ok()) return root.status().WithContext(name).WithField(name);
  if (root->type() != json::Type::kObject) return Bad(name, "expected an object");
  auto map = root->AsStringMap();
  if (!map.ok()) return map.status().WithContext(name).WithField(name);
  return Labels(map->begin(), map->end());
}

Status CheckWhole(std::string_view body, size_t end, const std::vector<std::string>& unknown) {
  if (body.find_first_not_of(" \t\r\n", end) != std::string_view::npos) {
    return wire::InvalidRequest("", "something follows the JSON");
  }
  return unknown.empty() ? Status() : wire::InvalidRequest(unknown.front(), "unknown field");
}

StatusOr<RunRequestParts> RunSpec(const char* spec_json) {
  MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(spec_json, "spec_json"));
  size_t end = 0;
  MBX_ASSIGN_OR_RETURN(wire::RunRequest request, wire::ParseRunRequest(text, &end));
  MBX_RETURN_IF_ERROR(CheckWhole(text, end, request.unknown_fields));
  return RunRequestParts{std::move(request.spec), request.on_disconnect};
}

StatusOr<std::optional<TimePoint>> Moment(const char* text, std::string_view name) {
  if (text == nullptr) return std::optional<TimePoint>();
  const auto time = wire::ParseTimeOrAgo(text, std::chrono::system_clock::now());
  if (!time.ok()) return time.status().WithContext(name).WithField(name);
  return std::optional(*time);
}

StatusOr<ContainerId> FindContainer(const Runtime& runtime, const char* container) {
  MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(container, "container"));
  return runtime.Find(text);
}

Status CheckExit(const minibox_exit* exit) { return Options(exit, "exit").status(); }

void GiveExit(const ExitStatus& status, minibox_exit* exit) {
  if (exit == nullptr) return;
  exit->code = status.code;
  exit->signal = status.signal;
  exit->oom_killed = status.oom_killed ? 1 : 0;
  const std::string_view reason = wire::ExitReason(status);
  std::memset(exit->reason, 0, sizeof exit->reason);
  std::memcpy(exit->reason, reason.data(), std::min(reason.size(), sizeof exit->reason - 1));
}

}  // namespace minibox::c

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::Status;

const char* minibox_version(void) { return minibox::LibraryVersion().data(); }

int minibox_has_feature(const char* name) {
  return name != nullptr && minibox::HasFeature(name) ? 1 : 0;
}

void minibox_string_free(char* text) { std::free(text); }

minibox_error* minibox_set_log(minibox_log_fn sink, void* user) {
  return Call([&]() -> Status {
    if (sink == nullptr) {
      minibox::SetLogSink({});
      return Status();
    }
    minibox::SetLogSink([sink, user](const minibox::LogRecord& record) {
      try {
        sink(user, static_cast<int>(record.severity), std::string(record.module).c_str(),
             std::string(record.message).c_str());
      } catch (...) {
        // What it does with a record is no business of what wrote it.
      }
    });
    return Status();
  });
}

int minibox_error_code(const minibox_error* error) {
  if (error == nullptr) return MINIBOX_OK;
  if (IsNoMemory(error)) return MINIBOX_RESOURCE_EXHAUSTED;
  return static_cast<int>(error->status.code());
}

const char* minibox_error_reason(const minibox_error* error) {
  if (error == nullptr || IsNoMemory(error)) return "";
  return error->status.reason().c_str();
}

const char* minibox_error_message(const minibox_error* error) {
  if (error == nullptr) return "";
  if (IsNoMemory(error)) return "out of memory";
  return error->status.message().c_str();
}

const char* minibox_error_field(const minibox_error* error) {
  if (error == nullptr || IsNoMemory(error)) return "";
  return error->status.field().c_str();
}

int minibox_error_errno(const minibox_error* error) {
  if (error == nullptr) return 0;
  return IsNoMemory(error) ? ENOMEM : error->status.sys_errno();
}

int minibox_error_exit_code(const minibox_error* error) {
  constexpr int kEngineFailed = 125;
  if (error == nullptr) return 0;
  return IsNoMemory(error) ? kEngineFailed : minibox::StartFailureExitCode(error->status);
}

void minibox_error_free(minibox_error* error) {
  if (!IsNoMemory(error)) delete error;
}

minibox_cancel* minibox_cancel_new(void) {
  try {
    return new minibox_cancel{.value = {}};
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void minibox_cancel_request(minibox_cancel* cancel) {
  if (cancel != nullptr) cancel->value.request_stop();
}

int minibox_cancel_requested(const minibox_cancel* cancel) {
  return cancel != nullptr && cancel->value.stop_requested() ? 1 : 0;
}

void minibox_cancel_free(minibox_cancel* cancel) { Free(cancel); }
