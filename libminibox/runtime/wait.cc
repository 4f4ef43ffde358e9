// SPDX-License-Identifier: Apache-2.0
// Waiting for what becomes of a container. Every change of its record wakes us up.
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/dir_watch.h"
#include "runtime/runtime_impl.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

// A stop request by the caller or by the clock.
class Deadline {
 public:
  Deadline(core::EventLoop* loop, std::optional<std::chrono::milliseconds> timeout,
           std::stop_token stop)
      : loop_(loop), caller_(std::move(stop), [this] { source_.request_stop(); }) {
    if (!timeout) return;
    timer_ = loop_->AddTimer(std::chrono::steady_clock::now() + *timeout, [this] {
      passed_ = true;
      source_.request_stop();
    });
  }
  ~Deadline() {
    if (timer_) loop_->Remove(*timer_);
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  // What a wait that was called off means.
  Status Explain(Status status) const {
    if (status.code() != StatusCode::kCancelled || !passed_) return status;
    return core::Error(StatusCode::kDeadlineExceeded, "timeout", "the wait has timed out");
  }

 private:
  core::EventLoop* const loop_;
  std::stop_source source_;
  std::atomic<bool> passed_{false};
  std::optional<core::EventLoop::Id> timer_;
  std::stop_callback<std::function<void()>> caller_;
};

Status NeverHealthy(const ContainerInfo& info) {
  return core::FailedPrecondition(
      "container_not_running",
      core::StrCat("container ", info.id.ToString(), " has exited before it was healthy"));
}

}  // namespace

StatusOr<ContainerInfo> Runtime::Impl::WaitFor(const ContainerId& id, const WaitOptions& how,
                                               std::stop_token stop) {
  const Deadline deadline(loop_.get(), how.timeout, std::move(stop));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, id));
  // The watch comes first: what happens while we read wakes us up afterwards.
  MBX_ASSIGN_OR_RETURN(runtime::DirWatch watch, runtime::DirWatch::Create(dir.dir().fd()));
  if (how.condition == WaitCondition::kExited) {
    MBX_ASSIGN_OR_RETURN(runtime::ContainerRecord record, dir.ReadRecord());
    auto exit = Wait(id, deadline.token());
    if (!exit.ok()) return deadline.Explain(exit.status());
    // It may have been removed or started once more in the same moment.
    if (auto after = dir.ReadRecord(); after.ok()) record = std::move(*after);
    ContainerInfo info = std::move(record.info);
    info.state = ContainerState::kExited;
    info.pid = 0;
    info.exit = std::move(*exit);
    return info;
  }
  if (how.condition == WaitCondition::kHealthy) {
    MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, dir.ReadConfig());
    if (!config.spec.healthcheck) {
      return core::InvalidArgument("condition", "the container has no health check");
    }
  }
  std::optional<ContainerInfo> last;
  bool ran = false;
  while (true) {
    const Status in_place = dir.CheckInPlace(*images->root);
    if (!in_place.ok() && in_place.code() != StatusCode::kNotFound) return in_place;
    auto record = dir.ReadRecord();
    if (record.ok()) last = std::move(record->info);
    if (!in_place.ok()) {
      if (how.condition == WaitCondition::kRemoved && last) {
        last->state = ContainerState::kRemoving;
        return *last;
      }
      return in_place;
    }
    if (!record.ok()) return record.status();
    if (how.condition == WaitCondition::kHealthy) {
      if (last->health == Health::kHealthy) return *last;
      ran = ran || last->state != ContainerState::kCreated;
      if (ran && !runtime::IsLive(last->state)) return NeverHealthy(*last);
    }
    const Status woken = watch.Wait(deadline.token());
    if (!woken.ok()) return deadline.Explain(woken);
  }
}

}  // namespace v1
}  // namespace minibox
