// SPDX-License-Identifier: Apache-2.0
#include "build/file_digests.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/errors.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr size_t kMaxRemembered = 500'000;
// Beyond this the file is written anew, without what has been replaced.
constexpr uint64_t kMaxFileRecords = 2 * kMaxRemembered;
constexpr int64_t kSettledSeconds = 2;
constexpr char kLock[] = "build/file-digests";
// Changes whenever records look different; as long as a record's first fields.
constexpr char kMagic[16] = "mbx-digests-1\n";

int Nibble(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

}  // namespace

FileDigests::Looks FileDigests::LooksOf(const struct ::stat& st) {
  return {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_ctim.tv_sec, st.st_ctim.tv_nsec};
}

// FNV-1a: tells a record that was torn or overwritten, not one that was forged.
uint64_t FileDigests::CheckOf(const Record& record) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&record);
  for (size_t i = 0; i < offsetof(Record, check); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

std::optional<std::string> FileDigests::Find(const struct ::stat& st) const {
  Sha256Bytes digest;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = entries_.find({st.st_dev, st.st_ino});
    if (found == entries_.end() || found->second.looks != LooksOf(st)) return std::nullopt;
    digest = found->second.digest;
  }
  return core::HexEncode(
      std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

void FileDigests::Put(const Name& name, const Entry& entry) {
  if (entries_.size() >= kMaxRemembered) {
    entries_.clear();
    unsaved_.clear();
  }
  entries_[name] = entry;
}

void FileDigests::Remember(const struct ::stat& st, const std::string& digest) {
  const int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  if (st.st_mtim.tv_sec + kSettledSeconds >= now || st.st_ctim.tv_sec + kSettledSeconds >= now) {
    return;
  }
  Entry entry{LooksOf(st), {}};
  if (digest.size() != 2 * entry.digest.size()) return;
  for (size_t i = 0; i < entry.digest.size(); ++i) {
    entry.digest[i] =
        static_cast<unsigned char>(Nibble(digest[2 * i]) << 4 | Nibble(digest[2 * i + 1]));
  }
  absl::MutexLock lock(&mutex_);
  const Name name{st.st_dev, st.st_ino};
  Put(name, entry);
  if (root_ != nullptr) unsaved_.push_back(name);
}

void FileDigests::Load() {
  if (root_ == nullptr) return;
  const auto file = root_->dir().OpenNoFollow(kFile, O_RDONLY);
  if (!file.ok()) return;
  struct ::stat st {};
  if (fstat(file->get(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  absl::MutexLock lock(&mutex_);
  if (st.st_ino != read_inode_) {
    read_inode_ = st.st_ino;
    read_bytes_ = 0;
  }
  const auto size = static_cast<uint64_t>(st.st_size);
  if (size <= read_bytes_ || size > (kMaxFileRecords + 1) * sizeof(Record)) return;
  std::string bytes(size - read_bytes_, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = pread(file->get(), bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(read_bytes_ + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<size_t>(count);
  }
  size_t at = 0;
  if (read_bytes_ == 0) {
    if (done < sizeof kMagic || memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) return;
    at = sizeof kMagic;
  }
  for (; at + sizeof(Record) <= done; at += sizeof(Record)) {
    Record record;
    memcpy(static_cast<void*>(&record), bytes.data() + at, sizeof record);
    if (record.check == CheckOf(record)) Put(record.name, record.entry);
  }
  read_bytes_ += at;
}

Status FileDigests::Append(const std::string& bytes) {
  MBX_ASSIGN_OR_RETURN(const core::Fd file,
                       root_->dir().OpenNoFollow(kFile, O_RDWR | O_CREAT, 0600));
  struct ::stat st {};
  if (fstat(file.get(), &st) != 0) return core::SysError("fstat", kFile);
  // Whole records only, so that those behind one that was torn are found.
  const auto size = static_cast<uint64_t>(st.st_size);
  uint64_t end = size < sizeof kMagic ? 0 : size - (size - sizeof kMagic) % sizeof(Record);
  if (end != size && ftruncate(file.get(), static_cast<off_t>(end)) != 0) {
    return core::SysError("ftruncate", kFile);
  }
  if (lseek(file.get(), static_cast<off_t>(end), SEEK_SET) < 0)
    return core::SysError("lseek", kFile);
  if (end == 0) MBX_RETURN_IF_ERROR(core::WriteAll(file.get(), {kMagic, sizeof kMagic}));
  return core::WriteAll(file.get(), bytes);
}

Status FileDigests::Rewrite() {
  std::string bytes(kMagic, sizeof kMagic);
  for (const auto& [name, entry] : entries_) {
    Record record{name, entry, 0};
    record.check = CheckOf(record);
    bytes.append(reinterpret_cast<const char*>(&record), sizeof record);
  }
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, root_->dir().OpenDir("cache"));
  return core::ReplaceFileAt(dir.fd(), "file-digests", bytes, 0600);
}

Status FileDigests::Save() {
  if (root_ == nullptr) return {};
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, root_->LockKey(kLock));
  absl::MutexLock guard(&mutex_);
  if (unsaved_.empty()) return {};
  std::string bytes;
  for (const auto& name : std::exchange(unsaved_, {})) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) continue;
    Record record{name, found->second, 0};
    record.check = CheckOf(record);
    bytes.append(reinterpret_cast<const char*>(&record), sizeof record);
  }
  const auto st = root_->dir().LStat(kFile);
  if (st.ok() && !S_ISREG(st->st_mode)) MBX_RETURN_IF_ERROR(root_->dir().RemoveAll(kFile));
  const bool full = st.ok() && static_cast<uint64_t>(st->st_size) + bytes.size() >
                                   kMaxFileRecords * sizeof(Record);
  // One of another version is replaced too.
  bool known = true;
  if (st.ok() && S_ISREG(st->st_mode) && st->st_size > 0) {
    const auto file = root_->dir().OpenNoFollow(kFile, O_RDONLY);
    char magic[sizeof kMagic] = {};
    known = file.ok() && pread(file->get(), magic, sizeof magic, 0) == sizeof magic &&
            memcmp(magic, kMagic, sizeof magic) == 0;
  }
  return full || !known ? Rewrite() : Append(bytes);
}

}  // namespace minibox::build
