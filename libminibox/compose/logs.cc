// SPDX-License-Identifier: Apache-2.0
// The logs of a project as one: what there is, merged by time, then what comes.
#include <condition_variable>
#include <deque>
#include <thread>

#include "compose/compose_impl.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/thread.h"

namespace minibox {
namespace compose {
namespace {

// So many lines of each container are held at most.
constexpr size_t kMaxHeld = 1000;

struct Line {
  std::string time{}, text{};
  Stream stream = Stream::kStdout;
};

// Cuts a log with times into lines.
class LineCutter {
 public:
  using Sink = std::function<Status(Line)>;
  explicit LineCutter(Sink sink) : sink_(std::move(sink)) {}

  Status Add(const OutputChunk& chunk) {
    std::string& pending = pending_[chunk.stream == Stream::kStderr ? 1 : 0];
    pending.append(chunk.bytes);
    size_t begin = 0, end;
    while ((end = pending.find('\n', begin)) != std::string::npos) {
      MBX_RETURN_IF_ERROR(Send(std::string_view(pending).substr(begin, end - begin), chunk.stream));
      begin = end + 1;
    }
    pending.erase(0, begin);
    return Status();
  }
  Status Finish() {
    for (const Stream stream : {Stream::kStdout, Stream::kStderr}) {
      const std::string& rest = pending_[stream == Stream::kStderr ? 1 : 0];
      if (!rest.empty()) MBX_RETURN_IF_ERROR(Send(rest, stream));
    }
    return Status();
  }

 private:
  Status Send(std::string_view line, Stream stream) {
    const size_t blank = line.find(' ');
    const size_t text = blank == line.npos ? line.size() : blank + 1;
    return sink_({std::string(line.substr(0, blank)), std::string(line.substr(text)), stream});
  }
  Sink sink_;
  std::string pending_[2];
};

// Merges the logs of several containers: a line goes out when every container has said what comes
// next.
class Merger {
 public:
  Merger(const State& impl, const std::vector<ServiceStatus>& containers, const ComposeLogFn& sink,
         std::stop_token stop)
      : impl_(impl), containers_(containers), sink_(sink), stop_(std::move(stop)) {}

  Status Run(const LogOptions& options) {
    sources_.resize(containers_.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < containers_.size(); ++i) {
      threads.push_back(core::StartThread("mbx-logs", [this, i, &options] { Read(i, options); }));
    }
    const Status merged = Merge();
    for (std::thread& thread : threads) thread.join();
    return merged;
  }

 private:
  struct Source {
    std::deque<Line> lines{};
    bool ended = false;
    Status status{};
  };

  void Read(size_t i, const LogOptions& options) {
    LineCutter cutter([&](Line line) { return Push(i, std::move(line)); });
    Status status = impl_.backend->ReadLogs(
        containers_[i].container.id, options,
        [&](const OutputChunk& chunk) { return cutter.Add(chunk); }, stop_);
    if (status.ok()) status = cutter.Finish();
    const std::lock_guard lock(mutex_);
    sources_[i].ended = true;
    sources_[i].status = std::move(status);
    changed_.notify_all();
  }

  Status Push(size_t i, Line line) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return sources_[i].lines.size() < kMaxHeld || over_; });
    if (over_) return core::Cancelled("the logs");
    sources_[i].lines.push_back(std::move(line));
    changed_.notify_all();
    return Status();
  }

  // The source whose line is next; nullopt when all have ended. Called with the lock.
  std::optional<size_t> Next(std::unique_lock<std::mutex>& lock) {
    changed_.wait(lock, [&] {
      for (const Source& source : sources_) {
        if (source.lines.empty() && !source.ended) return false;
      }
      return true;
    });
    std::optional<size_t> next;
    for (size_t i = 0; i < sources_.size(); ++i) {
      if (sources_[i].lines.empty()) continue;
      if (!next || sources_[i].lines.front().time < sources_[*next].lines.front().time) next = i;
    }
    return next;
  }

  Status Merge() {
    std::unique_lock lock(mutex_);
    Status status;
    while (status.ok()) {
      const auto next = Next(lock);
      if (!next) break;
      const Line line = std::move(sources_[*next].lines.front());
      sources_[*next].lines.pop_front();
      changed_.notify_all();
      lock.unlock();
      status = sink_({containers_[*next].service, line.time, line.text, line.stream});
      lock.lock();
    }
    over_ = true;
    changed_.notify_all();
    if (!status.ok()) return status;
    for (const Source& source : sources_) {
      // One that was removed meanwhile has no log any more.
      if (source.status.reason() != "container_not_found") MBX_RETURN_IF_ERROR(source.status);
    }
    return Status();
  }

  const State& impl_;
  const std::vector<ServiceStatus>& containers_;
  const ComposeLogFn& sink_;
  const std::stop_token stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Source> sources_;
  bool over_ = false;
};

// What comes from now on, as it comes.
Status Follow(const State& impl, const std::vector<ServiceStatus>& containers,
              const ComposeLogFn& sink, const LogOptions& options, const std::stop_token& stop) {
  std::mutex mutex;
  Status first;
  std::stop_source own;
  const std::stop_callback forward(stop, [&own] { own.request_stop(); });
  std::vector<std::thread> threads;
  for (const ServiceStatus& entry : containers) {
    threads.push_back(core::StartThread("mbx-logs", [&, &entry = entry] {
      LineCutter cutter([&](Line line) {
        const std::lock_guard lock(mutex);
        return sink({entry.service, line.time, line.text, line.stream});
      });
      Status status = impl.backend->ReadLogs(
          entry.container.id, options, [&](const OutputChunk& chunk) { return cutter.Add(chunk); },
          own.get_token());
      if (status.ok()) status = cutter.Finish();
      if (status.ok() || status.reason() == "container_not_found") return;
      const std::lock_guard lock(mutex);
      if (first.ok()) first = status;
      own.request_stop();  // an error of the sink ends all
    }));
  }
  for (std::thread& thread : threads) thread.join();
  return first;
}

}  // namespace
}  // namespace compose

inline namespace v1 {

Status Compose::ReadLogs(const ComposeLogOptions& options, const ComposeLogFn& sink,
                         std::stop_token stop) const {
  MBX_ASSIGN_OR_RETURN(const auto all, compose::ListProject(*impl_));
  MBX_ASSIGN_OR_RETURN(const auto chosen, compose::Choose(*impl_, all, options.services));
  // What is written before this moment is merged, the rest follows.
  const TimePoint now = std::chrono::system_clock::now();
  LogOptions past{.tail_lines = options.tail_lines, .timestamps = true};
  if (options.follow) past.until = now;
  MBX_RETURN_IF_ERROR(compose::Merger(*impl_, chosen, sink, stop).Run(past));
  if (!options.follow) return Status();
  const LogOptions future{.follow = true, .until_exit = true, .since = now, .timestamps = true};
  return compose::Follow(*impl_, chosen, sink, future, stop);
}

}  // namespace v1
}  // namespace minibox
