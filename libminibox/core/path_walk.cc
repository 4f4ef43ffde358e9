// SPDX-License-Identifier: Apache-2.0
#include "core/path_walk.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <string>
#include <vector>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::core {
namespace {

constexpr int kMaxLinks = 40;  // the kernel's
constexpr int kMaxRaces = 16;

int OpenRetrying(int dir, const char* name, int flags, mode_t mode = 0) {
  while (true) {
    const int fd = openat(dir, name, flags | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

class Walk {
 public:
  Walk(int root, std::string_view path, const WalkOptions& options)
      : root_(root), path_(path), options_(options) {
    Push(path);
  }

  StatusOr<Fd> Run() {
    while (!pending_.empty()) {
      const std::string name = std::move(pending_.front());
      pending_.pop_front();
      if (name == "..") {
        if (!descent_.empty()) descent_.pop_back();
        continue;
      }
      MBX_ASSIGN_OR_RETURN(Fd opened, Step(name, /*last=*/pending_.empty()));
      if (opened.valid()) return opened;
    }
    return OpenCurrent();
  }

 private:
  // Queues the components of `text` in front of what is left.
  void Push(std::string_view text) {
    directory_ = directory_ || text.empty() || text.ends_with('/') || text.ends_with("/.");
    std::vector<std::string_view> parts = StrSplit(text, '/');
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (!part->empty() && *part != ".") pending_.emplace_front(*part);
    }
  }

  int current() const { return descent_.empty() ? root_ : descent_.back().get(); }

  Status Fail(std::string_view call, int error = 0) const {
    return SysError(call, EscapeControl(path_), error);
  }

  int FinalFlags() const { return options_.flags | (directory_ ? O_DIRECTORY : 0); }

  // The path ends at a directory that the walk has open: root, "..", ".".
  StatusOr<Fd> OpenCurrent() const {
    if ((options_.flags & O_CREAT) != 0 && (options_.flags & O_EXCL) != 0) {
      return Fail("openat", EEXIST);
    }
    const int fd =
        OpenRetrying(current(), ".", options_.flags & ~(O_CREAT | O_NOFOLLOW), options_.mode);
    if (fd < 0) return Fail("openat");
    return Fd(fd);
  }

  // One component. Gives the final descriptor, or an invalid one if the walk goes on.
  StatusOr<Fd> Step(const std::string& name, bool last) {
    for (int race = 0; race < kMaxRaces; ++race) {
      Fd entry(OpenRetrying(current(), name.c_str(), O_PATH | O_NOFOLLOW));
      if (!entry.valid() && errno == ENOENT && options_.make_dirs) {
        const Status made = MakeDirExactly(current(), name.c_str(), *options_.make_dirs, true);
        if (!made.ok() && made.code() != StatusCode::kAlreadyExists) return made;
        continue;
      }
      if (!entry.valid() && !(last && errno == ENOENT && (options_.flags & O_CREAT) != 0)) {
        return Fail("openat");
      }
      struct stat st {};
      if (entry.valid() && fstat(entry.get(), &st) != 0) return Fail("fstat");
      if (S_ISLNK(st.st_mode) && Follows(last)) {
        MBX_RETURN_IF_ERROR(Expand(entry.get()));
        return Fd();
      }
      if (!last) {
        if (!S_ISDIR(st.st_mode)) return Fail("openat", ENOTDIR);
        descent_.push_back(std::move(entry));
        return Fd();
      }
      Fd opened(OpenRetrying(current(), name.c_str(), FinalFlags() | O_NOFOLLOW, options_.mode));
      // A link may have taken the entry's place since it was looked at: then once more.
      if (!opened.valid() && !(errno == ELOOP && Follows(last))) return Fail("openat");
      if (opened.valid() && !IsUnwantedLink(opened.get())) return opened;
    }
    return Fail("openat", EAGAIN);
  }

  bool Follows(bool last) const {
    if (!last) return true;
    const bool exclusive = (options_.flags & O_CREAT) != 0 && (options_.flags & O_EXCL) != 0;
    return (options_.flags & O_NOFOLLOW) == 0 && !exclusive;
  }

  // O_PATH | O_NOFOLLOW opens a link itself.
  bool IsUnwantedLink(int fd) const {
    struct stat st {};
    return (options_.flags & O_PATH) != 0 && (options_.flags & O_NOFOLLOW) == 0 &&
           fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
  }

  Status Expand(int link) {
    if (++links_ > kMaxLinks) return Fail("openat", ELOOP);
    // Links of procfs may lead anywhere whatever their text says.
    struct statfs fs {};
    if (fstatfs(link, &fs) != 0) return Fail("fstatfs");
    if (fs.f_type == PROC_SUPER_MAGIC) return Fail("openat", ELOOP);
    char target[PATH_MAX];
    const ssize_t size = readlinkat(link, "", target, sizeof target);
    if (size < 0) return Fail("readlinkat");
    if (size == sizeof target) return Fail("readlinkat", ENAMETOOLONG);
    const std::string_view text(target, static_cast<size_t>(size));
    if (text.starts_with('/')) descent_.clear();
    const bool last = pending_.empty();
    const bool directory = directory_;
    Push(text);
    // What follows a link in the middle decides, not the link's own trailing slash.
    if (!last) directory_ = directory;
    return Status();
  }

  const int root_;
  const std::string_view path_;
  const WalkOptions& options_;
  std::deque<std::string> pending_;
  std::vector<Fd> descent_;  // from below the root to where the walk is
  bool directory_ = false;   // the path's form demands a directory
  int links_ = 0;
};

}  // namespace

StatusOr<Fd> WalkPath(int root, std::string_view path, const WalkOptions& options) {
  if (path.size() >= PATH_MAX) return SysError("openat", path.substr(0, 64), ENAMETOOLONG);
  return Walk(root, path, options).Run();
}

Status MakeDirExactly(int parent, const char* name, mode_t mode, bool own) {
  // u=rwx first, so that it can be opened below whatever `mode` is.
  if (mkdirat(parent, name, (mode & 0777) | 0700) != 0) {
    return SysError("mkdirat", EscapeControl(name));
  }
  const Fd dir(OpenRetrying(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!dir.valid()) return SysError("openat", EscapeControl(name));
  struct stat st {};
  if (fstat(dir.get(), &st) != 0) return SysError("fstat", EscapeControl(name));
  if (own && geteuid() == 0 && (st.st_uid != 0 || st.st_gid != 0) && fchown(dir.get(), 0, 0) != 0) {
    return SysError("fchown", EscapeControl(name));
  }
  if ((st.st_mode & 07777) != mode && fchmod(dir.get(), mode) != 0) {
    return SysError("fchmod", EscapeControl(name));
  }
  return Status();
}

}  // namespace minibox::core
