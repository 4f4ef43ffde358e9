// SPDX-License-Identifier: Apache-2.0
// Questions. They take no lock and wait for nobody.
#include <algorithm>
#include <chrono>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/dir_watch.h"
#include "runtime/log_reader.h"
#include "runtime/monitor_identity.h"
#include "runtime/restart_policy.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_validate.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr size_t kMinPrefix = 2, kMaxName = 128;

bool IsHexPrefix(std::string_view text) {
  return text.size() >= kMinPrefix && text.size() <= 8 &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Status Ambiguous(std::string_view text, const std::vector<ContainerId>& candidates) {
  std::vector<std::string> ids;
  for (const ContainerId& id : candidates) ids.push_back(id.ToString());
  return core::FailedPrecondition("ambiguous_name",
                                  core::StrCat("'", text, "' means ", core::StrJoin(ids, ", ")));
}

}  // namespace

StatusOr<runtime::ContainerRecord> Runtime::Impl::Observe(const ContainerId& id) {
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, id));
  MBX_ASSIGN_OR_RETURN(runtime::ContainerRecord record, dir.ReadRecord());
  if (!runtime::IsLive(record.info.state)) return record;
  auto exit = dir.ReadExit();
  if (!exit.ok()) return exit.status();
  if (!*exit) {
    if (record.boot_id == boot_id_ && runtime::IsAlive(record.monitor)) return record;
    // The monitor writes first and dies then.
    exit = dir.ReadExit();
    if (!exit.ok()) return exit.status();
  }
  // Nobody has recorded the exit yet, or somebody is about to.
  pool_->Submit([this, id, monitor = record.monitor, told = *exit] {
    (void)FinishRun(id, monitor, told, stopping_.get_token());
  });
  if (!*exit) {
    MBX_ASSIGN_OR_RETURN(record, dir.ReadRecord());
    if (!runtime::IsLive(record.info.state)) return record;
  }
  record.info.state = ContainerState::kExited;
  record.info.pid = 0;
  record.info.health = Health::kNone;
  if (*exit) {
    record.info.exit = **exit;
  } else {
    record.info.exit =
        ExitStatus{.code = -1, .error = "monitor lost", .at = std::chrono::system_clock::now()};
  }
  runtime::PlanRestart(record, runtime::Ended::kRun, record.info.exit->at);
  record.info.ip.clear();
  record.info.mac.clear();
  record.info.gateway.clear();
  record.info.networks.clear();
  return record;
}

StatusOr<ContainerInfo> Runtime::Impl::Inspect(const ContainerId& id) {
  MBX_ASSIGN_OR_RETURN(runtime::ContainerRecord record, Observe(id));
  return std::move(record.info);
}

StatusOr<std::vector<Runtime::Impl::SharedRecord>> Runtime::Impl::ObserveAll() {
  MBX_ASSIGN_OR_RETURN(const std::vector<ContainerId> ids,
                       runtime::ContainerDir::List(*images->root));
  MBX_ASSIGN_OR_RETURN(const core::RootDir containers,
                       images->root->dir().OpenDir(runtime::kContainers));
  const auto observe = [&](const ContainerId& id) -> StatusOr<SharedRecord> {
    MBX_ASSIGN_OR_RETURN(SharedRecord record, records_.Read(*images->root, containers.fd(), id));
    const bool settled =
        !runtime::IsLive(record->info.state) ||
        // The supervisor hears of the monitor's end before anybody could look.
        (record->boot_id == boot_id_ && supervisor_->IsWatched(id, record->monitor) &&
         !runtime::RecordCache::HasExit(containers.fd(), id));
    if (settled) return record;
    MBX_ASSIGN_OR_RETURN(runtime::ContainerRecord observed, Observe(id));
    return std::make_shared<const runtime::ContainerRecord>(std::move(observed));
  };
  std::vector<SharedRecord> records;
  for (const ContainerId& id : ids) {
    auto record = observe(id);
    if (record.ok()) {
      records.push_back(std::move(*record));
    } else if (record.status().code() != StatusCode::kNotFound) {
      // One damaged record does not affect other containers.
      core::LogWarning("runtime", core::StrCat("container ", id.ToString(), ": ",
                                               record.status().message(), ", not listed"));
    }
  }
  records_.Keep(ids);
  return records;
}

StatusOr<std::vector<ContainerInfo>> Runtime::Impl::List() {
  MBX_ASSIGN_OR_RETURN(const std::vector<SharedRecord> records, ObserveAll());
  std::vector<ContainerInfo> infos;
  infos.reserve(records.size());
  for (const SharedRecord& record : records) infos.push_back(record->info);
  return infos;
}

StatusOr<ContainerId> Runtime::Impl::Find(std::string_view text) const {
  auto exact = ContainerId::Parse(text);
  if (exact.ok() && runtime::ContainerDir::Open(*images->root, *exact).ok()) return exact;
  const bool prefix = IsHexPrefix(text);
  if (!prefix) MBX_RETURN_IF_ERROR(runtime::ValidateName(text, kMaxName, "id"));
  MBX_ASSIGN_OR_RETURN(const std::vector<ContainerId> ids,
                       runtime::ContainerDir::List(*images->root));
  std::vector<ContainerId> named, prefixed;
  for (const ContainerId& id : ids) {
    if (prefix && id.ToString().starts_with(text)) prefixed.push_back(id);
    auto dir = runtime::ContainerDir::Open(*images->root, id);
    if (!dir.ok()) continue;
    auto record = dir->ReadRecord();
    if (record.ok() && record->info.name == text) named.push_back(id);
  }
  const std::vector<ContainerId>& candidates = named.empty() ? prefixed : named;
  if (candidates.size() > 1) return Ambiguous(text, candidates);
  if (candidates.empty()) {
    return core::NotFound("container_not_found",
                          core::StrCat("container '", core::EscapeControl(text), "' not found"));
  }
  return candidates.front();
}

Status Runtime::Impl::ReadLogs(const ContainerId& id, const LogOptions& how, const OutputFn& sink,
                               std::stop_token stop) const {
  using Until = runtime::LogReader::Until;
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, id));
  runtime::LogSelection selection;
  selection.tail_lines = how.tail_lines;
  selection.since = how.since;
  selection.until = how.until;
  selection.stream = how.stream;
  selection.timestamps = how.timestamps;
  if (!how.follow) {
    MBX_ASSIGN_OR_RETURN(auto reader, runtime::LogReader::Open(dir.dir(), selection));
    return reader.Drain(Until::kOpened, sink, stop);
  }
  // The watch comes first: what happens while we read wakes us up afterwards.
  MBX_ASSIGN_OR_RETURN(runtime::DirWatch watch, runtime::DirWatch::Create(dir.dir().fd()));
  MBX_ASSIGN_OR_RETURN(auto reader, runtime::LogReader::Open(dir.dir(), selection));
  while (true) {
    // Nothing that is written from now on is wanted.
    const bool over = how.until && std::chrono::system_clock::now() >= *how.until;
    const Status in_place = dir.CheckInPlace(*images->root);
    if (!in_place.ok() && in_place.code() != StatusCode::kNotFound) return in_place;
    bool ended = !in_place.ok();
    if (!ended && how.until_exit) {
      auto record = dir.ReadRecord();
      ended = !record.ok() || record->info.state == ContainerState::kExited ||
              record->info.state == ContainerState::kRemoving;
    }
    // What is asked above comes first: the log is complete before an exit is recorded.
    MBX_RETURN_IF_ERROR(reader.Drain(ended ? Until::kEnd : Until::kRecorded, sink, stop));
    if (ended || over) return Status();
    MBX_RETURN_IF_ERROR(watch.WaitUntil(how.until, stop));
  }
}

}  // namespace v1
}  // namespace minibox
