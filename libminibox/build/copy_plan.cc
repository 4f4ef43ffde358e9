// SPDX-License-Identifier: Apache-2.0
#include "build/copy_plan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "archive/dir_chain.h"
#include "build/directory.h"
#include "build/paths.h"
#include "core/errors.h"
#include "core/parallel.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr size_t kBufferBytes = 256u << 10;
// What a thread is worth.
constexpr size_t kDirectoriesPerThread = 8, kFilesPerThread = 64;
constexpr int kReadAttempts = 3;
constexpr std::string_view kCapability = "security.capability";
// The context directory's own mode belongs to the host, not to the context.
constexpr mode_t kContextRootMode = 0755;

std::string_view ParentOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

mode_t WithExecuteWhereRead(mode_t mode) { return mode | ((mode & 0444) >> 2); }

bool SameFile(const struct ::stat& a, const struct ::stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

// One directory of the tree that is read, and where its entries are to go.
struct Directory {
  std::string path, target;
  std::vector<DirectoryEntry> entries{};
  std::vector<size_t> children{};  // directories among them, in order
};

// Reads in parallel, in three passes: directories level by level, then the list is put together
// in one order, then the files' contents.
class CopyPlanner {
 public:
  CopyPlanner(const SourceTree& tree, std::optional<mode_t> chmod, FileDigests* digests,
              std::stop_token stop)
      : tree_(tree), chmod_(chmod), digests_(digests), stop_(std::move(stop)) {
    chains_.resize(static_cast<size_t>(core::WorkerThreads()));
  }

  StatusOr<CopyPlan> Plan(const std::vector<std::string>& sources) {
    for (const auto& source : sources) {
      MBX_ASSIGN_OR_RETURN(const auto matches, tree_.Match(source));
      for (const auto& match : matches) {
        const Status status = PlanMatch(match);
        if (!status.ok()) {
          return status.WithContext(core::StrCat("'", core::EscapeControl(match.shown), "'"));
        }
      }
    }
    MBX_RETURN_IF_ERROR(ReadContents());
    return std::move(plan_);
  }

 private:
  // Of one worker.
  StatusOr<int> OpenDirectory(size_t worker, std::string_view path) {
    auto& chain = chains_[worker];
    if (!chain) {
      MBX_ASSIGN_OR_RETURN(archive::DirChain made, archive::DirChain::Create(tree_.root()));
      chain.emplace(std::move(made));
    }
    return chain->Open(path);
  }

  Status PlanMatch(const SourceMatch& found) {
    plan_.matches.push_back({std::string(LastComponent(found.shown)), found.directory, {}});
    CopyMatch& match = plan_.matches.back();
    first_names_.clear();
    MBX_ASSIGN_OR_RETURN(const struct ::stat st, tree_.root().LStat(found.path));
    MBX_RETURN_IF_ERROR(AddEntry(found.path, "", st, match));
    if (match.entries.empty()) {
      return core::InvalidArgument("source", "is no file, directory or link");
    }
    if (!found.directory) return {};
    MBX_RETURN_IF_ERROR(ReadTree(found.path));
    // Depth first, each directory's entries before what is in them.
    std::vector<size_t> open = {0};
    while (!open.empty()) {
      const Directory& directory = directories_[open.back()];
      open.pop_back();
      for (const auto& entry : directory.entries) {
        MBX_RETURN_IF_ERROR(AddEntry(JoinPath(directory.path, entry.name),
                                     JoinPath(directory.target, entry.name), entry.st, match));
      }
      open.insert(open.end(), directory.children.rbegin(), directory.children.rend());
    }
    directories_.clear();
    return {};
  }

  Status ReadTree(const std::string& root) {
    directories_ = {{root, ""}};
    size_t level = 0;
    while (level < directories_.size()) {
      const size_t end = directories_.size();
      MBX_RETURN_IF_ERROR(core::ForEachIndex(
          end - level, core::WorkerThreads(), kDirectoriesPerThread,
          [&](size_t i, size_t worker) { return ReadOne(directories_[level + i], worker); }));
      for (size_t i = level; i < end; ++i) {
        for (size_t j = 0; j < directories_[i].entries.size(); ++j) {
          const auto& entry = directories_[i].entries[j];
          if (!S_ISDIR(entry.st.st_mode)) continue;
          Directory below{JoinPath(directories_[i].path, entry.name),
                          JoinPath(directories_[i].target, entry.name)};
          directories_[i].children.push_back(directories_.size());
          directories_.push_back(std::move(below));
        }
      }
      level = end;
    }
    return {};
  }

  Status ReadOne(Directory& directory, size_t worker) {
    if (stop_.stop_requested()) return core::Cancelled("COPY");
    MBX_ASSIGN_OR_RETURN(const int fd, OpenDirectory(worker, directory.path));
    MBX_ASSIGN_OR_RETURN(directory.entries, ReadDirectory(fd));
    std::erase_if(directory.entries, [&](const DirectoryEntry& entry) {
      return tree_.Ignores(JoinPath(directory.path, entry.name), S_ISDIR(entry.st.st_mode));
    });
    return {};
  }

  Status AddEntry(const std::string& path, const std::string& target, const struct ::stat& st,
                  CopyMatch& match) {
    const mode_t type = st.st_mode & S_IFMT;
    const bool special = type == S_IFSOCK || (type != S_IFREG && type != S_IFDIR &&
                                              type != S_IFLNK && tree_.is_context());
    if (special) {
      plan_.notes.push_back(core::StrCat("'", core::EscapeControl(path),
                                         "' is left out: it is a socket, device or FIFO"));
      return {};
    }
    CopyEntry& entry = match.entries.emplace_back();
    entry.source = path;
    entry.target = target;
    entry.st = st;
    if (path.empty() && tree_.is_context()) entry.st.st_mode = type | kContextRootMode;
    if (chmod_ && type != S_IFLNK) {
      entry.st.st_mode = type | (type == S_IFDIR ? WithExecuteWhereRead(*chmod_) : *chmod_);
    }
    if (type == S_IFLNK) {
      MBX_ASSIGN_OR_RETURN(entry.link, tree_.root().ReadLink(path));
    }
    const auto at = std::pair(plan_.matches.size() - 1, match.entries.size() - 1);
    if (type != S_IFDIR && st.st_nlink > 1) {
      const auto [first, is_first] =
          first_names_.try_emplace({st.st_dev, st.st_ino}, static_cast<int>(at.second));
      if (!is_first) {
        entry.first_name = first->second;
        links_.push_back(at);
        return {};
      }
    }
    if (type == S_IFREG && digests_ != nullptr) {
      if (auto known = digests_->Find(st)) entry.content = *std::move(known);
    }
    const bool to_read = (type == S_IFREG && entry.content.empty()) || !tree_.is_context();
    if (to_read) unread_.push_back(at);
    return {};
  }

  Status ReadContents() {
    MBX_RETURN_IF_ERROR(core::ForEachIndex(
        unread_.size(), core::WorkerThreads(), kFilesPerThread, [&](size_t i, size_t worker) {
          auto& entry = plan_.matches[unread_[i].first].entries[unread_[i].second];
          const Status status = ReadContent(entry, worker);
          return status.ok() ? status
                             : status.WithContext(
                                   core::StrCat("'", core::EscapeControl(entry.source), "'"));
        }));
    for (const auto& [match, index] : links_) {
      auto& entries = plan_.matches[match].entries;
      const CopyEntry& original = entries[static_cast<size_t>(entries[index].first_name)];
      entries[index].content = original.content;
      entries[index].xattrs = original.xattrs;
    }
    return {};
  }

  Status ReadContent(CopyEntry& entry, size_t worker) {
    if (stop_.stop_requested()) return core::Cancelled("COPY");
    MBX_ASSIGN_OR_RETURN(const int directory, OpenDirectory(worker, ParentOf(entry.source)));
    const std::string name(LastComponent(entry.source));
    if (!tree_.is_context()) {
      MBX_ASSIGN_OR_RETURN(entry.xattrs, ReadPackedXattrs(directory, name));
    }
    if (S_ISREG(entry.st.st_mode) && entry.content.empty()) return HashFile(directory, name, entry);
    return {};
  }

  // A file that changes while it is read is read again, and in the end refused.
  Status HashFile(int directory, const std::string& name, CopyEntry& entry) {
    const core::Fd file(
        openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file.valid()) return core::SysError("openat", core::EscapeControl(name));
    struct ::stat before = entry.st;
    for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
      core::Sha256 hash;
      off_t bytes = 0;
      MBX_RETURN_IF_ERROR(HashBytes(file.get(), name, before.st_size, hash, bytes));
      struct ::stat after {};
      if (fstat(file.get(), &after) != 0) return core::SysError("fstat", core::EscapeControl(name));
      if (SameFile(before, after) && bytes == after.st_size) {
        entry.st.st_size = after.st_size;
        entry.content = hash.FinishHex();
        if (digests_ != nullptr) digests_->Remember(after, entry.content);
        return {};
      }
      // Another file of that name, or none any more: the list is out of date.
      if (after.st_dev != before.st_dev || after.st_ino != before.st_ino) break;
      before = after;
    }
    return core::Error(StatusCode::kAborted, "file_changed", "has changed while it was read");
  }

  // `expected` bytes, or more.
  Status HashBytes(int fd, const std::string& name, off_t expected, core::Sha256& hash,
                   off_t& bytes) {
    std::vector<char> buffer(std::min(kBufferBytes, static_cast<size_t>(expected) + 1));
    while (true) {
      if (stop_.stop_requested()) return core::Cancelled("COPY");
      const ssize_t count = pread(fd, buffer.data(), buffer.size(), bytes);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return core::SysError("read", core::EscapeControl(name));
      if (count == 0) return {};
      hash.Update(std::string_view(buffer.data(), static_cast<size_t>(count)));
      bytes += count;
    }
  }

  const SourceTree& tree_;
  std::optional<mode_t> chmod_;
  FileDigests* digests_;
  std::stop_token stop_;
  CopyPlan plan_;
  std::vector<Directory> directories_;
  std::map<std::pair<dev_t, ino_t>, int> first_names_;
  // (match, entry): what is still to be read, and other names of what has been.
  std::vector<std::pair<size_t, size_t>> unread_, links_;
  std::vector<std::optional<archive::DirChain>> chains_;  // one per worker
};

}  // namespace

std::vector<KeyEntry> CopyPlan::Key(bool with_owner) const {
  std::vector<KeyEntry> key;
  for (const auto& match : matches) {
    // Says where one match ends and whether it is merged or gets a name.
    key.push_back({.target = match.directory ? std::string() : match.name,
                   .type = match.directory ? S_IFDIR : mode_t{0},
                   .size = match.entries.size()});
    for (const auto& entry : match.entries) {
      const mode_t type = entry.st.st_mode & S_IFMT;
      const auto capability = entry.xattrs.find(std::string(kCapability));
      // Of a hard link, the name that it is a link to.
      const bool linked = entry.first_name >= 0;
      const std::string& link =
          linked ? match.entries[static_cast<size_t>(entry.first_name)].target : entry.link;
      key.push_back(
          {.target = entry.target,
           .type = type,
           .mode = type == S_IFLNK ? mode_t{0} : entry.st.st_mode & 07777,
           .link = link,
           .size = type == S_IFREG ? static_cast<uint64_t>(entry.st.st_size) : 0,
           .content = entry.content,
           .capability = capability == entry.xattrs.end() ? std::string() : capability->second,
           .device = type == S_IFCHR || type == S_IFBLK ? entry.st.st_rdev : 0,
           .owner =
               with_owner ? core::StrCat(entry.st.st_uid, ":", entry.st.st_gid) : std::string()});
    }
  }
  return key;
}

StatusOr<CopyPlan> PlanCopy(const SourceTree& tree, const std::vector<std::string>& sources,
                            std::optional<mode_t> chmod, FileDigests* digests,
                            std::stop_token stop) {
  return CopyPlanner(tree, chmod, digests, std::move(stop)).Plan(sources);
}

}  // namespace minibox::build
