// SPDX-License-Identifier: Apache-2.0
#include "archive/layer_diff.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "archive/dir_chain.h"
#include "archive/entry_path.h"
#include "archive/layer_xattrs.h"
#include "archive/overlay_marks.h"
#include "archive/pseudo_fs.h"
#include "archive/tar_format.h"
#include "archive/tar_writer.h"
#include "core/errors.h"
#include "core/fd.h"
#include "core/reopen.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

constexpr size_t kBufferBytes = 256u << 10;
constexpr size_t kMaxXattrNames = 64u << 10;
constexpr size_t kMaxNameInMessage = 256;
constexpr mode_t kRootMode = 0755;

std::string ShownPath(std::string_view path) {
  return core::EscapeControl(path.substr(0, kMaxNameInMessage));
}

// Counts, hashes and passes on what is written.
class TarSink {
 public:
  explicit TarSink(const WriteFn& sink) : sink_(sink) { buffer_.reserve(kBufferBytes); }

  Status Write(std::string_view bytes) {
    if (buffer_.size() + bytes.size() > kBufferBytes) MBX_RETURN_IF_ERROR(Flush());
    if (bytes.size() >= kBufferBytes) return Pass(bytes);
    buffer_ += bytes;
    return {};
  }
  Status Zeros(size_t count) { return Write(std::string_view(kTarZeros, count)); }
  Status Flush() {
    const Status status = Pass(buffer_);
    buffer_.clear();
    return status;
  }
  uint64_t bytes() const { return bytes_; }
  StatusOr<Digest> Finish() {
    MBX_RETURN_IF_ERROR(Flush());
    return Digest::Parse(core::StrCat("sha256:", hash_.FinishHex()));
  }

 private:
  Status Pass(std::string_view bytes) {
    hash_.Update(bytes);
    bytes_ += bytes.size();
    return bytes.empty() ? Status() : sink_(bytes);
  }

  const WriteFn& sink_;
  core::Sha256 hash_;
  std::string buffer_;
  uint64_t bytes_ = 0;
};

// What of one directory is still to be written. Children sort as "<name>/" against their
// parent's siblings: "a", "a-b", "a/b" is the order of whole paths.
struct Level {
  enum class Kind { kEntry, kBelow, kWhiteout };
  struct Item {
    Kind kind;
    std::string key;  // "name", "name/" for what is below it, ".wh.name"
    struct ::stat st {};
  };
  std::string path;
  std::vector<Item> items;  // last first
};

class LayerWriter {
 public:
  LayerWriter(DirChain chain, const WriteFn& tar, const DiffOptions& options,
              const LiveSource* live, std::stop_token stop)
      : chain_(std::move(chain)),
        sink_(tar),
        options_(options),
        live_(live),
        stop_(std::move(stop)) {}

  StatusOr<Diff> Run() {
    MBX_RETURN_IF_ERROR(WriteRoot());
    MBX_RETURN_IF_ERROR(Enter(""));
    MBX_RETURN_IF_ERROR(WriteLevels());
    return Finish();
  }

  // An entry that is no directory, and nothing else.
  Status WriteSingle(int node, const struct ::stat& st) {
    if (S_ISSOCK(st.st_mode)) return core::FailedPrecondition("", "a socket cannot be copied");
    MBX_RETURN_IF_ERROR(WriteNode({.handle = node, .st = st}, Describe(live_->top, st)));
    return Finish().status();
  }

 private:
  Status WriteLevels() {
    while (!levels_.empty()) {
      if (stop_.stop_requested()) return core::Cancelled("making a layer");
      Level& level = levels_.back();
      if (level.items.empty()) {
        levels_.pop_back();
        continue;
      }
      Level::Item item = std::move(level.items.back());
      level.items.pop_back();
      if (item.kind == Level::Kind::kBelow) item.key.pop_back();
      const std::string path = level.path.empty() ? item.key : level.path + "/" + item.key;
      const Status status = Write(item, path);
      if (live_ != nullptr && HasVanished(status)) continue;
      if (!status.ok()) return status.WithContext(core::StrCat("'", ShownPath(path), "'"));
    }
    return {};
  }

  StatusOr<Diff> Finish() {
    MBX_RETURN_IF_ERROR(sink_.Zeros(kTarBlock));
    MBX_RETURN_IF_ERROR(sink_.Zeros(kTarBlock));
    MBX_ASSIGN_OR_RETURN(Digest diff_id, sink_.Finish());
    return Diff{std::move(diff_id), sink_.bytes(), entries_};
  }

  // Whoever uses the tree has removed it, or put something else in its place. Only what opens an
  // entry says so: once its header is written, nothing does.
  static bool HasVanished(const Status& status) {
    const int error = status.sys_errno();
    return error == ENOENT || error == ENOTDIR || error == ELOOP;
  }

  static std::string_view ParentOf(std::string_view path) {
    const size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  }

  // The root's own attributes, where they are not what every root has.
  Status WriteRoot() {
    MBX_ASSIGN_OR_RETURN(const int root, chain_.Open(""));
    struct ::stat st {};
    if (fstat(root, &st) != 0) return core::SysError("fstat", ".");
    TarEntry entry = Describe("./", st);
    entry.type = TarType::kDirectory;
    MBX_RETURN_IF_ERROR(ReadXattrs(root, entry));
    if (live_ != nullptr) {
      if (live_->top.empty()) return {};
      entry.path = live_->top;
      return WriteHeader(entry);
    }
    if (entry.mode == kRootMode && entry.uid == 0 && entry.gid == 0 && entry.xattrs.empty()) {
      return {};
    }
    return sink_.Write(EncodeTarHeader(entry));
  }

  Status Write(const Level::Item& item, const std::string& path) {
    switch (item.kind) {
      case Level::Kind::kBelow:
        return Enter(path);
      case Level::Kind::kWhiteout:
        return WriteMarker(path);
      case Level::Kind::kEntry:
        break;
    }
    return WriteEntry(path, item.key, item.st);
  }

  // Writes the directory's opaque marker and lines up its entries.
  Status Enter(const std::string& path) {
    MBX_ASSIGN_OR_RETURN(const int dir, chain_.Open(path));
    if (live_ == nullptr) {
      MBX_ASSIGN_OR_RETURN(const bool opaque, IsOpaque(dir));
      if (opaque) {
        const std::string_view slash = path.empty() ? "" : "/";
        MBX_RETURN_IF_ERROR(WriteMarker(core::StrCat(path, slash, kOpaqueMarker)));
      }
      MBX_RETURN_IF_ERROR(CheckComplete(dir));
    } else if (IsPseudoFileSystem(dir)) {
      return {};
    }
    Level level{path, {}};
    MBX_RETURN_IF_ERROR(List(dir, level.items));
    if (options_.skip) {
      std::erase_if(level.items, [&](const Level::Item& item) {
        std::string_view name = item.key;
        if (item.kind == Level::Kind::kBelow) name.remove_suffix(1);
        return options_.skip(path.empty() ? std::string(name) : core::StrCat(path, "/", name));
      });
    }
    std::sort(level.items.begin(), level.items.end(),
              [](const Level::Item& a, const Level::Item& b) { return a.key > b.key; });
    levels_.push_back(std::move(level));
    return {};
  }

  Status List(int dir, std::vector<Level::Item>& items) const {
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return core::SysError("openat", ".");
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd), closedir);
    if (stream == nullptr) {
      close(fd);
      return core::SysError("fdopendir", ".");
    }
    errno = 0;
    while (const dirent* found = readdir(stream.get())) {
      const std::string name = found->d_name;
      if (name != "." && name != "..") {
        Level::Item item{Level::Kind::kEntry, name};
        if (fstatat(dir, name.c_str(), &item.st, AT_SYMLINK_NOFOLLOW) != 0) {
          if (live_ == nullptr || errno != ENOENT) {
            return core::SysError("fstatat", core::EscapeControl(name));
          }
          errno = 0;
          continue;
        }
        bool whiteout = false;
        if (live_ == nullptr) {
          MBX_ASSIGN_OR_RETURN(whiteout, IsWhiteout(dir, name, item.st));
        }
        if (whiteout) {
          item.kind = Level::Kind::kWhiteout;
          item.key.insert(0, kMarkerPrefix);
        } else if (S_ISDIR(item.st.st_mode)) {
          items.push_back({Level::Kind::kBelow, name + "/", item.st});
        }
        items.push_back(std::move(item));
      }
      errno = 0;
    }
    return errno == 0 ? Status() : core::SysError("readdir", ".");
  }

  // Only trees that need nothing of the layers below can be archived.
  static Status CheckComplete(int fd) {
    for (const char* name : {"trusted.overlay.redirect", "trusted.overlay.metacopy"}) {
      if (fgetxattr(fd, name, nullptr, 0) >= 0) {
        return core::FailedPrecondition("", core::StrCat("has the attribute ", name));
      }
    }
    return {};
  }

  // `path` is that in the tree.
  TarEntry Describe(std::string_view path, const struct ::stat& st) const {
    TarEntry entry;
    entry.path = path;
    entry.mode = st.st_mode & 07777;
    entry.uid = live_ == nullptr ? st.st_uid : live_->ids.FromHost(st.st_uid);
    entry.gid = live_ == nullptr ? st.st_gid : live_->ids.FromHost(st.st_gid);
    entry.mtime = st.st_mtim.tv_sec;
    entry.mtime_nsec = static_cast<uint32_t>(st.st_mtim.tv_nsec);
    const auto& latest = options_.max_mtime;
    if (latest.has_value() &&
        (entry.mtime > *latest || (entry.mtime == *latest && entry.mtime_nsec > 0))) {
      entry.mtime = *latest;
      entry.mtime_nsec = 0;
    }
    return entry;
  }

  // The path in the archive.
  std::string Named(const std::string& path) const {
    return live_ == nullptr || live_->top.empty() ? path : core::StrCat(live_->top, "/", path);
  }

  Status WriteMarker(std::string path) {
    TarEntry entry;
    entry.path = std::move(path);
    return WriteHeader(entry);
  }

  // An entry by the directory that it is in or, in a live tree, by a handle on what was there when
  // it was looked at.
  struct Node {
    int dir = -1;
    const char* name = "";
    int handle = -1;
    struct ::stat st {};
  };

  Status WriteEntry(const std::string& path, const std::string& name, const struct ::stat& st) {
    if (S_ISSOCK(st.st_mode)) return {};
    const std::string named = Named(path);
    if (named.size() > kMaxEntryPath) {
      return core::FailedPrecondition("", "the path exceeds 4096 bytes");
    }
    MBX_ASSIGN_OR_RETURN(const int dir, chain_.Open(ParentOf(path)));
    Node node{.dir = dir, .name = name.c_str(), .st = st};
    core::Fd handle;
    if (live_ != nullptr) {
      handle.reset(openat(dir, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      if (!handle.valid()) return core::SysError("openat", core::EscapeControl(name));
      if (fstat(handle.get(), &node.st) != 0) return core::SysError("fstat", name);
      // Neither what goes below is there any more, nor was it announced.
      if (S_ISDIR(node.st.st_mode) != S_ISDIR(st.st_mode) || S_ISSOCK(node.st.st_mode)) return {};
      node.handle = handle.get();
    } else if (name.starts_with(kMarkerPrefix)) {
      return core::FailedPrecondition("", "a layer cannot hold a name that begins with '.wh.'");
    }
    TarEntry entry = Describe(named, node.st);
    if (!S_ISDIR(node.st.st_mode) && node.st.st_nlink > 1) {
      const auto [first, is_first] =
          first_names_.try_emplace({node.st.st_dev, node.st.st_ino}, named);
      if (!is_first) {
        entry.type = TarType::kHardLink;
        entry.link = first->second;
        return WriteHeader(entry);
      }
    }
    return WriteNode(node, std::move(entry));
  }

  static StatusOr<core::Fd> Open(const Node& node, int flags) {
    if (node.handle >= 0) return core::Reopen(node.handle, flags);
    core::Fd fd(openat(node.dir, node.name, flags | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) return core::SysError("openat", core::EscapeControl(node.name));
    return fd;
  }

  Status WriteNode(const Node& node, TarEntry entry) {
    switch (node.st.st_mode & S_IFMT) {
      case S_IFREG:
        return WriteFile(node, std::move(entry));
      case S_IFDIR: {
        entry.type = TarType::kDirectory;
        MBX_ASSIGN_OR_RETURN(const core::Fd fd, Open(node, O_RDONLY | O_DIRECTORY));
        MBX_RETURN_IF_ERROR(ReadXattrs(fd.get(), entry));
        return WriteHeader(entry);
      }
      case S_IFLNK: {
        entry.type = TarType::kSymlink;
        char target[PATH_MAX];
        const ssize_t size = node.handle >= 0
                                 ? readlinkat(node.handle, "", target, sizeof target)
                                 : readlinkat(node.dir, node.name, target, sizeof target);
        if (size < 0) return core::SysError("readlinkat", core::EscapeControl(node.name));
        entry.link.assign(target, static_cast<size_t>(size));
        return WriteHeader(entry);
      }
      case S_IFIFO:
        entry.type = TarType::kFifo;
        return WriteHeader(entry);
      default:
        entry.type = S_ISCHR(node.st.st_mode) ? TarType::kCharDevice : TarType::kBlockDevice;
        entry.major = major(node.st.st_rdev);
        entry.minor = minor(node.st.st_rdev);
        return WriteHeader(entry);
    }
  }

  Status WriteHeader(const TarEntry& entry) {
    ++entries_;
    return sink_.Write(EncodeTarHeader(entry));
  }

  Status WriteFile(const Node& node, TarEntry entry) {
    MBX_ASSIGN_OR_RETURN(const core::Fd file, Open(node, O_RDONLY));
    if (live_ == nullptr) MBX_RETURN_IF_ERROR(CheckComplete(file.get()));
    MBX_RETURN_IF_ERROR(ReadXattrs(file.get(), entry));
    struct ::stat st {};
    if (fstat(file.get(), &st) != 0) return core::SysError("fstat", "file");
    entry.size = static_cast<uint64_t>(st.st_size);
    MBX_RETURN_IF_ERROR(WriteHeader(entry));
    const ReadFn read = ReadFromFd(file.get());
    for (uint64_t left = entry.size; left > 0;) {
      if (stop_.stop_requested()) return core::Cancelled("making a layer");
      MBX_ASSIGN_OR_RETURN(const size_t count,
                           read(content_.data(), std::min<uint64_t>(left, content_.size())));
      if (count == 0 && live_ != nullptr) {
        MBX_RETURN_IF_ERROR(WriteZeros(left));
        break;
      }
      if (count == 0) {
        return core::Error(StatusCode::kAborted, "", "shrank while it was read");
      }
      MBX_RETURN_IF_ERROR(sink_.Write(std::string_view(content_.data(), count)));
      left -= count;
    }
    return sink_.Zeros(TarPadding(entry.size));
  }

  Status WriteZeros(uint64_t count) {
    while (count > 0) {
      const auto part = static_cast<size_t>(std::min<uint64_t>(count, kTarBlock));
      MBX_RETURN_IF_ERROR(sink_.Zeros(part));
      count -= part;
    }
    return {};
  }

  Status ReadXattrs(int fd, TarEntry& entry) const {
    if (flistxattr(fd, nullptr, 0) <= 0) return {};  // none, or not supported here
    std::string names(kMaxXattrNames, '\0');
    const ssize_t size = flistxattr(fd, names.data(), names.size());
    if (size < 0) return core::SysError("flistxattr", "entry");
    names.resize(static_cast<size_t>(size));
    for (const std::string_view name : core::StrSplit(names, '\0')) {
      if (name.empty() || !IsPacked(name)) continue;
      const std::string key(name);
      std::string value(kMaxXattrValue, '\0');
      const ssize_t length = fgetxattr(fd, key.c_str(), value.data(), value.size());
      if (length < 0 && live_ != nullptr && errno == ENODATA) continue;
      if (length < 0) return core::SysError("fgetxattr", core::EscapeControl(name));
      value.resize(static_cast<size_t>(length));
      if (live_ != nullptr && name == "security.capability") {
        value = CapabilityFromHost(value, live_->ids);
      }
      entry.xattrs.emplace(key, std::move(value));
    }
    return {};
  }

  DirChain chain_;
  TarSink sink_;
  const DiffOptions& options_;
  const LiveSource* const live_;
  std::stop_token stop_;
  std::vector<Level> levels_;
  std::map<std::pair<dev_t, ino_t>, std::string> first_names_;
  std::vector<char> content_ = std::vector<char>(kBufferBytes);
  uint64_t entries_ = 0;
};

}  // namespace

StatusOr<Diff> WriteLayer(const core::RootDir& tree, const WriteFn& tar, const DiffOptions& options,
                          std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(DirChain chain, DirChain::Create(tree));
  return LayerWriter(std::move(chain), tar, options, nullptr, std::move(stop)).Run();
}

Status WriteLiveTree(int node, const LiveSource& source, const WriteFn& tar, std::stop_token stop) {
  struct ::stat st {};
  if (fstat(node, &st) != 0) return core::SysError("fstat", ShownPath(source.top));
  const DiffOptions options;
  // What is no directory has no tree: any will do that nothing is asked of.
  core::Fd dir(S_ISDIR(st.st_mode) ? openat(node, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                   : open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return core::SysError("openat", ShownPath(source.top));
  const core::RootDir tree(std::move(dir));
  MBX_ASSIGN_OR_RETURN(DirChain chain, DirChain::Create(tree));
  LayerWriter writer(std::move(chain), tar, options, &source, std::move(stop));
  return S_ISDIR(st.st_mode) ? writer.Run().status() : writer.WriteSingle(node, st);
}

}  // namespace minibox::archive
