// SPDX-License-Identifier: Apache-2.0
#include "store/staged_archive.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "archive/tar_reader.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"

namespace minibox::store {
namespace {

constexpr uint64_t kMaxEntries = 100'000;
constexpr int kMaxLinks = 16;
constexpr uint64_t kProgressBytes = 4u << 20;
constexpr size_t kMaxNameInMessage = 256;
constexpr std::string_view kDocuments[] = {"meta.json", "oci-layout", "index.json", "manifest.json",
                                           "repositories"};

bool IsDocument(std::string_view name) {
  return std::find(std::begin(kDocuments), std::end(kDocuments), name) != std::end(kDocuments);
}

// `name` seen from the directory `base`, without ".", ".." and doubled '/'; nullopt if it leads
// out. Only compared with other names, never opened.
std::optional<std::string> CleanName(std::string_view base, std::string_view name) {
  std::vector<std::string> parts;
  const std::string joined =
      name.starts_with('/') ? std::string(name) : core::StrCat(base, "/", name);
  for (const std::string_view part : core::StrSplit(joined, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.emplace_back(part);
    } else if (parts.empty()) {
      return std::nullopt;
    } else {
      parts.pop_back();
    }
  }
  return core::StrJoin(parts, "/");
}

std::string DirectoryOf(const std::string& name) {
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

}  // namespace

Status InvalidArchive(std::string_view entry, std::string_view why) {
  const std::string shown = core::EscapeControl(entry.substr(0, kMaxNameInMessage));
  return core::Error(StatusCode::kInvalidArgument, "invalid_archive",
                     core::StrCat("'", shown, "': ", why))
      .WithField(shown);
}

StatusOr<StagedArchive> StagedArchive::Read(archive::ReadFn tar, const core::RootDir& dir,
                                            const ProgressFn& progress) {
  StagedArchive staged(dir);
  archive::TarReader reader(std::move(tar));
  archive::TarEntry entry;
  std::map<Digest, std::string> by_digest;  // the same layer may be there under many names
  uint64_t reported = 0;
  for (uint64_t entries = 0;; ++entries) {
    MBX_ASSIGN_OR_RETURN(const bool more, reader.Next(entry));
    if (!more) break;
    if (entries == kMaxEntries) return InvalidArchive(entry.path, "too many entries");
    const auto name = CleanName("", entry.path);
    if (!name.has_value() || name->empty()) continue;
    // Of equal names the last wins.
    staged.links_.erase(*name);
    staged.files_.erase(*name);
    if (entry.type == archive::TarType::kHardLink || entry.type == archive::TarType::kSymlink) {
      const bool symbolic = entry.type == archive::TarType::kSymlink;
      const auto target = CleanName(symbolic ? DirectoryOf(*name) : "", entry.link);
      if (target.has_value()) staged.links_.emplace(*name, *target);
      continue;
    }
    if (entry.type != archive::TarType::kFile || entry.sparse) continue;
    if (IsDocument(*name)) {
      if (entry.size > kMaxArchiveJson) return InvalidArchive(*name, "exceeds 4 MiB");
      std::string& text = staged.documents_[*name];
      text.clear();
      while (true) {
        MBX_ASSIGN_OR_RETURN(const std::string_view bytes, reader.ReadData());
        if (bytes.empty()) break;
        text += bytes;
      }
      continue;
    }
    const std::string file_name = core::StrCat("file-", entries);
    MBX_ASSIGN_OR_RETURN(const core::Fd file,
                         dir.OpenAt(file_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
    core::Sha256 hash;
    while (true) {
      MBX_ASSIGN_OR_RETURN(const std::string_view bytes, reader.ReadData());
      if (bytes.empty()) break;
      hash.Update(bytes);
      MBX_RETURN_IF_ERROR(core::WriteAll(file.get(), bytes));
      if (progress && reader.bytes_read() - reported >= kProgressBytes) {
        reported = reader.bytes_read();
        progress(*name, reported);
      }
    }
    StagedFile result{file_name, oci::DigestFromHex(hash.FinishHex()), entry.size};
    const auto [known, is_new] = by_digest.try_emplace(result.digest, file_name);
    if (!is_new) {
      MBX_RETURN_IF_ERROR(dir.Unlink(file_name));
      result.name = known->second;
    }
    staged.files_.emplace(*name, std::move(result));
  }
  // A damaged end of a compressed stream shows only when it is read.
  MBX_RETURN_IF_ERROR(reader.Finish().status());
  if (progress) progress("", reader.bytes_read());
  return staged;
}

const std::string* StagedArchive::Document(std::string_view name) const {
  const auto found = documents_.find(name);
  return found == documents_.end() ? nullptr : &found->second;
}

const StagedFile* StagedArchive::Find(std::string_view name) const {
  auto current = CleanName("", name);
  for (int i = 0; current.has_value() && i <= kMaxLinks; ++i) {
    if (const auto file = files_.find(*current); file != files_.end()) return &file->second;
    const auto link = links_.find(*current);
    if (link == links_.end()) return nullptr;
    current = link->second;
  }
  return nullptr;
}

StatusOr<core::Fd> StagedArchive::Open(const StagedFile& file) const {
  return dir_->OpenNoFollow(file.name, O_RDONLY);
}

StatusOr<std::string> StagedArchive::ReadJson(std::string_view name, const StagedFile& file) const {
  if (file.size > kMaxArchiveJson) return InvalidArchive(name, "exceeds 4 MiB");
  return dir_->ReadFile(file.name, kMaxArchiveJson);
}

}  // namespace minibox::store
