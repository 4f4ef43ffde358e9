// SPDX-License-Identifier: Apache-2.0
#include "archive/layer_apply.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <utility>

#include "archive/dir_chain.h"
#include "archive/dir_finish.h"
#include "archive/entry_path.h"
#include "archive/layer_xattrs.h"
#include "archive/overlay_marks.h"
#include "archive/pseudo_fs.h"
#include "archive/read_ahead.h"
#include "archive/tar_reader.h"
#include "core/errors.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/reopen.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

constexpr size_t kMaxLinkTarget = 4095;
constexpr size_t kMaxNotes = 100;
constexpr size_t kMaxNameInMessage = 256;
constexpr uint64_t kMaxId = std::numeric_limits<uint32_t>::max() - 1;

Status Refused(std::string_view why) {
  return core::Error(StatusCode::kInvalidArgument, "invalid_archive", std::string(why));
}

std::string ShownPath(std::string_view path) {
  return core::EscapeControl(path.substr(0, kMaxNameInMessage));
}

// A path that does not lead anywhere is the archive's fault, everything else the machine's.
Status OrRefused(Status status) {
  switch (status.sys_errno()) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EMLINK:
    case EFBIG:
      return Status(StatusCode::kInvalidArgument, status.message(),
                    {.sys_errno = status.sys_errno(), .reason = "invalid_archive"});
    default:
      return status;
  }
}

StatusOr<bool> Exists(int dir, const std::string& name, struct ::stat& st) {
  if (fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT) return false;
  return core::SysError("fstatat", core::EscapeControl(name));
}

bool IsMountPoint(int dir, const std::string& name) {
  struct statx found {};
  return statx(dir, name.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &found) == 0 &&
         (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

class Applier {
 public:
  // `target` is where entries go.
  Applier(const core::RootDir& root, const core::RootDir& target, DirChain chain,
          const ApplyOptions& options, ReadFn tar)
      : root_(root),
        chain_(std::move(chain)),
        finish_(target),
        options_(options),
        tar_(std::move(tar)),
        reader_([this](char* buffer, size_t size) { return tar_.Read(buffer, size); },
                /*hash=*/false),
        make_parent_([this](int parent, const std::string& name, std::string_view path,
                            bool exists) { return MakeParent(parent, name, path, exists); }) {}

  StatusOr<Applied> Run() {
    // A tree must not depend on when it was unpacked, so a root without entry gets a time too.
    if (!options_.live) {
      MBX_ASSIGN_OR_RETURN(const int root, chain_.Open(""));
      MBX_RETURN_IF_ERROR(finish_.Add("", root, {}));
    }
    TarEntry entry;
    while (true) {
      MBX_ASSIGN_OR_RETURN(const bool more, reader_.Next(entry));
      if (!more) break;
      if (const Status status = OrRefused(ApplyEntry(entry)); !status.ok()) {
        if (status.code() == StatusCode::kCancelled) return status;
        const std::string name = ShownPath(entry.path);
        return status.WithContext(core::StrCat("entry '", name, "'")).WithField(name);
      }
    }
    MBX_RETURN_IF_ERROR(finish_.Apply(chain_));
    MBX_RETURN_IF_ERROR(reader_.Drain());
    Digest diff_id = tar_.DigestOfAll();
    if (notes_left_out_ > 0) notes_.push_back(core::StrCat("and ", notes_left_out_, " more"));
    return Applied{std::move(diff_id), entries_, bytes_, std::move(notes_)};
  }

 private:
  void Note(std::string_view path, std::string_view what) {
    if (notes_.size() < kMaxNotes) {
      notes_.push_back(core::StrCat("'", ShownPath(path), "': ", what));
    } else {
      ++notes_left_out_;
    }
  }

  Status ApplyEntry(TarEntry& entry) {
    if (++entries_ > options_.max_entries) return Refused("too many entries");
    if (entry.uid > kMaxId || entry.gid > kMaxId) return Refused("owner out of range");
    MBX_RETURN_IF_ERROR(CheckXattrs(entry));
    MBX_ASSIGN_OR_RETURN(EntryPath path, ParseEntryPath(entry.path, options_.whiteouts));
    if (path.marker == Marker::kIgnored) return {};
    if (options_.live) {
      // The directory that it goes into stays what it is.
      if (!Place(path)) return {};
      MBX_RETURN_IF_ERROR(SetLiveAttributes(entry));
    }
    if (path.name.empty()) return ApplyToRoot(entry);
    MBX_ASSIGN_OR_RETURN(const int parent, chain_.Open(path.parent, make_parent_));
    if (path.marker == Marker::kOpaque) return SetOpaque(parent);
    if (path.marker == Marker::kWhiteout) return Hide(parent, path.name);
    switch (entry.type) {
      case TarType::kFile:
        return MakeFile(parent, path.name, entry);
      case TarType::kDirectory:
        return MakeDirectory(parent, path, entry);
      case TarType::kHardLink:
        return MakeHardLink(parent, path, entry);
      case TarType::kSymlink:
        return MakeSymlink(parent, path.name, entry);
      case TarType::kFifo:
        return MakeNode(parent, path.name, entry, S_IFIFO);
      case TarType::kBlockDevice:
        return MakeNode(parent, path.name, entry, S_IFBLK);
      case TarType::kCharDevice:
        if (entry.major != 0 || entry.minor != 0) {
          return MakeNode(parent, path.name, entry, S_IFCHR);
        }
        if (options_.whiteouts) return Hide(parent, path.name);
        Note(entry.path, "device 0/0 left out");
        return {};
    }
    return {};
  }

  // Where an entry goes in a live tree; false: it is the directory that the others go into.
  bool Place(EntryPath& path) const {
    const LiveTarget& live = *options_.live;
    if (live.top && !path.name.empty()) {
      const size_t slash = path.parent.find('/');
      if (path.parent.empty()) {
        path.name = *live.top;
      } else {
        const std::string below =
            slash == std::string::npos ? std::string() : path.parent.substr(slash + 1);
        path.parent = Joined(*live.top, below);
      }
    }
    if (path.name.empty()) return false;
    path.parent = Joined(live.into, path.parent);
    return true;
  }

  static std::string Joined(const std::string& above, const std::string& below) {
    return above.empty() || below.empty() ? above + below : core::StrCat(above, "/", below);
  }

  // Ids as the host has them, and nothing that only the host could give.
  Status SetLiveAttributes(TarEntry& entry) const {
    const LiveTarget& live = *options_.live;
    if (live.owner == LiveTarget::Owner::kRoot) {
      const bool plain = entry.type != TarType::kDirectory;
      if (plain && entry.uid != 0) entry.mode &= ~uint32_t{S_ISUID};
      if (plain && entry.gid != 0) entry.mode &= ~uint32_t{S_ISGID};
      entry.uid = entry.gid = 0;
    }
    const auto uid = live.ids.ToHost(entry.uid), gid = live.ids.ToHost(entry.gid);
    if (live.owner != LiveTarget::Owner::kCaller) {
      if (!uid || !gid) {
        return Refused(
            core::StrCat("owner ", entry.uid, ":", entry.gid, " is none of the container's ids"));
      }
      entry.uid = *uid;
      entry.gid = *gid;
    }
    std::erase_if(entry.xattrs, [](const auto& xattr) { return !IsPacked(xattr.first); });
    const auto capability = entry.xattrs.find("security.capability");
    if (capability != entry.xattrs.end()) {
      capability->second = CapabilityToHost(capability->second, live.ids);
    }
    return {};
  }

  static Status CheckXattrs(TarEntry& entry) {
    for (auto xattr = entry.xattrs.begin(); xattr != entry.xattrs.end();) {
      const XattrRule rule = RuleForUnpacking(xattr->first);
      if (rule == XattrRule::kRefuse) {
        return Refused(
            core::StrCat("attribute '", core::EscapeControl(xattr->first), "' is not allowed"));
      }
      if (xattr->second.size() > kMaxXattrValue) return Refused("an attribute exceeds 64 KiB");
      xattr = rule == XattrRule::kIgnore ? entry.xattrs.erase(xattr) : std::next(xattr);
    }
    return {};
  }

  // Lower layers' `name` is hidden. What this layer has under that name stays, whether it came
  // before or comes later; a directory then hides what is below it.
  Status Hide(int parent, const std::string& name) {
    struct ::stat st {};
    MBX_ASSIGN_OR_RETURN(const bool exists, Exists(parent, name, st));
    if (!exists) return MakeWhiteout(parent, name);
    if (!S_ISDIR(st.st_mode)) return {};
    MBX_ASSIGN_OR_RETURN(const core::Fd dir, OpenDirectory(parent, name));
    return SetOpaque(dir.get());
  }

  StatusOr<core::Fd> OpenDirectory(int parent, const std::string& name) {
    core::Fd dir(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!dir.valid()) return core::SysError("openat", core::EscapeControl(name));
    return dir;
  }

  // Removes what has the name of a new entry.
  Status ClearTheWay(int parent, const std::string& name) {
    chain_.Forget();
    // The kernel keeps only mounts of one's own namespace from going with what they are on.
    if (options_.live && IsMountPoint(parent, name)) {
      return core::SysError("unlinkat", core::EscapeControl(name), EBUSY);
    }
    if (unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (options_.live) {
      return errno == EISDIR ? Refused("a directory is in its place")
                             : core::SysError("unlinkat", core::EscapeControl(name));
    }
    MBX_ASSIGN_OR_RETURN(core::Fd dir, OpenDirectory(parent, "."));
    return core::RootDir(std::move(dir)).RemoveAll(name);
  }

  // A directory that an entry's path goes through and that has no entry of its own so far.
  Status MakeParent(int parent, const std::string& name, std::string_view path, bool exists) {
    bool opaque = false;
    if (exists) {
      struct ::stat st {};
      MBX_RETURN_IF_ERROR(Exists(parent, name, st).status());
      MBX_ASSIGN_OR_RETURN(opaque, IsWhiteout(parent, name, st));
      if (!opaque) return Refused(core::StrCat("'", ShownPath(path), "' is not a directory"));
      MBX_RETURN_IF_ERROR(ClearTheWay(parent, name));
    }
    if (mkdirat(parent, name.c_str(), 0700) != 0) {
      return core::SysError("mkdirat", core::EscapeControl(name));
    }
    MBX_ASSIGN_OR_RETURN(const core::Fd dir, OpenDirectory(parent, name));
    TarEntry plain;
    plain.mode = 0755;
    if (opaque) MBX_RETURN_IF_ERROR(SetOpaque(dir.get()));
    // Its time is now.
    if (options_.live) {
      MBX_RETURN_IF_ERROR(SetLiveAttributes(plain));
      return SetOwnerAndMode(dir.get(), plain);
    }
    return FinishDirectory(dir.get(), path, plain);
  }

  Status ApplyToRoot(const TarEntry& entry) {
    if (entry.type != TarType::kDirectory) return Refused("the root can only be a directory");
    MBX_ASSIGN_OR_RETURN(const int root, chain_.Open(""));
    MBX_RETURN_IF_ERROR(DropXattrs(root));
    return FinishDirectory(root, "", entry);
  }

  Status MakeDirectory(int parent, const EntryPath& path, const TarEntry& entry) {
    bool opaque = false;
    if (mkdirat(parent, path.name.c_str(), 0700) != 0) {
      if (errno != EEXIST) return core::SysError("mkdirat", core::EscapeControl(path.name));
      struct ::stat st {};
      MBX_RETURN_IF_ERROR(Exists(parent, path.name, st).status());
      if (S_ISDIR(st.st_mode)) {
        MBX_ASSIGN_OR_RETURN(const core::Fd dir, OpenDirectory(parent, path.name));
        MBX_RETURN_IF_ERROR(DropXattrs(dir.get()));
        return FinishDirectory(dir.get(), path.Full(), entry);
      }
      if (options_.live) return Refused("a file is in its place");
      // What is replaced hid everything of that name below, and so must this.
      opaque = options_.whiteouts;
      MBX_RETURN_IF_ERROR(ClearTheWay(parent, path.name));
      if (mkdirat(parent, path.name.c_str(), 0700) != 0) {
        return core::SysError("mkdirat", core::EscapeControl(path.name));
      }
    }
    MBX_ASSIGN_OR_RETURN(core::Fd dir, OpenDirectory(parent, path.name));
    if (opaque) MBX_RETURN_IF_ERROR(SetOpaque(dir.get()));
    const std::string full = path.Full();
    MBX_RETURN_IF_ERROR(FinishDirectory(dir.get(), full, entry));
    chain_.Add(full, std::move(dir));
    return {};
  }

  // Attributes of an earlier entry of the same path, not overlay's.
  Status DropXattrs(int fd) {
    std::string names(kMaxXattrValue, '\0');
    const ssize_t size = flistxattr(fd, names.data(), names.size());
    if (size < 0) return errno == EOPNOTSUPP ? Status() : core::SysError("flistxattr", "directory");
    names.resize(static_cast<size_t>(size));
    for (const std::string_view name : core::StrSplit(names, '\0')) {
      if (name.empty() || RuleForUnpacking(name) != XattrRule::kKeep) continue;
      if (fremovexattr(fd, std::string(name).c_str()) != 0 && errno != ENODATA) {
        return core::SysError("fremovexattr", name);
      }
    }
    return {};
  }

  Status FinishDirectory(int fd, std::string_view path, const TarEntry& entry) {
    MBX_RETURN_IF_ERROR(SetOwnerAndMode(fd, entry));
    DirAttributes later{entry.mtime, entry.mtime_nsec};
    for (const auto& [name, value] : entry.xattrs) {
      if (name == kDefaultAcl) {
        later.default_acl = value;
      } else {
        MBX_RETURN_IF_ERROR(
            SetXattr(fsetxattr(fd, name.c_str(), value.data(), value.size(), 0), name, entry));
      }
    }
    return finish_.Add(path, fd, later);
  }

  bool SetsOwner() const {
    return !options_.live || options_.live->owner != LiveTarget::Owner::kCaller;
  }

  Status SetOwnerAndMode(int fd, const TarEntry& entry) const {
    // The mode afterwards: a change of owner clears setuid and setgid.
    if (SetsOwner() &&
        fchown(fd, static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid)) != 0) {
      return core::SysError("fchown", core::StrCat(entry.uid, ":", entry.gid));
    }
    if (fchmod(fd, entry.mode) != 0) return core::SysError("fchmod", "entry");
    return {};
  }

  // `result` is what the system call gave. What this file system or this type of file cannot
  // have is left out.
  Status SetXattr(int result, const std::string& name, const TarEntry& entry) {
    if (result == 0) return {};
    if (errno != EOPNOTSUPP && errno != EPERM) {
      return core::SysError("setxattr", core::EscapeControl(name));
    }
    Note(entry.path, core::StrCat("attribute ", core::EscapeControl(name), " left out"));
    return {};
  }

  Status MakeFile(int parent, const std::string& name, const TarEntry& entry) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    core::Fd file(openat(parent, name.c_str(), kFlags, 0600));
    if (!file.valid() && errno == EEXIST) {
      const Status cleared = ClearTheWay(parent, name);
      if (options_.live && cleared.sys_errno() == EBUSY) {
        return WriteMounted(parent, name, entry);
      }
      MBX_RETURN_IF_ERROR(cleared);
      file.reset(openat(parent, name.c_str(), kFlags, 0600));
    }
    if (!file.valid()) return core::SysError("openat", core::EscapeControl(name));
    MBX_RETURN_IF_ERROR(WriteContent(file.get(), entry));
    MBX_RETURN_IF_ERROR(SetOwnerAndMode(file.get(), entry));
    for (const auto& [key, value] : entry.xattrs) {
      MBX_RETURN_IF_ERROR(
          SetXattr(fsetxattr(file.get(), key.c_str(), value.data(), value.size(), 0), key, entry));
    }
    const struct timespec times[2] = {{0, UTIME_OMIT}, {entry.mtime, entry.mtime_nsec}};
    if (futimens(file.get(), times) != 0) return core::SysError("futimens", "file");
    return {};
  }

  // A file that something is mounted on keeps owner and mode, which are the mount's.
  Status WriteMounted(int parent, const std::string& name, const TarEntry& entry) {
    const core::Fd there(openat(parent, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!there.valid()) return core::SysError("openat", core::EscapeControl(name));
    struct ::stat st {};
    if (fstat(there.get(), &st) != 0) return core::SysError("fstat", core::EscapeControl(name));
    if (!S_ISREG(st.st_mode) || IsPseudoFileSystem(there.get())) {
      return Refused("something that is no file is in its place");
    }
    MBX_ASSIGN_OR_RETURN(const core::Fd file, core::Reopen(there.get(), O_WRONLY | O_TRUNC));
    return WriteContent(file.get(), entry);
  }

  Status WriteContent(int fd, const TarEntry& entry) {
    size_t extent = 0;
    uint64_t within = 0;  // bytes of that extent that are written
    while (true) {
      MBX_ASSIGN_OR_RETURN(std::string_view bytes, reader_.ReadData());
      if (bytes.empty()) break;
      bytes_ += bytes.size();
      if (bytes_ > options_.max_bytes) return Refused("the layer is too large");
      if (!entry.sparse) {
        MBX_RETURN_IF_ERROR(core::WriteAll(fd, bytes));
        continue;
      }
      while (!bytes.empty()) {
        while (within == entry.extents[extent].size) {
          ++extent;
          within = 0;
        }
        const TarExtent& target = entry.extents[extent];
        const auto position = static_cast<off_t>(target.offset + within);
        const size_t size = std::min<uint64_t>(bytes.size(), target.size - within);
        if (lseek(fd, position, SEEK_SET) != position) return core::SysError("lseek", "file");
        MBX_RETURN_IF_ERROR(core::WriteAll(fd, bytes.substr(0, size)));
        bytes.remove_prefix(size);
        within += size;
      }
    }
    if (entry.sparse && ftruncate(fd, static_cast<off_t>(entry.size)) != 0) {
      return core::SysError("ftruncate", "file");
    }
    return {};
  }

  Status MakeHardLink(int parent, const EntryPath& path, const TarEntry& entry) {
    auto parsed = ParseEntryPath(entry.link, options_.whiteouts);
    if (!parsed.ok()) return parsed.status().WithContext("target of the hard link");
    if (options_.live) (void)Place(*parsed);  // one without a name is refused below
    const EntryPath& target = *parsed;
    const auto refused = [&](std::string_view why) {
      return Refused(core::StrCat("target '", ShownPath(entry.link), "' of the hard link ", why));
    };
    if (target.name.empty() || target.marker != Marker::kNone) return refused("is no file");
    core::Fd opened;
    if (target.parent != path.parent) {
      auto dir = root_.OpenAt(target.parent, O_RDONLY | O_DIRECTORY);
      if (!dir.ok()) return refused("does not exist in the layer");
      opened = *std::move(dir);
    }
    const int dir = opened.valid() ? opened.get() : parent;
    struct ::stat st {};
    MBX_ASSIGN_OR_RETURN(const bool exists, Exists(dir, target.name, st));
    if (!exists) return refused("does not exist in the layer");
    if (S_ISDIR(st.st_mode)) return refused("is a directory");
    MBX_ASSIGN_OR_RETURN(const bool whiteout, IsWhiteout(dir, target.name, st));
    if (whiteout) return refused("does not exist in the layer");
    const auto link = [&] {
      return linkat(dir, target.name.c_str(), parent, path.name.c_str(), 0) == 0;
    };
    if (link()) return {};
    if (errno == EEXIST) {
      struct ::stat there {};
      MBX_RETURN_IF_ERROR(Exists(parent, path.name, there).status());
      if (there.st_ino == st.st_ino) return {};
      MBX_RETURN_IF_ERROR(ClearTheWay(parent, path.name));
      if (link()) return {};
    }
    if (errno == ENOENT) return refused("does not exist in the layer");
    return core::SysError("linkat", core::EscapeControl(path.name));
  }

  Status MakeSymlink(int parent, const std::string& name, const TarEntry& entry) {
    if (entry.link.empty()) return Refused("a symbolic link to nothing");
    if (entry.link.size() > kMaxLinkTarget) {
      return Refused("the target of the symbolic link exceeds 4095 bytes");
    }
    const auto link = [&] { return symlinkat(entry.link.c_str(), parent, name.c_str()) == 0; };
    if (!link()) {
      if (errno != EEXIST) return core::SysError("symlinkat", core::EscapeControl(name));
      MBX_RETURN_IF_ERROR(ClearTheWay(parent, name));
      if (!link()) return core::SysError("symlinkat", core::EscapeControl(name));
    }
    return FinishByName(parent, name, entry);
  }

  Status MakeNode(int parent, const std::string& name, const TarEntry& entry, mode_t type) {
    const auto make = [&] {
      return mknodat(parent, name.c_str(), type | 0600, makedev(entry.major, entry.minor)) == 0;
    };
    bool made = make();
    if (!made && errno == EEXIST) {
      MBX_RETURN_IF_ERROR(ClearTheWay(parent, name));
      made = make();
    }
    if (!made) {
      if (errno != EPERM) return core::SysError("mknodat", core::EscapeControl(name));
      Note(entry.path, "left out: no right to make devices");
      return {};
    }
    return FinishByName(parent, name, entry);
  }

  // What must not be opened: links, devices, FIFOs. By a handle on what was made, whatever has its
  // name by now.
  Status FinishByName(int parent, const std::string& name, const TarEntry& entry) {
    const core::Fd made(openat(parent, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!made.valid()) return core::SysError("openat", core::EscapeControl(name));
    struct ::stat st {};
    if (fstat(made.get(), &st) != 0) return core::SysError("fstat", core::EscapeControl(name));
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
      return core::Error(StatusCode::kAborted, "", "was replaced while it was made");
    }
    if (SetsOwner() && fchownat(made.get(), "", static_cast<uid_t>(entry.uid),
                                static_cast<gid_t>(entry.gid), AT_EMPTY_PATH) != 0) {
      return core::SysError("fchownat", core::StrCat(entry.uid, ":", entry.gid));
    }
    const std::string path = core::StrCat("/proc/self/fd/", made.get());
    if (!S_ISLNK(st.st_mode) && chmod(path.c_str(), entry.mode) != 0) {
      return core::SysError("chmod", core::EscapeControl(name));
    }
    for (const auto& [key, value] : entry.xattrs) {
      MBX_RETURN_IF_ERROR(
          SetXattr(setxattr(path.c_str(), key.c_str(), value.data(), value.size(), 0), key, entry));
    }
    const struct timespec times[2] = {{0, UTIME_OMIT}, {entry.mtime, entry.mtime_nsec}};
    if (utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) {
      return core::SysError("utimensat", core::EscapeControl(name));
    }
    return {};
  }

  const core::RootDir& root_;
  DirChain chain_;
  DirFinish finish_;
  const ApplyOptions& options_;
  ReadAhead tar_;
  TarReader reader_;
  const DirChain::MakeFn make_parent_;
  uint64_t entries_ = 0, bytes_ = 0;
  std::vector<std::string> notes_;
  uint64_t notes_left_out_ = 0;
};

}  // namespace

StatusOr<Applied> ApplyLayer(const ReadFn& tar, const core::RootDir& root,
                             const ApplyOptions& options, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(DirChain chain, DirChain::Create(root));
  core::RootDir target;
  if (options.live) {
    MBX_ASSIGN_OR_RETURN(target, root.OpenDir(options.live->into));
  }
  ReadFn stoppable = [&](char* buffer, size_t size) -> StatusOr<size_t> {
    if (stop.stop_requested()) return core::Cancelled("unpacking");
    return tar(buffer, size);
  };
  return Applier(root, options.live ? target : root, std::move(chain), options,
                 std::move(stoppable))
      .Run();
}

}  // namespace minibox::archive
