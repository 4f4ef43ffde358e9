// SPDX-License-Identifier: Apache-2.0
#include "build/copy_plan.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "archive/dir_chain.h"
#include "build/directory.h"
#include "build/paths.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr size_t kBufferBytes = 256u << 10;
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
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

class CopyPlanner {
 public:
  CopyPlanner(const SourceTree& tree, archive::DirChain chain, std::optional<mode_t> chmod,
              FileDigests* digests, std::stop_token stop)
      : tree_(tree),
        chain_(std::move(chain)),
        chmod_(chmod),
        digests_(digests),
        stop_(std::move(stop)) {}

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
    return std::move(plan_);
  }

 private:
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
    std::vector<std::pair<std::string, std::string>> open = {{found.path, ""}};
    while (!open.empty()) {
      const auto [path, target] = std::move(open.back());
      open.pop_back();
      MBX_RETURN_IF_ERROR(AddDirectory(path, target, match, open));
    }
    return {};
  }

  // Its entries; directories among them go to `open`.
  Status AddDirectory(const std::string& path, const std::string& target, CopyMatch& match,
                      std::vector<std::pair<std::string, std::string>>& open) {
    MBX_ASSIGN_OR_RETURN(const int directory, chain_.Open(path));
    MBX_ASSIGN_OR_RETURN(const auto entries, ReadDirectory(directory));
    std::vector<std::pair<std::string, std::string>> below;
    for (const auto& entry : entries) {
      if (stop_.stop_requested()) return core::Cancelled("COPY");
      const bool is_directory = S_ISDIR(entry.st.st_mode);
      const std::string entry_path = JoinPath(path, entry.name);
      if (tree_.Ignores(entry_path, is_directory)) continue;
      const std::string entry_target = JoinPath(target, entry.name);
      MBX_RETURN_IF_ERROR(AddEntry(entry_path, entry_target, entry.st, match));
      if (is_directory) below.emplace_back(entry_path, entry_target);
    }
    for (auto next = below.rbegin(); next != below.rend(); ++next) open.push_back(std::move(*next));
    return {};
  }

  Status AddEntry(const std::string& path, const std::string& target, const struct ::stat& st,
                  CopyMatch& match) {
    CopyEntry entry{.source = path, .target = target, .st = st};
    const mode_t type = st.st_mode & S_IFMT;
    const bool special = type == S_IFSOCK || (type != S_IFREG && type != S_IFDIR &&
                                              type != S_IFLNK && tree_.is_context());
    if (special) {
      plan_.notes.push_back(core::StrCat("'", core::EscapeControl(path),
                                         "' is left out: it is a socket, device or FIFO"));
      return {};
    }
    if (path.empty() && tree_.is_context()) entry.st.st_mode = type | kContextRootMode;
    if (chmod_ && type != S_IFLNK) {
      entry.st.st_mode = type | (type == S_IFDIR ? WithExecuteWhereRead(*chmod_) : *chmod_);
    }
    if (type == S_IFLNK) {
      MBX_ASSIGN_OR_RETURN(entry.link, tree_.root().ReadLink(path));
    }
    const auto [first, is_first] =
        first_names_.try_emplace({st.st_dev, st.st_ino}, static_cast<int>(match.entries.size()));
    if (type != S_IFDIR && st.st_nlink > 1 && !is_first) {
      entry.first_name = first->second;
      const CopyEntry& original = match.entries[static_cast<size_t>(first->second)];
      entry.content = original.content;
      entry.xattrs = original.xattrs;
    } else {
      if (type == S_IFREG) MBX_RETURN_IF_ERROR(HashFile(path, entry));
      if (!tree_.is_context()) {
        MBX_ASSIGN_OR_RETURN(const int directory, chain_.Open(ParentOf(path)));
        MBX_ASSIGN_OR_RETURN(entry.xattrs, ReadPackedXattrs(directory, LastComponent(path)));
      }
    }
    match.entries.push_back(std::move(entry));
    return {};
  }

  Status HashFile(const std::string& path, CopyEntry& entry) {
    if (digests_ != nullptr) {
      if (const auto known = digests_->Find(entry.st)) {
        entry.content = *known;
        return {};
      }
    }
    MBX_ASSIGN_OR_RETURN(const int directory, chain_.Open(ParentOf(path)));
    const std::string name(LastComponent(path));
    const core::Fd file(
        openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file.valid()) return core::SysError("openat", core::EscapeControl(path));
    core::Sha256 hash;
    off_t bytes = 0;
    while (true) {
      if (stop_.stop_requested()) return core::Cancelled("COPY");
      const ssize_t count = read(file.get(), buffer_.data(), buffer_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return core::SysError("read", core::EscapeControl(path));
      if (count == 0) break;
      hash.Update(std::string_view(buffer_.data(), static_cast<size_t>(count)));
      bytes += count;
    }
    struct ::stat after {};
    if (fstat(file.get(), &after) != 0) return core::SysError("fstat", core::EscapeControl(path));
    if (!SameFile(entry.st, after) || bytes != entry.st.st_size) {
      return core::Error(
          StatusCode::kAborted, "file_changed",
          core::StrCat("'", core::EscapeControl(path), "' has changed while it was read"));
    }
    entry.content = hash.FinishHex();
    if (digests_ != nullptr) digests_->Remember(after, entry.content);
    return {};
  }

  const SourceTree& tree_;
  archive::DirChain chain_;
  std::optional<mode_t> chmod_;
  FileDigests* digests_;
  std::stop_token stop_;
  CopyPlan plan_;
  std::map<std::pair<dev_t, ino_t>, int> first_names_;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
};

}  // namespace

std::vector<KeyEntry> CopyPlan::Key() const {
  std::vector<KeyEntry> key;
  for (const auto& match : matches) {
    // Says where one match ends and whether it is merged or gets a name.
    key.push_back({.target = match.directory ? std::string() : match.name,
                   .type = match.directory ? S_IFDIR : mode_t{0},
                   .size = match.entries.size()});
    for (const auto& entry : match.entries) {
      const mode_t type = entry.st.st_mode & S_IFMT;
      const auto capability = entry.xattrs.find(std::string(kCapability));
      key.push_back(
          {.target = entry.target,
           .type = type,
           .mode = type == S_IFLNK ? mode_t{0} : entry.st.st_mode & 07777,
           .link = entry.link,
           .size = type == S_IFREG ? static_cast<uint64_t>(entry.st.st_size) : 0,
           .content = entry.content,
           .capability = capability == entry.xattrs.end() ? std::string() : capability->second,
           .device = type == S_IFCHR || type == S_IFBLK ? entry.st.st_rdev : 0});
    }
  }
  return key;
}

StatusOr<CopyPlan> PlanCopy(const SourceTree& tree, const std::vector<std::string>& sources,
                            std::optional<mode_t> chmod, FileDigests* digests,
                            std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(archive::DirChain chain, archive::DirChain::Create(tree.root()));
  return CopyPlanner(tree, std::move(chain), chmod, digests, std::move(stop)).Plan(sources);
}

}  // namespace minibox::build
