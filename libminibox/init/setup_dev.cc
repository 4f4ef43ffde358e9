// SPDX-License-Identifier: Apache-2.0
#include "init/setup_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "init/failing.h"
#include "init/held.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

struct Node {
  const char* name;
  const char* host;
  unsigned major, minor;
};
constexpr Node kNodes[] = {
    {"null", "/dev/null", 1, 3},     {"zero", "/dev/zero", 1, 5},       {"full", "/dev/full", 1, 7},
    {"random", "/dev/random", 1, 8}, {"urandom", "/dev/urandom", 1, 9}, {"tty", "/dev/tty", 5, 0},
};
constexpr mode_t kNodeMode = 0666;

struct Link {
  const char* name;
  const char* target;
};
constexpr Link kLinks[] = {
    {"ptmx", "pts/ptmx"},          {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
};

bool IsDevice(int fd, unsigned major_number, unsigned minor_number) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) &&
         status.st_rdev == makedev(major_number, minor_number);
}

bool BindNode(int dev, const Node& node, Failure& failure) {
  const Held tree(sys::OpenTree(AT_FDCWD, node.host, OPEN_TREE_CLONE));
  if (!tree.valid()) return Fail(failure, "open", node.host);
  if (!IsDevice(tree.get(), node.major, node.minor)) {
    errno = ENODEV;
    return Fail(failure, "open", node.host);
  }
  const Held place(
      openat(dev, node.name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, kNodeMode));
  if (!place.valid() || sys::MoveMount(tree.get(), dev, node.name, 0) != 0) {
    return Fail(failure, "bind", node.host);
  }
  return true;
}

}  // namespace

bool PopulateDev(const Plan& plan, int dev, Failure& failure) {
  for (const Node& node : kNodes) {
    if (plan.user_namespace) {
      if (!BindNode(dev, node, failure)) return false;
    } else if (mknodat(dev, node.name, S_IFCHR | kNodeMode, makedev(node.major, node.minor)) != 0) {
      return Fail(failure, "mknod", node.host);
    }
  }
  for (const Link& link : kLinks) {
    if (symlinkat(link.target, dev, link.name) != 0) return Fail(failure, "symlink", link.name);
  }
  return true;
}

bool IsNullDevice(int fd) { return IsDevice(fd, 1, 3); }

}  // namespace minibox::init
