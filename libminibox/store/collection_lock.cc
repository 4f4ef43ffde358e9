// SPDX-License-Identifier: Apache-2.0
#include "store/collection_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <utility>

#include "core/errors.h"
#include "core/status_macros.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

StatusOr<core::Fd> Lock(const DataRoot& root, std::string_view directory, int operation) {
  MBX_ASSIGN_OR_RETURN(core::Fd fd, root.dir().OpenNoFollow(directory, O_RDONLY | O_DIRECTORY));
  while (flock(fd.get(), operation) != 0) {
    if (errno != EINTR) return core::SysError("flock", directory);
  }
  return fd;
}

}  // namespace

StatusOr<CollectionLock> CollectionLock::Share(const DataRoot& root) {
  MBX_ASSIGN_OR_RETURN(const core::Fd gate, Lock(root, kLeases, LOCK_EX));
  MBX_ASSIGN_OR_RETURN(core::Fd lock, Lock(root, kBlobs, LOCK_SH));
  return CollectionLock(core::Fd(), std::move(lock));
}

StatusOr<CollectionLock> CollectionLock::HoldAlone(const DataRoot& root) {
  MBX_ASSIGN_OR_RETURN(core::Fd gate, Lock(root, kLeases, LOCK_EX));
  MBX_ASSIGN_OR_RETURN(core::Fd lock, Lock(root, kBlobs, LOCK_EX));
  return CollectionLock(std::move(gate), std::move(lock));
}

}  // namespace minibox::store
