// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>

#include "handlers.h"
#include "params.h"
#include "take_over.h"
#include "wire/container.h"
#include "wire/run_request.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::ContainerId;
using minibox::ContainerInfo;
using minibox::ExitStatus;
using minibox::OutputChunk;
using minibox::Status;
using minibox::StatusOr;
using minibox::wire::StrCat;
using minibox::wire::Strictness;

constexpr int64_t kMaxStopSeconds = 600;
// Up to here a log is read once; beyond, once for its size and once for its bytes.
constexpr uint64_t kBufferedLog = 4 << 20;

void AddWarnings(Exchange& exchange, const ContainerInfo& info) {
  for (const std::string& warning : info.warnings) exchange.AddWarning(warning);
}

// The parsed body, or nullopt and the error has been sent.
// `rest` receives what follows the JSON value.
std::optional<minibox::wire::RunRequest> ReadRunRequest(Exchange& exchange, std::string* rest) {
  const auto body = exchange.ReadBody(kMaxJsonBody);
  if (!body.ok()) {
    exchange.SendError(body.status());
    return std::nullopt;
  }
  size_t end = 0;
  auto request = minibox::wire::ParseRunRequest(*body, &end);
  if (!request.ok()) {
    SendStartError(exchange, request.status());
    return std::nullopt;
  }
  WarnOfUnknown(exchange, "field", request->unknown_fields);
  *rest = body->substr(end);
  return std::move(*request);
}

void RunForeground(Engine& engine, Exchange& exchange, const minibox::wire::RunRequest& request) {
  std::optional<ResponseStream> stream;
  minibox::RunOptions options;
  options.on_disconnect = request.on_disconnect;
  options.started = [&](const ContainerInfo& info) {
    exchange.AddHeader("X-Minibox-Container-Id", info.id.ToString());
    AddWarnings(exchange, info);
    stream.emplace(exchange.BeginStream(kText, {"X-Minibox-Exit-Code", "X-Minibox-Exit-Reason"}));
  };
  const StatusOr<ExitStatus> exit = engine.runtime.RunForeground(
      request.spec, [&](const OutputChunk& chunk) { return stream->Write(chunk.bytes); }, options,
      exchange.gone());
  if (!stream) return SendStartError(exchange, exit.status());
  // Without a known end the stream stays open-ended, so that nobody takes it for success.
  if (!exit.ok()) return;
  const std::string_view reason = minibox::wire::ExitReason(*exit);
  if (reason.empty()) return;
  (void)stream->End({{"X-Minibox-Exit-Code", std::to_string(exit->code)},
                     {"X-Minibox-Exit-Reason", std::string(reason)}});
  // A client that went away in the last moment needs no result.
}

void Run(Engine& engine, Exchange& exchange) {
  std::string rest;
  auto request = ReadRunRequest(exchange, &rest);
  if (!request) return;
  if (!request->detached && (request->spec.open_stdin || WantsFrames(exchange.head()))) {
    return RunTakenOver(engine, exchange, std::move(*request), std::move(rest));
  }
  if (!request->detached) return RunForeground(engine, exchange, *request);
  const auto info = engine.runtime.Run(request->spec);
  if (!info.ok()) return SendStartError(exchange, info.status());
  AddWarnings(exchange, *info);
  exchange.SendLine(info->id.ToString(), info->id.ToString());
}

void Create(Engine& engine, Exchange& exchange) {
  std::string rest;
  const auto request = ReadRunRequest(exchange, &rest);
  if (!request) return;
  const auto info = engine.runtime.Create(request->spec);
  if (!info.ok()) return SendStartError(exchange, info.status());
  AddWarnings(exchange, *info);
  exchange.SendLine(info->id.ToString(), info->id.ToString());
}

struct Filters {
  std::string status, name, project, image, health;
  std::vector<std::string> labels;

  bool Match(const ContainerInfo& info) const {
    const auto is = [](const std::string& filter, std::string_view value) {
      return filter.empty() || filter == value;
    };
    const auto reference = minibox::ImageRef::Parse(image);
    const bool same_image = image.empty() || info.image == image ||
                            (reference.ok() && info.reference == reference->ToString());
    return is(status, minibox::wire::StateName(info.state)) && is(name, info.name) &&
           is(project, info.project) && same_image &&
           is(health, minibox::HealthName(info.health)) && HasLabels(info.labels, labels);
  }
};

void List(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kPublished);
  Filters filters;
  params.Text("status", &filters.status);
  params.Text("name", &filters.name);
  params.Text("project", &filters.project);
  params.Text("image", &filters.image);
  params.Text("health", &filters.health);
  params.List("label", &filters.labels);
  if (!params.Finish()) return;
  auto containers = engine.runtime.List();
  if (!containers.ok()) return exchange.SendError(containers.status());
  std::erase_if(*containers, [&](const ContainerInfo& info) { return !filters.Match(info); });
  exchange.SendJson(minibox::wire::ToJson(*containers));
}

std::optional<ContainerId> Find(Engine& engine, Exchange& exchange, const std::string& id) {
  return FindContainer(engine, exchange, id);
}

void FollowLogs(Engine& engine, Exchange& exchange, const ContainerId& id,
                const minibox::LogOptions& options) {
  std::stop_source stop;
  const std::stop_callback gone(exchange.gone(), [&] { stop.request_stop(); });
  const std::stop_callback closing(engine.long_polls.get_token(), [&] { stop.request_stop(); });
  ResponseStream stream = exchange.BeginStream(kText);
  const Status read = engine.runtime.ReadLogs(
      id, options, [&](const OutputChunk& chunk) { return stream.Write(chunk.bytes); },
      stop.get_token());
  if (read.ok() && !stop.stop_requested()) (void)stream.End();  // else visibly incomplete
}

// "bytes=a-b", "bytes=a-", "bytes=-n" of `size` bytes. nullopt: another form, to be ignored; a
// length of 0: not satisfiable.
struct ByteRange {
  uint64_t offset = 0, length = 0;
};
std::optional<ByteRange> ParseRange(std::string_view text, uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.find(',') != std::string_view::npos) {
    return std::nullopt;
  }
  const auto first = minibox::wire::ParseUint64(text.substr(0, dash));
  const auto last = minibox::wire::ParseUint64(text.substr(dash + 1));
  if (dash == 0) {
    if (!last) return std::nullopt;
    const uint64_t length = std::min(*last, size);
    return ByteRange{size - length, length};
  }
  if (!first || (!last && dash + 1 != text.size()) || (last && *last < *first)) return std::nullopt;
  if (*first >= size) return ByteRange{};
  return ByteRange{*first, std::min(last.value_or(size - 1), size - 1) - *first + 1};
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<minibox::TimePoint> ParseHttpDate(const std::string& text) {
  std::tm utc{};
  const char* const end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::system_clock::from_time_t(timegm(&utc));
}

std::string HttpDate(minibox::TimePoint time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[64];
  snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[utc.tm_wday],
           utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
           utc.tm_sec);
  return text;
}

// The whole log, or a range of it.
void SendWholeLog(Engine& engine, Exchange& exchange, const ContainerId& id) {
  const auto log = engine.runtime.OpenLog(id);
  if (!log.ok()) return exchange.SendError(log.status());
  exchange.AddHeader("Last-Modified", HttpDate(log->modified()));
  exchange.AddHeader("Accept-Ranges", "bytes");
  const auto& head = exchange.head();
  const auto since = ParseHttpDate(std::string(head.Find("If-Modified-Since").value_or("")));
  if (since && std::chrono::floor<std::chrono::seconds>(log->modified()) <= *since) {
    return exchange.SendHead(304, kText, log->size());
  }
  ByteRange range{0, log->size()};
  int status = 200;
  const auto wanted = head.Find("If-Range")
                          ? std::nullopt
                          : ParseRange(head.Find("Range").value_or(""), log->size());
  if (wanted && wanted->length == 0) {
    exchange.AddHeader("Content-Range", StrCat("bytes */", log->size()));
    return exchange.Send(416, kText, "range not satisfiable\n");
  }
  if (wanted) {
    range = *wanted;
    status = 206;
    exchange.AddHeader("Content-Range", StrCat("bytes ", range.offset, "-",
                                               range.offset + range.length - 1, "/", log->size()));
  }
  exchange.SendHead(status, kText, range.length);
  if (exchange.is_head_request()) return;
  const Status sent = log->Read(range.offset, range.length,
                                [&](std::string_view bytes) { return exchange.SendPart(bytes); });
  if (!sent.ok()) exchange.Abandon();
}

void SendLogs(Engine& engine, Exchange& exchange, const ContainerId& id,
              const minibox::LogOptions& options) {
  std::string text;
  uint64_t size = 0;
  const Status counted = engine.runtime.ReadLogs(id, options, [&](const OutputChunk& chunk) {
    size += chunk.bytes.size();
    if (size <= kBufferedLog) text += chunk.bytes;
    return Status();
  });
  if (!counted.ok()) return exchange.SendError(counted);
  if (size <= kBufferedLog) return exchange.Send(200, kText, text);
  exchange.SendHead(200, kText, size);
  if (exchange.is_head_request()) return;
  // The log only grows meanwhile; what is more than was announced belongs to the next request.
  const Status enough(minibox::StatusCode::kCancelled, "enough");
  const Status sent = engine.runtime.ReadLogs(id, options, [&](const OutputChunk& chunk) {
    const std::string_view bytes = chunk.bytes.substr(0, size);
    size -= bytes.size();
    const Status part = exchange.SendPart(bytes);
    return part.ok() && size == 0 ? enough : part;
  });
  if (size > 0) exchange.Abandon();
  (void)sent;  // it ends with `enough`, or the client is gone
}

void Logs(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kPublished);
  std::string id_text;
  std::optional<int64_t> tail;
  minibox::LogOptions options;
  params.Required("id", &id_text);
  params.Flag("follow", &options.follow);
  params.Flag("until_exit", &options.until_exit);
  params.Int("tail", 0, INT64_MAX, &tail);
  std::string stream;
  params.Time("since", &options.since);
  params.Time("until", &options.until);
  params.Flag("timestamps", &options.timestamps);
  params.Text("stream", &stream);
  if (stream == "stdout") {
    options.stream = minibox::Stream::kStdout;
  } else if (stream == "stderr") {
    options.stream = minibox::Stream::kStderr;
  } else if (!stream.empty()) {
    params.Fail(minibox::wire::InvalidField("stream", "must be stdout or stderr"));
  }
  if (!params.Finish()) return;
  if (tail) options.tail_lines = static_cast<size_t>(*tail);
  const auto id = Find(engine, exchange, id_text);
  if (!id) return;
  if (options.follow && !exchange.is_head_request()) {
    FollowLogs(engine, exchange, *id, options);
  } else if (options.follow) {
    exchange.BeginStream(kText);
  } else if (!options.since && !options.until && !options.stream && !options.timestamps &&
             !options.tail_lines) {
    SendWholeLog(engine, exchange, *id);
  } else {
    options.until_exit = false;
    SendLogs(engine, exchange, *id, options);
  }
}

// Reads `signal` as a name or number; 0 if it is not given.
void ReadSignal(Params& params, int* signal) {
  std::string text;
  params.Text("signal", &text);
  if (text.empty()) return;
  const auto number = minibox::wire::ParseSignal(text);
  if (number) {
    *signal = *number;
  } else {
    params.Fail(minibox::wire::InvalidField("signal", StrCat("'", text, "' is not a signal")));
  }
}

void Stop(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kPublished);
  std::string id_text;
  std::optional<int64_t> seconds;
  minibox::StopOptions options;
  params.Required("id", &id_text);
  params.Int("t", 0, kMaxStopSeconds, &seconds);
  ReadSignal(params, &options.signal);
  if (!params.Finish()) return;
  if (seconds) options.grace = std::chrono::seconds(*seconds);
  const auto id = Find(engine, exchange, id_text);
  if (!id) return;
  const auto result = engine.runtime.Stop(*id, options);
  if (!result.ok()) return exchange.SendError(result.status());
  std::string_view outcome = "stopped";
  if (*result == minibox::StopResult::kKilled) outcome = "killed (timeout)";
  if (*result == minibox::StopResult::kNotRunning) outcome = "not running";
  exchange.SendLine(id->ToString(), StrCat("Container ", id->ToString(), " ", outcome));
}

void Start(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kPublished);
  std::string id_text;
  std::optional<int64_t> rows, cols;
  params.Required("id", &id_text);
  params.Int("rows", 1, 65535, &rows);
  params.Int("cols", 1, 65535, &cols);
  if (!params.Finish()) return;
  const auto id = engine.runtime.Find(id_text);
  if (id.ok() && WantsFrames(exchange.head())) {
    return StartTakenOver(engine, exchange, *id, rows, cols);
  }
  const auto info = id.ok() ? engine.runtime.Start(*id) : StatusOr<ContainerInfo>(id.status());
  if (!info.ok()) {
    if (info.status().reason() == "container_not_found") {
      HttpError error = ErrorOf(info.status());
      error.message = "container not found";
      return exchange.SendError(error);
    }
    return SendStartError(exchange, info.status());
  }
  AddWarnings(exchange, *info);
  exchange.SendLine(id->ToString(), id->ToString());
}

void Kill(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kPublished);
  std::string id_text;
  int signal = SIGKILL;
  params.Required("id", &id_text);
  ReadSignal(params, &signal);
  if (!params.Finish()) return;
  const auto id = Find(engine, exchange, id_text);
  if (!id) return;
  const Status killed = engine.runtime.Kill(*id, signal);
  if (!killed.ok()) return exchange.SendError(killed);
  const std::string outcome =
      signal == SIGKILL ? "killed" : StrCat("signalled ", minibox::wire::SignalName(signal));
  exchange.SendLine(id->ToString(), StrCat("Container ", id->ToString(), " ", outcome));
}

void Remove(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kPublished);
  std::string id_text;
  bool force = false;
  params.Required("id", &id_text);
  params.Flag("force", &force);
  if (!params.Finish()) return;
  const auto id = Find(engine, exchange, id_text);
  if (!id) return;
  const Status removed = engine.runtime.Remove(*id, force);
  if (!removed.ok()) return exchange.SendError(removed);
  exchange.SendLine(id->ToString(), StrCat("Container ", id->ToString(), " removed"));
}

}  // namespace

std::optional<ContainerId> FindContainer(Engine& engine, Exchange& exchange,
                                         const std::string& id) {
  auto found = engine.runtime.Find(id);
  if (found.ok()) return std::move(*found);
  exchange.SendError(found.status());
  return std::nullopt;
}

void SendStartError(Exchange& exchange, const Status& status) {
  exchange.AddHeader("X-Minibox-Exit-Code", std::to_string(minibox::StartFailureExitCode(status)));
  HttpError error = ErrorOf(status);
  if (error.status == 500 && error.code == "internal") error.code = "start_failed";
  exchange.SendError(error);
}

std::vector<Route> ContainerRoutes(Engine& engine) {
  return {
      {"POST", "/containers/run", Bind(engine, Run)},
      {"POST", "/containers/create", Bind(engine, Create)},
      {"GET", "/containers", Bind(engine, List)},
      {"GET", "/containers/logs", Bind(engine, Logs)},
      {"POST", "/containers/stop", Bind(engine, Stop)},
      {"POST", "/containers/start", Bind(engine, Start)},
      {"POST", "/containers/kill", Bind(engine, Kill)},
      {"POST", "/containers/remove", Bind(engine, Remove)},
  };
}

}  // namespace miniboxd
