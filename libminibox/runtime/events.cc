// SPDX-License-Identifier: Apache-2.0
// The runtime's side of events.jsonl (spec §12.21).
#include <algorithm>
#include <chrono>

#include "core/errors.h"
#include "core/event_log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/container_events.h"
#include "runtime/dir_watch.h"
#include "runtime/event_filter.h"
#include "runtime/runtime_impl.h"

namespace minibox::runtime {

void EmitContainerEvent(const store::DataRoot& root, std::string_view type,
                        const ContainerInfo& info, Labels more, std::optional<TimePoint> time) {
  Labels attributes = info.labels;
  attributes["name"] = info.name;
  attributes["image"] = info.image;
  attributes["project"] = info.project;
  for (auto& [key, value] : more) attributes[key] = std::move(value);
  root.events().Emit(type, info.id.ToString(), std::move(attributes), time);
}

Labels ExitAttributes(const ExitStatus& exit) {
  Labels attributes{{"exit_code", core::StrCat(exit.code)}};
  if (exit.signal != 0) attributes["signal"] = core::SignalName(exit.signal);
  return attributes;
}

}  // namespace minibox::runtime

namespace minibox {
inline namespace v1 {

namespace {

using Reader = core::EventLog::Reader;

// How often a reader that lives looks how far behind it is.
constexpr int kLagEvery = 256;

bool IsEventType(std::string_view type) {
  const size_t dot = type.find('.');
  const auto word = [](std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  };
  return dot != std::string_view::npos && word(type.substr(0, dot)) && word(type.substr(dot + 1));
}

bool InTime(const Event& event, const EventOptions& options) {
  return (!options.since || event.time >= *options.since) &&
         (!options.until || event.time < *options.until);
}

}  // namespace

void Runtime::Impl::Emit(std::string_view type, const ContainerInfo& info, Labels more,
                         std::optional<TimePoint> time) const {
  runtime::EmitContainerEvent(*images->root, type, info, std::move(more), time);
}

void Runtime::Impl::EmitExit(const ContainerInfo& info) const {
  if (!info.exit) return;
  const ExitStatus& exit = *info.exit;
  Labels more = runtime::ExitAttributes(exit);
  more["error"] = exit.error;
  if (exit.oom_killed) {
    more["oom_killed"] = "true";
    Emit("container.oom", info, {}, exit.at);
  }
  Emit("container.die", info, std::move(more), exit.at);
}

Status Runtime::Impl::Announce(std::string_view type, std::string_view id, Labels attributes) {
  if (!IsEventType(type)) {
    return core::InvalidArgument(
        "type", core::StrCat("'", core::EscapeControl(type), "' is not <family>.<what>"));
  }
  Event event;
  event.time = std::chrono::system_clock::now();
  event.type = type;
  event.id = id;
  event.attributes = std::move(attributes);
  return images->root->events().Append(std::move(event));
}

Status Runtime::Impl::ReadEvents(const EventOptions& options, const EventFn& sink,
                                 std::stop_token stop) const {
  // The watch comes first: what happens while we read wakes us up afterwards.
  MBX_ASSIGN_OR_RETURN(runtime::DirWatch watch,
                       runtime::DirWatch::Create(images->root->dir().fd()));
  MBX_ASSIGN_OR_RETURN(
      Reader reader,
      images->root->events().Read(options.since ? Reader::From::kOldest : Reader::From::kNow));
  if (options.ready) options.ready();
  int told = 0;
  for (bool live = !options.since;; live = true) {
    const bool last = options.until && std::chrono::system_clock::now() >= *options.until;
    while (true) {
      if (stop.stop_requested()) return core::Cancelled("events");
      MBX_ASSIGN_OR_RETURN(std::optional<Event> event, reader.Next());
      if (!event) break;
      if (event->type == Event::kOverflow) return sink(*event);
      if (!InTime(*event, options) || !runtime::MatchesEvent(*event, options)) continue;
      MBX_RETURN_IF_ERROR(sink(*event));
      if (!live || ++told % kLagEvery != 0) continue;
      MBX_ASSIGN_OR_RETURN(const uint64_t behind, reader.Behind());
      if (behind <= core::kKeptEvents) continue;
      Event overflow;
      overflow.time = std::chrono::system_clock::now();
      overflow.type = Event::kOverflow;
      return sink(overflow);
    }
    if (last) return Status();
    MBX_RETURN_IF_ERROR(watch.WaitUntil(options.until, stop));
  }
}

Status Runtime::Announce(std::string_view type, std::string_view id, const Labels& attributes) {
  return impl_->Announce(type, id, attributes);
}

Status Runtime::ReadEvents(const EventOptions& options, const EventFn& sink,
                           std::stop_token stop) const {
  return impl_->ReadEvents(options, sink, std::move(stop));
}

}  // namespace v1
}  // namespace minibox
