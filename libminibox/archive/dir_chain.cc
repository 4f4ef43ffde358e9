// SPDX-License-Identifier: Apache-2.0
#include "archive/dir_chain.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

// Descriptors are the host program's too.
constexpr size_t kMaxLinks = 16;
constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

bool IsAtOrBelow(std::string_view path, std::string_view above) {
  return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

}  // namespace

StatusOr<DirChain> DirChain::Create(const core::RootDir& root) {
  core::Fd top(openat(root.fd(), ".", kFlags));
  if (!top.valid()) return core::SysError("openat", ".");
  return DirChain(root, std::move(top));
}

StatusOr<int> DirChain::Open(std::string_view path, const MakeFn& make) {
  if (stale_) links_.clear();
  stale_ = false;
  while (!links_.empty() && !IsAtOrBelow(path, links_.back().path)) links_.pop_back();
  size_t done = links_.empty() ? 0 : links_.back().path.size();
  int current = links_.empty() ? top_.get() : links_.back().fd.get();
  while (done < path.size()) {
    const size_t start = done == 0 ? 0 : done + 1;
    done = std::min(path.find('/', start), path.size());
    const std::string name(path.substr(start, done - start));
    MBX_ASSIGN_OR_RETURN(core::Fd next, Step(current, name, path.substr(0, done), make));
    current = next.get();
    Keep(path.substr(0, done), std::move(next));
  }
  return current;
}

void DirChain::Add(std::string_view path, core::Fd fd) {
  if (!stale_) Keep(path, std::move(fd));
}

void DirChain::Keep(std::string_view path, core::Fd fd) {
  if (links_.size() == kMaxLinks) links_.erase(links_.begin());
  links_.push_back({std::string(path), std::move(fd)});
}

StatusOr<core::Fd> DirChain::Step(int parent, const std::string& name, std::string_view path,
                                  const MakeFn& make) {
  core::Fd fd(openat(parent, name.c_str(), kFlags | O_NOFOLLOW));
  if (fd.valid()) return fd;
  const int error = errno;
  if (error != ENOENT && error != ENOTDIR && error != ELOOP) {
    return core::SysError("openat", core::EscapeControl(path), error);
  }
  struct ::stat st {};
  const bool exists = fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists && S_ISLNK(st.st_mode)) {
    if (make) MBX_RETURN_IF_ERROR(root_->MakeDirs(path, 0755));
    return root_->OpenAt(path, kFlags);
  }
  if (!make) return core::SysError("openat", core::EscapeControl(path), error);
  MBX_RETURN_IF_ERROR(make(parent, name, path, exists));
  fd.reset(openat(parent, name.c_str(), kFlags | O_NOFOLLOW));
  if (!fd.valid()) return core::SysError("openat", core::EscapeControl(path));
  return fd;
}

}  // namespace minibox::archive
