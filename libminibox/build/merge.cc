// SPDX-License-Identifier: Apache-2.0
#include "build/merge.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>
#include <utility>

#include "archive/dir_chain.h"
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

class TreeMerger {
 public:
  TreeMerger(std::vector<archive::DirChain> trees, archive::DirChain target, std::stop_token stop)
      : trees_(std::move(trees)), target_(std::move(target)), stop_(std::move(stop)) {}

  Status Run() {
    std::vector<size_t> all;
    for (size_t i = trees_.size(); i > 0; --i) all.push_back(i - 1);
    if (all.empty()) return {};
    MBX_RETURN_IF_ERROR(MergeContents("", all));
    return CopyAttributes("", all.front(), false);
  }

 private:
  // Of the trees `from`, topmost first, which all have the directory `path`.
  Status MergeContents(const std::string& path, const std::vector<size_t>& from) {
    if (stop_.stop_requested()) return core::Cancelled("making a layer");
    if (path.size() > kMaxPath) {
      return core::FailedPrecondition("path_too_long", "a path exceeds 4096 bytes");
    }
    struct Found {
      size_t tree;
      struct ::stat st;
    };
    std::map<std::string, std::vector<Found>> names;
    for (const size_t tree : from) {
      MBX_ASSIGN_OR_RETURN(const int directory, trees_[tree].Open(path));
      MBX_ASSIGN_OR_RETURN(const auto entries, ReadDirectory(directory));
      for (const auto& entry : entries) names[entry.name].push_back({tree, entry.st});
    }
    for (const auto& [name, found] : names) {
      const std::string entry_path = JoinPath(path, name);
      const Found& top = found.front();
      if (!S_ISDIR(top.st.st_mode)) {
        MBX_RETURN_IF_ERROR(AddFile(path, name, top.tree, top.st));
        continue;
      }
      std::vector<size_t> directories;
      bool opaque = false;
      for (const auto& [tree, st] : found) {
        opaque = !S_ISDIR(st.st_mode);
        if (opaque) break;
        directories.push_back(tree);
        MBX_ASSIGN_OR_RETURN(const int directory, trees_[tree].Open(entry_path));
        MBX_ASSIGN_OR_RETURN(opaque, archive::IsOpaque(directory));
        if (opaque) break;
      }
      MBX_ASSIGN_OR_RETURN(const int parent, target_.Open(path));
      if (mkdirat(parent, name.c_str(), 0700) != 0) {
        return core::SysError("mkdirat", core::EscapeControl(entry_path));
      }
      MBX_RETURN_IF_ERROR(MergeContents(entry_path, directories));
      MBX_RETURN_IF_ERROR(CopyAttributes(entry_path, top.tree, opaque));
    }
    return {};
  }

  Status AddFile(const std::string& path, const std::string& name, size_t tree,
                 const struct ::stat& st) {
    MBX_ASSIGN_OR_RETURN(const int to, target_.Open(path));
    if (IsWhiteout(st)) return archive::MakeWhiteout(to, name);
    MBX_ASSIGN_OR_RETURN(const int from, trees_[tree].Open(path));
    if (linkat(from, name.c_str(), to, name.c_str(), 0) == 0) return {};
    return core::SysError("linkat", core::EscapeControl(JoinPath(path, name)));
  }

  Status CopyAttributes(const std::string& path, size_t tree, bool opaque) {
    MBX_ASSIGN_OR_RETURN(const int from, trees_[tree].Open(path));
    MBX_ASSIGN_OR_RETURN(const int to, target_.Open(path));
    struct ::stat st {};
    if (fstat(from, &st) != 0) return core::SysError("fstat", core::EscapeControl(path));
    if (fchown(to, st.st_uid, st.st_gid) != 0) return core::SysError("fchown", path);
    if (fchmod(to, st.st_mode & 07777) != 0) return core::SysError("fchmod", path);
    MBX_ASSIGN_OR_RETURN(const auto attributes, ReadPackedXattrs(from, ""));
    for (const auto& [name, value] : attributes) {
      MBX_RETURN_IF_ERROR(SetXattr(to, "", name, value));
    }
    if (opaque) MBX_RETURN_IF_ERROR(archive::SetOpaque(to));
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (futimens(to, times) != 0) return core::SysError("futimens", core::EscapeControl(path));
    return {};
  }

  std::vector<archive::DirChain> trees_;
  archive::DirChain target_;
  std::stop_token stop_;
};

}  // namespace

Status MergeTrees(const std::vector<core::RootDir>& trees, const core::RootDir& target,
                  std::stop_token stop) {
  std::vector<archive::DirChain> chains;
  for (const auto& tree : trees) {
    MBX_ASSIGN_OR_RETURN(archive::DirChain chain, archive::DirChain::Create(tree));
    chains.push_back(std::move(chain));
  }
  MBX_ASSIGN_OR_RETURN(archive::DirChain to, archive::DirChain::Create(target));
  return TreeMerger(std::move(chains), std::move(to), std::move(stop)).Run();
}

}  // namespace minibox::build
