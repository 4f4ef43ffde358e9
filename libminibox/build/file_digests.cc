// SPDX-License-Identifier: Apache-2.0
#include "build/file_digests.h"

#include <chrono>
#include <cstddef>

namespace minibox::build {
namespace {

constexpr size_t kMaxRemembered = 200'000;
constexpr int64_t kSettledSeconds = 2;

}  // namespace

FileDigests::Key FileDigests::KeyOf(const struct ::stat& st) {
  return {st.st_dev,          st.st_ino,         st.st_size,        st.st_mtim.tv_sec,
          st.st_mtim.tv_nsec, st.st_ctim.tv_sec, st.st_ctim.tv_nsec};
}

std::optional<std::string> FileDigests::Find(const struct ::stat& st) const {
  absl::MutexLock lock(&mutex_);
  const auto found = digests_.find(KeyOf(st));
  if (found == digests_.end()) return std::nullopt;
  return found->second;
}

void FileDigests::Remember(const struct ::stat& st, const std::string& digest) {
  const int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  if (st.st_mtim.tv_sec + kSettledSeconds >= now || st.st_ctim.tv_sec + kSettledSeconds >= now) {
    return;
  }
  absl::MutexLock lock(&mutex_);
  if (digests_.size() >= kMaxRemembered) digests_.clear();
  digests_[KeyOf(st)] = digest;
}

}  // namespace minibox::build
