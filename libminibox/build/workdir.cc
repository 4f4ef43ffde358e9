// SPDX-License-Identifier: Apache-2.0
#include "build/workdir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {

Status MakeWorkdir(const core::RootDir& root, const std::string& path, const Owner& owner) {
  const auto there = root.Stat(path);
  if (there.ok() && S_ISDIR(there->st_mode)) return {};
  if (there.ok()) {
    return core::FailedPrecondition(
        "", core::StrCat("'", core::EscapeControl(path), "' is no directory"));
  }
  constexpr mode_t kMode = 0755;
  MBX_RETURN_IF_ERROR(root.MakeDirs(path, kMode));
  MBX_ASSIGN_OR_RETURN(const core::Fd made, root.OpenAt(path, O_RDONLY | O_DIRECTORY));
  if (fchown(made.get(), owner.uid, owner.gid) != 0) return core::SysError("fchown", path);
  return {};
}

}  // namespace minibox::build
