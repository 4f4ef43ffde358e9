// SPDX-License-Identifier: Apache-2.0
#include "core/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/clock.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/file_lock.h"
#include "core/json.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::core {
namespace {

constexpr size_t kMaxLine = 8 << 10;
constexpr size_t kBlock = 64 << 10;
// How often a writer looks whether the file has grown too long.
constexpr uint64_t kTrimEvery = 256;
constexpr uint64_t kTrimBytes = 32u << 20, kKeptBytes = 8u << 20;
constexpr uint64_t kMinKept = 1000;

StatusOr<size_t> ReadAt(int fd, char* buffer, size_t size, uint64_t offset) {
  while (true) {
    const ssize_t n = pread(fd, buffer, size, static_cast<off_t>(offset));
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return SysError("pread", kEventsFile);
  }
}

StatusOr<uint64_t> SizeOf(int fd) {
  struct stat st {};
  if (fstat(fd, &st) != 0) return SysError("fstat", kEventsFile);
  return static_cast<uint64_t>(st.st_size);
}

StatusOr<std::string> ReadRange(int fd, uint64_t begin, uint64_t end) {
  std::string text(end - begin, '\0');
  size_t have = 0;
  while (have < text.size()) {
    MBX_ASSIGN_OR_RETURN(const size_t n,
                         ReadAt(fd, text.data() + have, text.size() - have, begin + have));
    if (n == 0) break;
    have += n;
  }
  text.resize(have);
  return text;
}

// The last complete event, and where its line ends: what follows is half of one, whose writer
// died.
struct Tail {
  uint64_t seq = 0;  // 0: there is none
  uint64_t end = 0;
};
StatusOr<Tail> FindTail(int fd, uint64_t size) {
  Tail tail;
  // One block, unless the file is damaged.
  for (uint64_t block = 2 * kMaxLine;; block *= 8) {
    const uint64_t begin = size > block ? size - block : 0;
    MBX_ASSIGN_OR_RETURN(const std::string text, ReadRange(fd, begin, size));
    size_t end = text.rfind('\n');
    if (end != std::string::npos) tail.end = begin + end + 1;
    while (end != std::string::npos) {
      const size_t before = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
      const size_t start = before == std::string::npos ? 0 : before + 1;
      auto event = ParseEvent(std::string_view(text).substr(start, end - start));
      if (event.ok()) {
        tail.seq = event->seq;
        return tail;
      }
      end = before;
    }
    if (begin == 0) return tail;
  }
}

StatusOr<uint64_t> FirstSeq(int fd) {
  MBX_ASSIGN_OR_RETURN(const std::string text, ReadRange(fd, 0, kMaxLine + 1));
  auto event = ParseEvent(std::string_view(text).substr(0, text.find('\n')));
  return event.ok() ? event->seq : 0;
}

// Under the lock. Readers of the old file find what they miss in the new one.
Status Trim(int dir, int fd, uint64_t size) {
  const uint64_t begin = size > kTrimBytes ? size - kTrimBytes : 0;
  MBX_ASSIGN_OR_RETURN(const std::string text, ReadRange(fd, begin, size));
  size_t start = text.size();
  for (uint64_t kept = 0; kept < kKeptEvents && start > 0; ++kept) {
    if (kept >= kMinKept && text.size() - start > kKeptBytes) break;
    const size_t newline = start < 2 ? std::string::npos : text.rfind('\n', start - 2);
    if (newline == std::string::npos) {
      // The first line may be the rest of one.
      if (begin == 0) start = 0;
      break;
    }
    start = newline + 1;
  }
  return ReplaceFileAt(dir, kEventsFile, std::string_view(text).substr(start), 0600);
}

std::string FitLine(Event& event) {
  std::erase_if(event.attributes, [](const auto& item) { return item.second.empty(); });
  std::string line = SerializeEvent(event);
  while (line.size() >= kMaxLine && !event.attributes.empty()) {
    const auto longest = std::max_element(
        event.attributes.begin(), event.attributes.end(), [](const auto& a, const auto& b) {
          return a.first.size() + a.second.size() < b.first.size() + b.second.size();
        });
    event.attributes.erase(longest);
    line = SerializeEvent(event);
  }
  return line;
}

}  // namespace

std::string SerializeEvent(const Event& event) {
  json::Writer out;
  out.BeginObject();
  out.Key("seq").Uint(event.seq);
  out.Key("time").String(FormatTime(event.time));
  out.Key("type").String(event.type);
  out.Key("id").String(event.id);
  out.Key("attributes").StringMap(event.attributes);
  out.EndObject();
  return out.Take();
}

StatusOr<Event> ParseEvent(std::string_view line) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(line));
  Event event;
  MBX_ASSIGN_OR_RETURN(event.seq, root.Get("seq").AsUint());
  MBX_ASSIGN_OR_RETURN(const std::string time, root.GetString("time"));
  MBX_ASSIGN_OR_RETURN(event.time, ParseTime(time));
  MBX_ASSIGN_OR_RETURN(event.type, root.GetString("type"));
  MBX_ASSIGN_OR_RETURN(event.id, root.GetString("id", ""));
  MBX_ASSIGN_OR_RETURN(event.attributes, root.GetStringMap("attributes"));
  return event;
}

StatusOr<EventLog> EventLog::Open(int dir) {
  Fd own(fcntl(dir, F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return SysError("fcntl", "data root");
  return EventLog(std::move(own));
}

void EventLog::Emit(std::string_view type, std::string_view id, Labels attributes,
                    std::optional<TimePoint> time) const {
  if (!dir_.valid()) return;
  Event event;
  event.time = time ? *time : std::chrono::system_clock::now();
  event.type = type;
  event.id = id;
  event.attributes = std::move(attributes);
  const Status appended = Append(std::move(event));
  if (!appended.ok()) {
    LogWarning("events", StrCat(type, " of ", id, " is not recorded: ", appended.message()));
  }
}

Status EventLog::Append(Event event) const {
  if (!dir_.valid()) return Status();
  MBX_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Acquire(dir_.get(), kEventsFile));
  MBX_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(lock.fd()));
  MBX_ASSIGN_OR_RETURN(const Tail tail, FindTail(lock.fd(), size));
  event.seq = tail.seq + 1;
  const std::string line = FitLine(event) + '\n';
  if (tail.end != size && ftruncate(lock.fd(), static_cast<off_t>(tail.end)) != 0) {
    return SysError("ftruncate", kEventsFile);
  }
  if (lseek(lock.fd(), static_cast<off_t>(tail.end), SEEK_SET) < 0) {
    return SysError("lseek", kEventsFile);
  }
  const Status written = WriteAll(lock.fd(), line);
  if (!written.ok()) {
    // A part of a line is cut off by the next writer, too.
    (void)ftruncate(lock.fd(), static_cast<off_t>(tail.end));
    return written.WithContext(kEventsFile);
  }
  const uint64_t grown = tail.end + line.size();
  if (event.seq % kTrimEvery != 0 && grown < kTrimBytes) return Status();
  MBX_ASSIGN_OR_RETURN(const uint64_t first, FirstSeq(lock.fd()));
  if (event.seq - first < 2 * kKeptEvents && grown < kTrimBytes) return Status();
  return Trim(dir_.get(), lock.fd(), grown);
}

Status EventLog::Sync() const {
  if (!dir_.valid()) return Status();
  const Fd file(openat(dir_.get(), kEventsFile.data(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return errno == ENOENT ? Status() : SysError("openat", kEventsFile);
  return fdatasync(file.get()) == 0 ? Status() : SysError("fdatasync", kEventsFile);
}

StatusOr<EventLog::Reader> EventLog::Read(Reader::From from) const {
  Fd dir;
  if (dir_.valid()) dir = Fd(fcntl(dir_.get(), F_DUPFD_CLOEXEC, 0));
  if (!dir.valid()) return SysError("fcntl", "data root");
  Reader reader(std::move(dir));
  MBX_RETURN_IF_ERROR(reader.Begin(from));
  return reader;
}

Status EventLog::Reader::OpenCurrent() {
  file_ = Fd(openat(dir_.get(), kEventsFile.data(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file_.valid() && errno != ENOENT) return SysError("openat", kEventsFile);
  offset_ = 0;
  buffer_.clear();
  used_ = 0;
  return Status();
}

Status EventLog::Reader::Begin(From from) {
  MBX_RETURN_IF_ERROR(OpenCurrent());
  if (from == From::kOldest) return Status();
  next_ = 1;
  if (!file_.valid()) return Status();
  MBX_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(file_.get()));
  MBX_ASSIGN_OR_RETURN(const Tail tail, FindTail(file_.get(), size));
  next_ = tail.seq + 1;
  offset_ = tail.end;
  return Status();
}

StatusOr<bool> EventLog::Reader::Reopen() {
  struct stat named {};
  if (fstatat(dir_.get(), kEventsFile.data(), &named, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return false;
    return SysError("fstatat", kEventsFile);
  }
  if (file_.valid()) {
    struct stat ours {};
    if (fstat(file_.get(), &ours) != 0) return SysError("fstat", kEventsFile);
    if (ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) return false;
  }
  MBX_RETURN_IF_ERROR(OpenCurrent());
  if (!file_.valid()) return false;
  MBX_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(file_.get()));
  MBX_ASSIGN_OR_RETURN(const Tail tail, FindTail(file_.get(), size));
  // Somebody has removed the file, and numbers begin anew.
  if (tail.seq + 1 < next_) next_ = 0;
  return true;
}

StatusOr<bool> EventLog::Reader::Fill() {
  if (!file_.valid()) return false;
  buffer_.erase(0, used_);
  used_ = 0;
  const size_t have = buffer_.size();
  buffer_.resize(have + kBlock);
  auto n = ReadAt(file_.get(), buffer_.data() + have, kBlock, offset_);
  buffer_.resize(have + (n.ok() ? *n : 0));
  if (!n.ok()) return n.status();
  offset_ += *n;
  return *n > 0;
}

StatusOr<std::optional<Event>> EventLog::Reader::Next() {
  while (true) {
    const size_t newline = buffer_.find('\n', used_);
    if (newline == std::string::npos) {
      MBX_ASSIGN_OR_RETURN(const bool more, Fill());
      if (more) continue;
      // Half a line may be cut off and written anew.
      offset_ -= buffer_.size();
      buffer_.clear();
      MBX_ASSIGN_OR_RETURN(const bool reopened, Reopen());
      if (!reopened) return std::optional<Event>();
      continue;
    }
    const size_t start = std::exchange(used_, newline + 1);
    auto event = ParseEvent(std::string_view(buffer_).substr(start, newline - start));
    if (!event.ok() || event->seq < next_) continue;
    if (next_ != 0 && event->seq > next_) {
      Event overflow;
      overflow.time = event->time;
      overflow.type = Event::kOverflow;
      next_ = event->seq;
      // It is read again.
      used_ = start;
      return std::optional<Event>(std::move(overflow));
    }
    next_ = event->seq + 1;
    return std::optional<Event>(std::move(*event));
  }
}

StatusOr<uint64_t> EventLog::Reader::Behind() {
  const Fd current(openat(dir_.get(), kEventsFile.data(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!current.valid()) {
    if (errno == ENOENT) return uint64_t{0};
    return SysError("openat", kEventsFile);
  }
  MBX_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(current.get()));
  MBX_ASSIGN_OR_RETURN(const Tail tail, FindTail(current.get(), size));
  return tail.seq >= next_ ? tail.seq + 1 - next_ : 0;
}

}  // namespace minibox::core
