// SPDX-License-Identifier: Apache-2.0
// The files of a log, held open with their sizes of one moment (spec §4.3, Range).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "init/log_format.h"
#include "runtime/runtime_impl.h"

namespace minibox {
inline namespace v1 {

namespace {
constexpr int kMaxFiles = 101;
constexpr int kMaxAttempts = 8;
constexpr size_t kBlock = 256 << 10;
}  // namespace

struct LogSnapshot::Impl {
  struct File {
    core::Fd fd;
    ino_t inode = 0;
    uint64_t size = 0;
  };
  std::vector<File> files;  // oldest first
  uint64_t size = 0;
  TimePoint modified{};
};

LogSnapshot::LogSnapshot(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

uint64_t LogSnapshot::size() const { return impl_->size; }
TimePoint LogSnapshot::modified() const { return impl_->modified; }

Status LogSnapshot::Read(uint64_t offset, uint64_t length, const BytesSink& sink) const {
  const auto buffer = std::make_unique<char[]>(kBlock);
  for (const Impl::File& file : impl_->files) {
    if (offset >= file.size) {
      offset -= file.size;
      continue;
    }
    for (; offset < file.size && length > 0;) {
      const uint64_t want = std::min({uint64_t{kBlock}, file.size - offset, length});
      const ssize_t got =
          pread(file.fd.get(), buffer.get(), static_cast<size_t>(want), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return core::SysError("pread", init::kLogName);
      if (got == 0) return core::DataLoss("the log became shorter");
      MBX_RETURN_IF_ERROR(sink({buffer.get(), static_cast<size_t>(got)}));
      offset += static_cast<uint64_t>(got);
      length -= static_cast<uint64_t>(got);
    }
    offset = 0;
  }
  return Status();
}

StatusOr<LogSnapshot> Runtime::OpenLog(const ContainerId& id) const {
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*impl_->images->root, id));
  for (int attempt = 0;; ++attempt) {
    auto snapshot = std::make_shared<LogSnapshot::Impl>();
    bool rotated = false;
    for (int number = 0; number <= kMaxFiles; ++number) {
      const std::string name =
          number == 0 ? init::kLogName : core::StrCat(init::kLogName, ".", number);
      auto fd = dir.dir().OpenNoFollow(name, O_RDONLY);
      if (!fd.ok()) {
        if (fd.status().code() == StatusCode::kNotFound) break;
        return fd.status();
      }
      struct stat st {};
      if (fstat(fd->get(), &st) != 0) return core::SysError("fstat", name);
      const TimePoint modified{std::chrono::seconds(st.st_mtim.tv_sec) +
                               std::chrono::nanoseconds(st.st_mtim.tv_nsec)};
      snapshot->modified = std::max(snapshot->modified, modified);
      snapshot->size += static_cast<uint64_t>(st.st_size);
      for (const auto& other : snapshot->files) rotated |= other.inode == st.st_ino;
      snapshot->files.push_back({std::move(*fd), st.st_ino, static_cast<uint64_t>(st.st_size)});
    }
    // The newest is still the one that it was: nothing has moved on meanwhile.
    if (!snapshot->files.empty()) {
      const auto now = dir.dir().LStat(init::kLogName);
      rotated |= !now.ok() || now->st_ino != snapshot->files.front().inode;
    }
    if (rotated && attempt < kMaxAttempts) continue;
    std::reverse(snapshot->files.begin(), snapshot->files.end());
    return LogSnapshot(std::move(snapshot));
  }
}

}  // namespace v1
}  // namespace minibox
