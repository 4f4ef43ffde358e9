// SPDX-License-Identifier: Apache-2.0
#include "core/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/id.h"
#include "core/log.h"
#include "core/root_dir.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::core {
namespace {

constexpr size_t kChunk = 64 * 1024, kFirstChunk = 4096;
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr int kTemporaryDigits = 8;

// `path` as a C string; system calls would cut it at a NUL.
StatusOr<std::string> Terminated(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) {
    return InvalidArgument("path", "contains a NUL byte");
  }
  return std::string(path);
}

StatusOr<Fd> Open(int dir, const std::string& path, int flags, mode_t mode = 0) {
  while (true) {
    const int fd = openat(dir, path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return Fd(fd);
    if (errno != EINTR) return SysError("openat", path);
  }
}

Status SyncFile(int fd, std::string_view name) {
  if (fsync(fd) != 0) return SysError("fsync", name);
  return Status();
}

}  // namespace

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return SysError("write", "");
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Status();
}

StatusOr<std::string> ReadAll(int fd, size_t limit) {
  std::string content;
  struct stat st {};
  // One byte more than the file has: the end is seen without a second buffer. Files of procfs
  // claim to be empty, and those below /proc/sys give nothing after a first short read. Most of
  // them are short, and a buffer is filled with zeros first.
  size_t chunk = kFirstChunk;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
    chunk = std::min(static_cast<size_t>(st.st_size), limit) + 1;
  }
  while (true) {
    const size_t have = content.size();
    content.resize(have + chunk);
    const ssize_t n = read(fd, content.data() + have, chunk);
    const int error = errno;
    content.resize(have + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0 && error != EINTR) return SysError("read", "", error);
    if (n == 0) return content;
    if (content.size() > limit) {
      return Error(StatusCode::kResourceExhausted, "", StrCat("larger than ", limit, " bytes"));
    }
    chunk = std::clamp(content.size(), kFirstChunk, kChunk);
  }
}

StatusOr<std::string> ReadFileAt(int dir, std::string_view name, size_t limit) {
  MBX_ASSIGN_OR_RETURN(const std::string path, Terminated(name));
  MBX_ASSIGN_OR_RETURN(const Fd fd, Open(dir, path, O_RDONLY | O_NOCTTY));
  auto content = ReadAll(fd.get(), limit);
  if (!content.ok()) return content.status().WithContext(path);
  return content;
}

Status ReplaceFileAt(int dir, std::string_view name, std::string_view bytes, mode_t mode) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos) {
    return InvalidArgument("name", StrCat("'", EscapeControl(name), "' is not a file name"));
  }
  MBX_ASSIGN_OR_RETURN(const std::string target, Terminated(name));
  MBX_FAILPOINT("file.replace.create");
  const std::string temporary =
      StrCat(".", name, ".", RandomHex(kTemporaryDigits), kTemporarySuffix);
  MBX_ASSIGN_OR_RETURN(Fd fd, Open(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  absl::Cleanup remove = [&] { (void)unlinkat(dir, temporary.c_str(), 0); };
  // open() applies the umask, which is the host program's.
  if (fchmod(fd.get(), mode) != 0) return SysError("fchmod", temporary);
  MBX_FAILPOINT("file.replace.write");
  if (Status written = WriteAll(fd.get(), bytes); !written.ok()) {
    return written.WithContext(target);
  }
  MBX_FAILPOINT("file.replace.sync");
  MBX_RETURN_IF_ERROR(SyncFile(fd.get(), temporary));
  if (close(fd.release()) != 0 && errno != EINTR) return SysError("close", temporary);
  MBX_FAILPOINT("file.replace.rename");
  if (renameat(dir, temporary.c_str(), dir, target.c_str()) != 0) {
    return SysError("renameat", target);
  }
  std::move(remove).Cancel();
  return SyncDir(dir);
}

std::string_view NameReplacedBy(std::string_view file) {
  constexpr size_t kTail = 1 + kTemporaryDigits + kTemporarySuffix.size();
  if (file.size() < 1 + 1 + kTail || file.front() != '.' || !file.ends_with(kTemporarySuffix) ||
      file[file.size() - kTail] != '.') {
    return {};
  }
  return file.substr(1, file.size() - 1 - kTail);
}

Status WriteKernelFileAt(int dir, std::string_view path, std::string_view value) {
  MBX_ASSIGN_OR_RETURN(const std::string name, Terminated(path));
  MBX_ASSIGN_OR_RETURN(const Fd fd, Open(dir, name, O_WRONLY | O_NOCTTY));
  ssize_t n = -1;
  do {
    n = write(fd.get(), value.data(), value.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) return SysError("write", name);
  // The kernel takes a value whole; the rest sent in a second call would be another value.
  if (static_cast<size_t>(n) != value.size()) return SysError("write", name, EIO);
  return Status();
}

Status SyncDir(int dir) {
  if (fsync(dir) == 0) return Status();
  if (errno != EBADF) return SysError("fsync", "directory");
  // An O_PATH descriptor cannot be synced itself.
  MBX_ASSIGN_OR_RETURN(const Fd fd, Open(dir, ".", O_RDONLY | O_DIRECTORY));
  return SyncFile(fd.get(), "directory");
}

StatusOr<TempDir> TempDir::Create(std::string_view parent, std::string_view prefix) {
  MBX_ASSIGN_OR_RETURN(std::string path, Terminated(StrCat(parent, "/", prefix, "XXXXXX")));
  if (mkdtemp(path.data()) == nullptr) return SysError("mkdtemp", path);
  return TempDir(std::move(path));
}

TempDir::~TempDir() {
  if (path_.empty()) return;
  const size_t slash = path_.rfind('/');
  auto parent = RootDir::Open(path_.substr(0, slash));
  const Status removed = parent.ok() ? parent->RemoveAll(path_.substr(slash + 1)) : parent.status();
  if (!removed.ok()) LogWarning("core", StrCat(removed.message(), ", left behind"));
}

}  // namespace minibox::core
