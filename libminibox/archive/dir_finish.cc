// SPDX-License-Identifier: Apache-2.0
#include "archive/dir_finish.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "archive/compression.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

constexpr size_t kReadBytes = 1u << 20;

// In front of path and ACL.
struct RecordHead {
  uint64_t inode;
  int64_t mtime;
  uint32_t mtime_nsec;
  uint32_t path_size, acl_size;
};

Status ApplyTo(int fd, const RecordHead& head, const std::string& acl, bool has_acls) {
  if (!acl.empty()) {
    if (fsetxattr(fd, kDefaultAcl, acl.data(), acl.size(), 0) != 0) {
      return core::SysError("fsetxattr", kDefaultAcl);
    }
  } else if (has_acls && fremovexattr(fd, kDefaultAcl) != 0 && errno != ENODATA &&
             errno != EOPNOTSUPP) {
    return core::SysError("fremovexattr", kDefaultAcl);
  }
  const struct timespec times[2] = {{0, UTIME_OMIT}, {head.mtime, head.mtime_nsec}};
  if (futimens(fd, times) != 0) return core::SysError("futimens", "directory");
  return {};
}

}  // namespace

Status DirFinish::Add(std::string_view path, int fd, const DirAttributes& attributes) {
  struct ::stat st {};
  if (fstat(fd, &st) != 0) return core::SysError("fstat", core::EscapeControl(path));
  const RecordHead head{st.st_ino, attributes.mtime, attributes.mtime_nsec,
                        static_cast<uint32_t>(path.size()),
                        static_cast<uint32_t>(attributes.default_acl.size())};
  records_.append(reinterpret_cast<const char*>(&head), sizeof head);
  records_.append(path).append(attributes.default_acl);
  has_acls_ = has_acls_ || !attributes.default_acl.empty();
  return records_.size() < memory_limit_ ? Status() : Spill();
}

Status DirFinish::Spill() {
  if (!spill_.valid()) {
    spill_.reset(openat(root_->fd(), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
    if (!spill_.valid()) return core::SysError("openat", "O_TMPFILE");
  }
  MBX_RETURN_IF_ERROR(core::WriteAll(spill_.get(), records_));
  records_.clear();
  return {};
}

Status DirFinish::Apply(DirChain& chain) {
  ReadFn more = [](char*, size_t) -> StatusOr<size_t> { return size_t{0}; };
  if (spill_.valid()) {
    MBX_RETURN_IF_ERROR(Spill());
    if (lseek(spill_.get(), 0, SEEK_SET) != 0) return core::SysError("lseek", "O_TMPFILE");
    more = ReadFromFd(spill_.get());
  }
  std::string_view left = records_;
  // Makes `left` hold at least `size` bytes; false if there are no more.
  const auto want = [&](size_t size) -> StatusOr<bool> {
    while (left.size() < size) {
      std::string next(left);
      next.resize(left.size() + kReadBytes);
      MBX_ASSIGN_OR_RETURN(const size_t count, more(next.data() + left.size(), kReadBytes));
      if (count == 0) return false;
      next.resize(left.size() + count);
      records_ = std::move(next);
      left = records_;
    }
    return true;
  };
  while (true) {
    RecordHead head;
    MBX_ASSIGN_OR_RETURN(const bool has_head, want(sizeof head));
    if (!has_head) return {};
    std::memcpy(&head, left.data(), sizeof head);
    MBX_ASSIGN_OR_RETURN(const bool complete, want(sizeof head + head.path_size + head.acl_size));
    if (!complete) return core::Internal("a list of directories ends too early");
    const std::string path(left.substr(sizeof head, head.path_size));
    const std::string acl(left.substr(sizeof head + head.path_size, head.acl_size));
    left.remove_prefix(sizeof head + head.path_size + head.acl_size);
    const auto fd = chain.Open(path);
    if (!fd.ok()) {
      const int error = fd.status().sys_errno();
      if (error == ENOENT || error == ENOTDIR || error == ELOOP) continue;
      return fd.status();
    }
    struct ::stat st {};
    if (fstat(*fd, &st) != 0) return core::SysError("fstat", core::EscapeControl(path));
    if (st.st_ino != head.inode) continue;
    MBX_RETURN_IF_ERROR(ApplyTo(*fd, head, acl, has_acls_).WithContext(core::EscapeControl(path)));
  }
}

}  // namespace minibox::archive
