// SPDX-License-Identifier: Apache-2.0
#include "build/copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "archive/dir_chain.h"
#include "build/directory.h"
#include "build/paths.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr size_t kBufferBytes = 256u << 10;
constexpr mode_t kParentMode = 0755;

std::string_view ParentOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

// Merges the entries of one match into the directory `base`.
class Merger {
 public:
  Merger(const SourceTree& tree, const CopyTarget& target, archive::DirChain from,
         const core::RootDir& base, archive::DirChain to, std::stop_token stop)
      : tree_(tree),
        target_(target),
        from_(std::move(from)),
        base_(base),
        to_(std::move(to)),
        stop_(std::move(stop)) {}

  // The entries' paths are `name` with their targets below it.
  Status Merge(const CopyMatch& match, const std::string& name) {
    for (const auto& entry : match.entries) {
      if (stop_.stop_requested()) return core::Cancelled("COPY");
      const std::string path = JoinPath(name, entry.target);
      if (path.empty()) continue;  // the destination itself
      const Status status = MergeEntry(match, entry, path, name);
      if (!status.ok())
        return status.WithContext(core::StrCat("'", core::EscapeControl(path), "'"));
    }
    // A directory's time changes with what is written into it, so it comes last.
    for (auto made = made_directories_.rbegin(); made != made_directories_.rend(); ++made) {
      MBX_ASSIGN_OR_RETURN(const int directory, to_.Open(made->first));
      const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, made->second};
      if (futimens(directory, times) != 0) return core::SysError("futimens", made->first);
    }
    return {};
  }

 private:
  Status MergeEntry(const CopyMatch& match, const CopyEntry& entry, const std::string& path,
                    const std::string& name) {
    MBX_ASSIGN_OR_RETURN(const int directory, to_.Open(ParentOf(path)));
    const std::string last(LastComponent(path));
    struct ::stat there {};
    const bool exists = fstatat(directory, last.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
    if (!exists && errno != ENOENT) return core::SysError("fstatat", last);

    if (entry.first_name >= 0) {
      const auto& first = match.entries[static_cast<size_t>(entry.first_name)];
      return LinkTo(JoinPath(name, first.target), directory, last, path, exists ? &there : nullptr);
    }
    if (exists) {
      MBX_ASSIGN_OR_RETURN(const bool equal, IsEqual(entry, directory, last, there));
      if (equal) return {};
    }
    if (S_ISDIR(entry.st.st_mode) && exists && S_ISDIR(there.st_mode)) {
      return SetAttributes(entry, directory, last);
    }
    MBX_ASSIGN_OR_RETURN(const int parent, ClearWay(exists, there, directory, last, path));
    switch (entry.st.st_mode & S_IFMT) {
      case S_IFDIR:
        if (mkdirat(parent, last.c_str(), 0700) != 0) return core::SysError("mkdirat", last);
        made_directories_.emplace_back(path, Time(entry));
        return SetAttributes(entry, parent, last);
      case S_IFLNK:
        if (symlinkat(entry.link.c_str(), parent, last.c_str()) != 0) {
          return core::SysError("symlinkat", last);
        }
        break;
      case S_IFREG:
        MBX_RETURN_IF_ERROR(CopyFile(entry, parent, last));
        break;
      default:
        if (mknodat(parent, last.c_str(), (entry.st.st_mode & S_IFMT) | 0600, entry.st.st_rdev) !=
            0) {
          return core::SysError("mknodat", last);
        }
    }
    MBX_RETURN_IF_ERROR(SetAttributes(entry, parent, last));
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, Time(entry)};
    if (utimensat(parent, last.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
      return core::SysError("utimensat", last);
    }
    return {};
  }

  Owner OwnerOf(const CopyEntry& entry) const {
    return target_.keep_owner ? Owner{entry.st.st_uid, entry.st.st_gid} : target_.owner;
  }

  struct timespec Time(const CopyEntry& entry) const {
    if (!tree_.is_context()) return entry.st.st_mtim;
    return {.tv_sec = target_.epoch, .tv_nsec = 0};
  }

  // Removes what has the name; the parent directory, opened again if need be.
  StatusOr<int> ClearWay(bool exists, const struct ::stat& there, int directory,
                         const std::string& last, const std::string& path) {
    if (!exists) return directory;
    if (!S_ISDIR(there.st_mode)) {
      if (unlinkat(directory, last.c_str(), 0) != 0) return core::SysError("unlinkat", last);
    } else {
      MBX_RETURN_IF_ERROR(base_.RemoveAll(path));
    }
    to_.Forget();
    return to_.Open(ParentOf(path));
  }

  Status LinkTo(const std::string& first, int directory, const std::string& last,
                const std::string& path, const struct ::stat* there) {
    if (there != nullptr) {
      MBX_ASSIGN_OR_RETURN(const struct ::stat original, base_.LStat(first));
      if (original.st_dev == there->st_dev && original.st_ino == there->st_ino) return {};
      MBX_ASSIGN_OR_RETURN(directory, ClearWay(true, *there, directory, last, path));
    }
    // Both names are inside `base_`, whose links have been replaced on the way.
    MBX_ASSIGN_OR_RETURN(const auto original, base_.OpenParent(first));
    if (linkat(original.dir.get(), original.name.c_str(), directory, last.c_str(), 0) != 0) {
      return core::SysError("linkat", last);
    }
    return {};
  }

  StatusOr<bool> IsEqual(const CopyEntry& entry, int directory, const std::string& last,
                         const struct ::stat& there) {
    const mode_t type = entry.st.st_mode & S_IFMT;
    if ((there.st_mode & S_IFMT) != type) return false;
    const Owner owner = OwnerOf(entry);
    if (there.st_uid != owner.uid || there.st_gid != owner.gid) return false;
    if (type != S_IFLNK && there.st_mode != entry.st.st_mode) return false;
    if ((type == S_IFCHR || type == S_IFBLK) && there.st_rdev != entry.st.st_rdev) return false;
    if (type == S_IFREG && there.st_size != entry.st.st_size) return false;
    if (type == S_IFLNK) {
      std::string target(entry.link.size() + 1, '\0');
      const ssize_t size = readlinkat(directory, last.c_str(), target.data(), target.size());
      if (size < 0) return core::SysError("readlinkat", last);
      target.resize(static_cast<size_t>(size));
      if (target != entry.link) return false;
    }
    if (type == S_IFREG) {
      MBX_ASSIGN_OR_RETURN(const std::string content, HashFile(directory, last));
      if (content != entry.content) return false;
    }
    MBX_ASSIGN_OR_RETURN(const auto xattrs, ReadPackedXattrs(directory, last));
    return xattrs == entry.xattrs;
  }

  StatusOr<std::string> HashFile(int directory, const std::string& name) {
    const core::Fd file(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file.valid()) return core::SysError("openat", name);
    core::Sha256 hash;
    MBX_RETURN_IF_ERROR(ReadBlocks(file.get(), name, [&](std::string_view bytes) {
      hash.Update(bytes);
      return Status();
    }));
    return hash.FinishHex();
  }

  Status CopyFile(const CopyEntry& entry, int parent, const std::string& last) {
    MBX_ASSIGN_OR_RETURN(const int directory, from_.Open(ParentOf(entry.source)));
    const std::string source(LastComponent(entry.source));
    const core::Fd in(
        openat(directory, source.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!in.valid()) return core::SysError("openat", core::EscapeControl(entry.source));
    const core::Fd out(
        openat(parent, last.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!out.valid()) return core::SysError("openat", last);
    core::Sha256 hash;
    MBX_RETURN_IF_ERROR(ReadBlocks(in.get(), entry.source, [&](std::string_view bytes) {
      hash.Update(bytes);
      return core::WriteAll(out.get(), bytes);
    }));
    if (hash.FinishHex() == entry.content) return {};
    return core::Error(
        StatusCode::kAborted, "file_changed",
        core::StrCat("'", core::EscapeControl(entry.source), "' has changed while it was read"));
  }

  template <typename Sink>
  Status ReadBlocks(int fd, std::string_view name, const Sink& sink) {
    while (true) {
      if (stop_.stop_requested()) return core::Cancelled("COPY");
      const ssize_t count = read(fd, buffer_.data(), buffer_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return core::SysError("read", core::EscapeControl(name));
      if (count == 0) return {};
      MBX_RETURN_IF_ERROR(sink(std::string_view(buffer_.data(), static_cast<size_t>(count))));
    }
  }

  // Owner before mode (chown clears set-id bits), capabilities last (both clear those).
  Status SetAttributes(const CopyEntry& entry, int directory, const std::string& last) {
    const Owner owner = OwnerOf(entry);
    if (fchownat(directory, last.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0) {
      return core::SysError("fchownat", last);
    }
    if (S_ISLNK(entry.st.st_mode)) return {};
    if (fchmodat(directory, last.c_str(), entry.st.st_mode & 07777, 0) != 0) {
      return core::SysError("fchmodat", last);
    }
    for (const auto& [name, value] : entry.xattrs) {
      MBX_RETURN_IF_ERROR(SetXattr(directory, last, name, value));
    }
    return {};
  }

  const SourceTree& tree_;
  const CopyTarget& target_;
  archive::DirChain from_;
  const core::RootDir& base_;
  archive::DirChain to_;
  std::stop_token stop_;
  std::vector<std::pair<std::string, struct timespec>> made_directories_;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
};

bool IsDirectory(const core::RootDir& root, const std::string& path) {
  const auto st = root.Stat(path);
  return st.ok() && S_ISDIR(st->st_mode);
}

Status SetTime(const core::RootDir& directory, const CopyEntry& entry, const SourceTree& tree,
               int64_t epoch) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry.st.st_mtim};
  if (tree.is_context()) times[1] = {.tv_sec = epoch, .tv_nsec = 0};
  if (utimensat(directory.fd(), ".", times, 0) == 0) return {};
  return core::SysError("utimensat", "the destination");
}

// The destination of a directory as a directory of its own, made like `like` if it is missing.
Status MakeDestination(const core::RootDir& root, const std::string& path, const CopyEntry& like,
                       const Owner& owner) {
  if (IsDirectory(root, path)) return {};
  MBX_RETURN_IF_ERROR(root.MakeDirs(ParentOf(path), kParentMode));
  if (root.Exists(path)) MBX_RETURN_IF_ERROR(root.Unlink(path));
  MBX_RETURN_IF_ERROR(root.MakeDir(path, 0700));
  MBX_ASSIGN_OR_RETURN(const core::Fd made, root.OpenNoFollow(path, O_RDONLY | O_DIRECTORY));
  if (fchown(made.get(), owner.uid, owner.gid) != 0) return core::SysError("fchown", path);
  if (fchmod(made.get(), like.st.st_mode & 07777) != 0) return core::SysError("fchmod", path);
  for (const auto& [name, value] : like.xattrs) {
    MBX_RETURN_IF_ERROR(SetXattr(made.get(), "", name, value));
  }
  return {};
}

}  // namespace

Status ApplyCopy(const SourceTree& tree, const CopyPlan& plan, const CopyTarget& target,
                 const core::RootDir& root, std::stop_token stop) {
  const std::string& destination = target.destination;
  const bool is_directory = target.into_directory || IsDirectory(root, destination);
  if (plan.matches.size() > 1 && !is_directory) {
    return core::InvalidArgument("destination",
                                 core::StrCat("'", core::EscapeControl(destination),
                                              "' gets several sources, so it must be a directory: "
                                              "end it with '/'"));
  }
  for (const auto& match : plan.matches) {
    std::string directory = destination, name;
    bool is_made = false;
    if (match.directory) {
      is_made = !IsDirectory(root, destination);
      const CopyEntry& first = match.entries.front();
      const Owner owner =
          target.keep_owner ? Owner{first.st.st_uid, first.st.st_gid} : target.owner;
      MBX_RETURN_IF_ERROR(MakeDestination(root, destination, first, owner));
    } else if (is_directory) {
      MBX_RETURN_IF_ERROR(root.MakeDirs(destination, kParentMode));
      name = match.name;
    } else {
      directory = ParentOf(destination);
      MBX_RETURN_IF_ERROR(root.MakeDirs(directory, kParentMode));
      name = LastComponent(destination);
    }
    MBX_ASSIGN_OR_RETURN(const core::RootDir base, root.OpenDir(directory));
    MBX_ASSIGN_OR_RETURN(archive::DirChain from, archive::DirChain::Create(tree.root()));
    MBX_ASSIGN_OR_RETURN(archive::DirChain to, archive::DirChain::Create(base));
    Merger merger(tree, target, std::move(from), base, std::move(to), stop);
    MBX_RETURN_IF_ERROR(merger.Merge(match, name));
    if (is_made) {
      MBX_RETURN_IF_ERROR(SetTime(base, match.entries.front(), tree, target.epoch));
    }
  }
  return {};
}

}  // namespace minibox::build
