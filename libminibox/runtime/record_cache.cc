// SPDX-License-Identifier: Apache-2.0
#include "runtime/record_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/container_dir.h"

namespace minibox::runtime {
namespace {

// Times of files advance in ticks, and an inode number is given out again at once: what was
// written so shortly before it was read may be replaced without a difference.
constexpr std::chrono::nanoseconds kRacy = std::chrono::milliseconds(100);

int64_t WallClockNs() {
  return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

StatusOr<std::shared_ptr<const ContainerRecord>> RecordCache::Read(const store::DataRoot& root,
                                                                   int containers,
                                                                   const ContainerId& id) {
  const std::string path = core::StrCat(id.ToString(), "/", kStateFile);
  struct stat st {};
  // If there is no such file, reading it says so.
  (void)fstatat(containers, path.c_str(), &st, AT_SYMLINK_NOFOLLOW);
  constexpr int64_t kSecond = 1'000'000'000;
  const Version version = {.device = st.st_dev,
                           .inode = st.st_ino,
                           .size = static_cast<uint64_t>(st.st_size),
                           .changed_ns = st.st_ctim.tv_sec * kSecond + st.st_ctim.tv_nsec};
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = entries_.find(id);
    if (found != entries_.end() && found->second.version == version) return found->second.record;
  }
  // A newer file than the one looked at may be read: it is read once more the next time then.
  const int64_t now = WallClockNs();
  MBX_ASSIGN_OR_RETURN(const ContainerDir dir, ContainerDir::Open(root, id));
  MBX_ASSIGN_OR_RETURN(ContainerRecord parsed, dir.ReadRecord());
  auto record = std::make_shared<const ContainerRecord>(std::move(parsed));
  if (version.inode == 0 || now - version.changed_ns < kRacy.count()) return record;
  const absl::MutexLock lock(&mutex_);
  entries_.insert_or_assign(id, Entry{version, record});
  return record;
}

bool RecordCache::HasExit(int containers, const ContainerId& id) {
  const std::string path = core::StrCat(id.ToString(), "/", kExitFile);
  struct stat st;
  return fstatat(containers, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

void RecordCache::Keep(const std::vector<ContainerId>& ids) {
  const absl::MutexLock lock(&mutex_);
  if (entries_.size() <= ids.size()) return;
  std::erase_if(entries_, [&](const auto& entry) {
    return !std::binary_search(ids.begin(), ids.end(), entry.first);
  });
}

}  // namespace minibox::runtime
