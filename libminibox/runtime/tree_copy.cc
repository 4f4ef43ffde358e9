// SPDX-License-Identifier: Apache-2.0
// The other end of a copy: a program's own trees.
#include <fcntl.h>
#include <unistd.h>

#include "archive/compression.h"
#include "archive/layer_apply.h"
#include "archive/layer_diff.h"
#include "core/errors.h"
#include "core/root_dir.h"
#include "core/status_macros.h"
#include "minibox/container_files.h"

namespace minibox {
inline namespace v1 {

Status PackTree(const std::filesystem::path& path, const PackOptions& options, const BytesSink& tar,
                std::stop_token stop) {
  const bool follow = options.follow_link || !path.has_filename() || path.filename() == ".";
  const core::Fd node(open(path.c_str(), O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW)));
  if (!node.valid()) return core::SysError("open", path.native());
  return archive::WriteLiveTree(node.get(), {options.name, {}}, tar, std::move(stop));
}

Status UnpackTree(int tar, const std::filesystem::path& directory, const UnpackOptions& options,
                  std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir root, core::RootDir::Open(directory.native()));
  archive::ApplyOptions apply;
  apply.whiteouts = false;
  apply.live.emplace();
  apply.live->top = options.name;
  apply.live->owner =
      options.keep_ids ? archive::LiveTarget::Owner::kArchive : archive::LiveTarget::Owner::kCaller;
  return archive::ApplyLayer(archive::Decompress(archive::ReadFromFd(tar)), root, apply,
                             std::move(stop))
      .status();
}

}  // namespace v1
}  // namespace minibox
