// SPDX-License-Identifier: Apache-2.0
// What a runtime does without being asked: it starts containers again (spec §12.19). Only one
// that supervises acts; what is due is in the records, so that whoever comes next goes on.
#include <algorithm>
#include <chrono>

#include "core/log.h"
#include "core/strings.h"
#include "runtime/restart_policy.h"
#include "runtime/runtime_impl.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;
// A timer runs by a clock that nobody sets; the record's time is looked at again at least so often.
constexpr milliseconds kLongestTimer{60'000};

}  // namespace

void Runtime::Impl::Supervise(Started& started) {
  const ContainerId& id = started.info.id;
  const Status watched = supervisor_->Watch(id, started.monitor, std::move(started.connection));
  if (!watched.ok()) {
    core::LogWarning("runtime", core::StrCat(watched.message(), ", the exit of container ",
                                             id.ToString(), " is noticed later"));
  }
  BeginProbes(id);
}

void Runtime::Impl::ScheduleRestart(const ContainerId& id, TimePoint when) {
  if (!options.supervise) return;
  const auto pause = std::clamp(std::chrono::ceil<milliseconds>(when - system_clock::now()),
                                milliseconds(0), kLongestTimer);
  loop_->AddTimer(std::chrono::steady_clock::now() + pause, [this, id] {
    if (stopping_.stop_requested()) return;
    pool_->Submit([this, id] { RestartByPolicy(id); });
  });
}

void Runtime::Impl::RestartByPolicy(const ContainerId& id) {
  if (stopping_.stop_requested()) return;
  auto container = Lock(id, stopping_.get_token());
  if (!container.ok()) return;  // removed, or we are closing
  const ContainerInfo& info = container->record.info;
  // Somebody else has started it, or does not want it any more.
  if (info.state != ContainerState::kExited || !info.next_restart) return;
  if (*info.next_restart > system_clock::now()) return ScheduleRestart(id, *info.next_restart);
  auto started =
      StartLocked(*container, /*capture=*/false, stopping_.get_token(), StartedBy::kPolicy);
  if (started.ok()) return Supervise(*started);
  core::LogWarning("runtime", core::StrCat("restart of container ", id.ToString(), ": ",
                                           started.status().message()));
  const auto next = container->record.info.next_restart;
  if (next) ScheduleRestart(id, *next);
}

void Runtime::Impl::FollowPolicy(const ContainerId& id) {
  if (!options.supervise) return;
  auto dir = runtime::ContainerDir::Open(*images->root, id);
  if (!dir.ok()) return;
  auto record = dir->ReadRecord();
  if (record.ok() && record->info.next_restart) ScheduleRestart(id, *record->info.next_restart);
}

Status Runtime::Impl::ResumePolicy(Locked& container) {
  if (!options.supervise || container.record.info.state != ContainerState::kExited) {
    return Status();
  }
  ContainerInfo& info = container.record.info;
  if (!info.next_restart && runtime::StartsWithDaemon(container.record)) {
    container.record.stopped = false;
    info.next_restart = system_clock::now();
    if (Status written = container.dir.WriteRecord(container.record); !written.ok()) return written;
  }
  if (info.next_restart) ScheduleRestart(info.id, *info.next_restart);
  return Status();
}

Status Runtime::Impl::NoteStoppedByUser(Locked& container) {
  runtime::ContainerRecord& record = container.record;
  const bool policy = record.info.restart.kind != RestartPolicy::Kind::kNo;
  if (!record.info.next_restart && (!policy || record.stopped)) return Status();
  record.stopped = true;
  record.info.next_restart.reset();
  snapshot_->Touch();
  return container.dir.WriteRecord(record);
}

}  // namespace v1
}  // namespace minibox
