// SPDX-License-Identifier: Apache-2.0
#include "init/terminal.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "init/failing.h"
#include "init/resolve.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

constexpr char kMultiplexer[] = "/dev/pts/ptmx";
constexpr char kConsole[] = "/dev/console";
constexpr mode_t kConsoleMode = 0600;

bool IsMultiplexer(int fd) {
  struct statfs fs;
  struct stat status;
  return fstatfs(fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC && fstat(fd, &status) == 0 &&
         S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2);
}

}  // namespace

bool SetTerminalSize(int terminal, uint16_t rows, uint16_t cols) {
  winsize size{};
  size.ws_row = rows;
  size.ws_col = cols;
  return ioctl(terminal, TIOCSWINSZ, &size) == 0;
}

bool OpenTerminal(int root, uint16_t rows, uint16_t cols, Held& master, Held& slave,
                  Failure& failure) {
  // First only a handle: opening a device of the container's choice could do anything.
  const Held place(OpenInRoot(root, kMultiplexer, O_PATH));
  if (!place.valid()) return Fail(failure, "open", kMultiplexer);
  if (!IsMultiplexer(place.get())) {
    errno = ENODEV;
    return Fail(failure, "open", kMultiplexer);
  }
  master.Reset(OpenInRoot(root, kMultiplexer, O_RDWR | O_NOCTTY | O_NONBLOCK));
  if (!master.valid()) return Fail(failure, "open", kMultiplexer);
  if (!IsMultiplexer(master.get())) {
    errno = ENODEV;
    return Fail(failure, "open", kMultiplexer);
  }
  int locked = 0;
  if (ioctl(master.get(), TIOCSPTLCK, &locked) != 0) return Fail(failure, "unlock", "terminal");
  slave.Reset(ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave.valid()) return Fail(failure, "open", "terminal");
  return SetTerminalSize(master.get(), rows, cols) || Fail(failure, "ioctl TIOCSWINSZ");
}

bool BindConsole(int root, int slave, Failure& failure) {
  const Held place(
      OpenInRoot(root, kConsole, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0, kConsoleMode));
  if (!place.valid() && errno != EEXIST) return Fail(failure, "create", kConsole);
  const Held target(OpenInRoot(root, kConsole, O_PATH | O_NOFOLLOW));
  const Held tree(sys::OpenTree(slave, "", OPEN_TREE_CLONE | AT_EMPTY_PATH));
  if (!target.valid() || !tree.valid() ||
      sys::MoveMount(tree.get(), target.get(), "", MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return Fail(failure, "bind", kConsole);
  }
  return true;
}

}  // namespace minibox::init
