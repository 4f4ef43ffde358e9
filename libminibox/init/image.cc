// SPDX-License-Identifier: Apache-2.0
#include "init/image.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "core/errors.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "init/embedded.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace minibox::init {

StatusOr<core::Fd> MakeInitImage() {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  core::Fd image(memfd_create("minibox-init", kFlags | MFD_EXEC));
  // Before 6.3 every memfd is executable and the flag unknown.
  if (!image.valid() && errno == EINVAL) image.reset(memfd_create("minibox-init", kFlags));
  if (!image.valid()) return core::SysError("memfd_create", "minibox-init");
  MBX_RETURN_IF_ERROR(core::WriteAll(image.get(), EmbeddedInit()));
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (fcntl(image.get(), F_ADD_SEALS, kSeals) != 0) {
    return core::SysError("fcntl F_ADD_SEALS", "minibox-init");
  }
  return image;
}

}  // namespace minibox::init
