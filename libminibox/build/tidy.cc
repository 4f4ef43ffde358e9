// SPDX-License-Identifier: Apache-2.0
#include "build/tidy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "archive/dir_chain.h"
#include "archive/layer_xattrs.h"
#include "archive/overlay_marks.h"
#include "build/directory.h"
#include "build/paths.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

// What a layer can hold; it also bounds the recursion.
constexpr size_t kMaxPath = 4096;
constexpr const char* kOpaqueAttributes[] = {"trusted.overlay.opaque", "user.overlay.opaque"};

bool IsOpaqueAttribute(std::string_view name) {
  return name == kOpaqueAttributes[0] || name == kOpaqueAttributes[1];
}

class Tidier {
 public:
  Tidier(archive::DirChain chain, const core::RootDir& below, const TidyOptions& options,
         std::stop_token stop)
      : chain_(std::move(chain)), below_(below), options_(options), stop_(std::move(stop)) {}

  StatusOr<Tidied> Run() {
    MBX_ASSIGN_OR_RETURN(const size_t kept, TidyContents("", true));
    MBX_ASSIGN_OR_RETURN(const int root, chain_.Open(""));
    struct ::stat st {};
    if (fstat(root, &st) != 0) return core::SysError("fstat", ".");
    MBX_RETURN_IF_ERROR(TidyAttributes(root, "", st, false));
    MBX_ASSIGN_OR_RETURN(const struct ::stat root_below, below_.Stat(""));
    out_.empty = kept == 0 && SameAttributes(st, root_below);
    return out_;
  }

 private:
  static bool SameAttributes(const struct ::stat& a, const struct ::stat& b) {
    return a.st_mode == b.st_mode && a.st_uid == b.st_uid && a.st_gid == b.st_gid;
  }

  // The number of entries that stay. `sees_below`: no directory above hides what is below.
  StatusOr<size_t> TidyContents(const std::string& path, bool sees_below) {
    if (path.size() > kMaxPath) {
      return core::FailedPrecondition(
          "path_too_long",
          core::StrCat("'", core::EscapeControl(path.substr(0, 64)), "…' exceeds 4096 bytes"));
    }
    MBX_ASSIGN_OR_RETURN(const int directory, chain_.Open(path));
    MBX_ASSIGN_OR_RETURN(const auto entries, ReadDirectory(directory));
    size_t kept = 0;
    for (const auto& entry : entries) {
      if (stop_.stop_requested()) return core::Cancelled("the step");
      const auto stays = S_ISDIR(entry.st.st_mode) ? TidyDirectory(path, entry, sees_below)
                                                   : TidyFile(path, entry, sees_below);
      if (!stays.ok()) return stays.status();
      if (*stays) ++kept;
    }
    return kept;
  }

  bool IsBelow(const std::string& path, bool sees_below) const {
    return sees_below && below_.Exists(path);
  }

  StatusOr<bool> TidyFile(const std::string& parent, const DirectoryEntry& entry, bool sees_below) {
    const std::string path = JoinPath(parent, entry.name);
    MBX_ASSIGN_OR_RETURN(const int directory, chain_.Open(parent));
    const bool hides_nothing = IsWhiteout(entry.st) && !IsBelow(path, sees_below);
    const bool made = S_ISREG(entry.st.st_mode) && entry.st.st_size == 0 &&
                      options_.made.contains(path) && !IsBelow(path, sees_below);
    if (hides_nothing || made || S_ISSOCK(entry.st.st_mode)) {
      if (unlinkat(directory, entry.name.c_str(), 0) != 0) {
        return core::SysError("unlinkat", core::EscapeControl(path));
      }
      return false;
    }
    if (IsWhiteout(entry.st)) return true;
    if (S_ISREG(entry.st.st_mode)) out_.bytes += static_cast<uint64_t>(entry.st.st_size);
    MBX_RETURN_IF_ERROR(TidyAttributes(directory, entry.name, entry.st, false));
    return true;
  }

  StatusOr<bool> TidyDirectory(const std::string& parent, const DirectoryEntry& entry,
                               bool sees_below) {
    const std::string path = JoinPath(parent, entry.name);
    MBX_ASSIGN_OR_RETURN(int directory, chain_.Open(path));
    MBX_ASSIGN_OR_RETURN(bool opaque, archive::IsOpaque(directory));
    const auto below = below_.LStat(path);
    const bool has_below = sees_below && below.ok() && S_ISDIR(below->st_mode);
    opaque = opaque && has_below;
    MBX_ASSIGN_OR_RETURN(const size_t kept, TidyContents(path, has_below && !opaque));
    if (kept == 0 && !opaque) {
      bool goes = false;
      if (has_below) {
        MBX_ASSIGN_OR_RETURN(goes, EqualsBelow(path, entry.st, *below));
      } else {
        const auto made = options_.made.find(path);
        goes = made != options_.made.end() && !(sees_below && below.ok()) &&
               (entry.st.st_mode & 07777) == made->second && entry.st.st_uid == 0 &&
               entry.st.st_gid == 0;
      }
      if (goes) {
        MBX_ASSIGN_OR_RETURN(directory, chain_.Open(parent));
        if (unlinkat(directory, entry.name.c_str(), AT_REMOVEDIR) != 0) {
          return core::SysError("unlinkat", core::EscapeControl(path));
        }
        chain_.Forget();
        return false;
      }
    }
    MBX_ASSIGN_OR_RETURN(directory, chain_.Open(parent));
    MBX_RETURN_IF_ERROR(TidyAttributes(directory, entry.name, entry.st, opaque));
    return true;
  }

  StatusOr<bool> EqualsBelow(const std::string& path, const struct ::stat& st,
                             const struct ::stat& below) {
    if (!SameAttributes(st, below)) return false;
    MBX_ASSIGN_OR_RETURN(const int here, chain_.Open(path));
    MBX_ASSIGN_OR_RETURN(const auto attributes, ReadPackedXattrs(here, ""));
    MBX_ASSIGN_OR_RETURN(const core::Fd there, below_.OpenNoFollow(path, O_RDONLY | O_DIRECTORY));
    MBX_ASSIGN_OR_RETURN(const auto attributes_below, ReadPackedXattrs(there.get(), ""));
    return attributes == attributes_below;
  }

  // `name` "" is the directory itself.
  Status TidyAttributes(int directory, const std::string& name, const struct ::stat& st,
                        bool opaque) {
    MBX_ASSIGN_OR_RETURN(const auto attributes, ReadXattrs(directory, name));
    for (const auto& [attribute, value] : attributes) {
      if (archive::IsPacked(attribute) || (opaque && IsOpaqueAttribute(attribute))) continue;
      // Some belong to the machine (security.selinux) and stay; they go into no layer either.
      if (lremovexattr(ProcPath(directory, name).c_str(), attribute.c_str()) != 0 &&
          errno != EPERM && errno != EACCES && errno != ENODATA && errno != ENOTSUP) {
        return core::SysError("lremovexattr", core::EscapeControl(name));
      }
    }
    // The time once more: removing entries has changed that of directories.
    struct ::stat now = st;
    const char* entry = name.empty() ? "." : name.c_str();
    if (S_ISDIR(st.st_mode) && fstatat(directory, entry, &now, AT_SYMLINK_NOFOLLOW) != 0) {
      return core::SysError("fstatat", core::EscapeControl(name));
    }
    const bool later = now.st_mtim.tv_sec > options_.epoch ||
                       (now.st_mtim.tv_sec == options_.epoch && now.st_mtim.tv_nsec > 0);
    if (!later) return {};
    struct timespec times[2] = {};
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = options_.epoch;
    if (utimensat(directory, entry, times, AT_SYMLINK_NOFOLLOW) != 0) {
      return core::SysError("utimensat", core::EscapeControl(name));
    }
    return {};
  }

  archive::DirChain chain_;
  const core::RootDir& below_;
  const TidyOptions& options_;
  std::stop_token stop_;
  Tidied out_;
};

}  // namespace

StatusOr<Tidied> Tidy(const core::RootDir& tree, const core::RootDir& below,
                      const TidyOptions& options, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(archive::DirChain chain, archive::DirChain::Create(tree));
  return Tidier(std::move(chain), below, options, std::move(stop)).Run();
}

}  // namespace minibox::build
