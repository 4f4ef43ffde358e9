// SPDX-License-Identifier: Apache-2.0
// Hosts files follow every start, exit and rename of a sibling (spec §13.5). Whoever changes what
// is on the networks of a project writes the files of all its containers, under one lock, from
// the leases: so the last writer has seen everything.
#include <fcntl.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/errors.h"
#include "core/file.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/generated_files.h"
#include "runtime/mount_plan.h"
#include "runtime/names.h"
#include "runtime/runtime_impl.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr std::string_view kHostsLock = ".hosts";
// What was generated last, to tell it from what the workload has added.
constexpr std::string_view kGenerated = "hosts.generated";
constexpr size_t kMaxHosts = 1u << 20;

std::string ReadOr(int dir, std::string_view name) {
  auto text = core::ReadFileAt(dir, name, kMaxHosts);
  return text.ok() ? std::move(*text) : std::string();
}

// The siblings of `id`, by their addresses on networks that it is on as well.
std::vector<runtime::HostsEntry> SiblingsOf(const std::string& id,
                                            const std::vector<network::Member>& members) {
  std::set<std::string_view> networks;
  for (const network::Member& member : members) {
    if (member.container == id) networks.insert(member.network);
  }
  std::map<std::string, runtime::HostsEntry> by_id;
  for (const network::Member& member : members) {
    if (member.container == id || !networks.contains(member.network)) continue;
    by_id.try_emplace(member.container, runtime::HostsEntry{member.ip, member.host_names});
  }
  std::vector<runtime::HostsEntry> siblings;
  for (auto& [container, entry] : by_id) siblings.push_back(std::move(entry));
  return siblings;
}

}  // namespace

Status Runtime::Impl::WriteHosts(const runtime::ContainerDir& dir, const std::string& text) const {
  const int fd = dir.dir().fd();
  const std::string merged =
      runtime::MergeHosts(ReadOr(fd, runtime::kHostsFile), ReadOr(fd, kGenerated), text);
  MBX_RETURN_IF_ERROR(dir.WriteGenerated(runtime::kHostsFile, merged));
  return dir.WriteGenerated(kGenerated, text);
}

StatusOr<core::FileLock> Runtime::Impl::LockHosts() const {
  MBX_ASSIGN_OR_RETURN(const core::Fd containers,
                       images->root->dir().OpenAt(runtime::kContainers, O_RDONLY | O_DIRECTORY));
  return core::FileLock::Acquire(containers.get(), kHostsLock);
}

Status Runtime::Impl::WriteHostsOf(const std::string& id,
                                   const std::vector<network::Member>& members) const {
  MBX_ASSIGN_OR_RETURN(const ContainerId parsed, ContainerId::Parse(id));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, parsed));
  MBX_ASSIGN_OR_RETURN(runtime::ContainerConfig config, dir.ReadConfig());
  // A rename changes the record, not the request.
  if (const auto record = dir.ReadRecord(); record.ok()) config.spec.name = record->info.name;
  const auto own = std::find_if(members.begin(), members.end(),
                                [&](const auto& member) { return member.container == id; });
  MBX_ASSIGN_OR_RETURN(const NetworkInfo info, network.Inspect(own->network));
  return WriteHosts(
      dir, runtime::HostsText(config.spec, parsed, own->ip, info.gateway, SiblingsOf(id, members)));
}

void Runtime::Impl::UpdateHosts(const std::string& project) const {
  if (project.empty()) return;
  const auto note = [&](const Status& status) {
    // A container that is just going away needs no hosts file.
    if (status.ok() || status.code() == StatusCode::kNotFound) return;
    core::LogWarning("runtime", core::StrCat("hosts files of project '", project,
                                             "': ", status.message(), ", going on"));
  };
  const auto lock = LockHosts();
  if (!lock.ok()) return note(lock.status());
  const auto members = net->MembersOf(project);
  if (!members.ok()) return note(members.status());
  std::set<std::string> ids;
  for (const network::Member& member : *members) ids.insert(member.container);
  for (const std::string& id : ids) note(WriteHostsOf(id, *members));
}

}  // namespace v1
}  // namespace minibox
