// SPDX-License-Identifier: Apache-2.0
#include "core/fd.h"

#include <unistd.h>

#include <cerrno>

namespace minibox::core {

void Fd::reset(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  if (old < 0) return;
  // Destructors run between a failed call and the reading of its errno. EINTR is no reason to
  // retry: Linux has closed the descriptor, which another thread may own by now.
  const int saved = errno;
  (void)close(old);
  errno = saved;
}

}  // namespace minibox::core
