// SPDX-License-Identifier: Apache-2.0
// The content of an image archive, set down in a directory while it streams by: whether a file
// is needed is known only when the last entry has been seen.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "archive/compression.h"
#include "core/fd.h"
#include "core/root_dir.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::store {

inline constexpr size_t kMaxArchiveJson = 4u << 20;

struct StagedFile {
  std::string name{};  // in the staging directory
  Digest digest;
  uint64_t size = 0;
};

class StagedArchive {
 public:
  // Called now and then with the entry at hand and the bytes of the tar so far.
  using ProgressFn = std::function<void(const std::string& entry, uint64_t bytes)>;

  // Reads the tar to its end. `dir` is borrowed and must outlive the object.
  static StatusOr<StagedArchive> Read(archive::ReadFn tar, const core::RootDir& dir,
                                      const ProgressFn& progress);

  // One of the documents in the archive's root; nullptr if it is not there.
  const std::string* Document(std::string_view name) const;
  // A regular file by its name, links followed inside the archive; nullptr if there is none.
  const StagedFile* Find(std::string_view name) const;
  StatusOr<core::Fd> Open(const StagedFile& file) const;
  // kInvalidArgument "invalid_archive" beyond 4 MiB.
  StatusOr<std::string> ReadJson(std::string_view name, const StagedFile& file) const;

 private:
  explicit StagedArchive(const core::RootDir& dir) : dir_(&dir) {}

  const core::RootDir* dir_;
  std::map<std::string, std::string, std::less<>> documents_;
  std::map<std::string, StagedFile, std::less<>> files_;
  std::map<std::string, std::string, std::less<>> links_;  // targets from the archive's root
};

// The error of an archive, naming the entry at fault.
Status InvalidArchive(std::string_view entry, std::string_view why);

}  // namespace minibox::store
