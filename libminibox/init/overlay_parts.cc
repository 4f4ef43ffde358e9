// SPDX-License-Identifier: Apache-2.0
#include "init/overlay_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/channel.h"
#include "init/failing.h"
#include "init/held.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

constexpr const char* kOptions[] = {"redirect_dir", "metacopy", "index"};
constexpr uint32_t kPageSize = 4096;  // what mount(2) takes at most

void BecomeMounter(uint32_t id) {
  sys::CapabilitySets sets;
  const bool known = sys::CapGet(&sets) == 0;
  sys::SetFsGid(id);
  sys::SetFsUid(id);
  // Leaving 0 took the capabilities about files out of the effective set. If they cannot be put
  // back, the mount fails and says so.
  if (known) (void)sys::CapSet(sets);
}

using FdPath = Text<32>;
FdPath PathOfFd(int fd) {
  FdPath path;
  path << "/proc/self/fd/" << fd;
  return path;
}

bool AddPath(int fs, int base, const char* key, const char* name, bool* known, Failure& failure) {
  const Held dir(OpenLayer(base, name));
  if (!dir.valid()) return Fail(failure, "open directory of the root", name);
  const FdPath path = PathOfFd(dir.get());
  if (sys::FsConfig(fs, FSCONFIG_SET_STRING, key, path.c_str(), 0) == 0) return true;
  *known = errno != EINVAL;
  return FailOverlay(fs, key, failure);
}

// *known: whether the kernel knows this way.
bool MountFromPaths(const Plan& plan, int base, int* root, bool* known, Failure& failure) {
  const Held fs(sys::FsOpen("overlay"));
  if (!fs.valid()) return Fail(failure, "fsopen overlay");
  for (const char* lower : plan.lowers) {
    if (!AddPath(fs.get(), base, "lowerdir+", lower, known, failure)) return false;
  }
  if (!AddPath(fs.get(), base, "upperdir", plan.upper, known, failure) ||
      !AddPath(fs.get(), base, "workdir", plan.work, known, failure)) {
    return false;
  }
  if (CreateOverlay(plan, fs.get(), root, failure)) return true;
  // Before 6.5 any key is taken, and only this finds that it is unknown.
  *known = failure.error != EINVAL;
  return false;
}

// Names that would have to be escaped are none of the store's.
bool IsPlain(const char* name) { return strpbrk(name, ",:\\") == nullptr; }

bool MountFromString(const Plan& plan, int base, int* root, Failure& failure) {
  Text<kPageSize> options;
  options << "upperdir=" << plan.upper << ",workdir=" << plan.work;
  for (const char* option : kOptions) options << ',' << option << "=off";
  options << ",lowerdir=";
  bool plain = IsPlain(plan.upper) && IsPlain(plan.work);
  for (uint32_t i = 0; i < plan.lowers.size; ++i) {
    plain = plain && IsPlain(plan.lowers[i]);
    if (i > 0) options << ':';
    options << plan.lowers[i];
  }
  errno = options.cut() ? E2BIG : EINVAL;
  if (options.cut() || !plain)
    return Fail(failure, "mount the root: too many layers for the kernel");
  // The names are relative, so that many fit. Mounted over its own upper directory, which
  // nobody else sees.
  if (fchdir(base) != 0) return Fail(failure, "fchdir", "the data root");
  const MounterIds ids(plan.user_namespace, plan.id_base);
  if (sys::Mount("overlay", plan.upper, "overlay", options.c_str()) != 0) {
    return Fail(failure, "mount the root");
  }
  *root = sys::OpenTree(AT_FDCWD, plan.upper, OPEN_TREE_CLONE);
  return *root >= 0 || Fail(failure, "clone the root");
}

bool MountInPrivateNamespace(const Plan& plan, int base, int* root, Failure& failure) {
  if (sys::Unshare(CLONE_NEWNS) != 0) return Fail(failure, "unshare", "mount namespace");
  if (sys::MakeAllPrivate() != 0) return Fail(failure, "mount", "/");
  // Over the root: it is seen through the descriptor only, and all other paths stay.
  if (sys::MoveMount(base, AT_FDCWD, "/", 0) != 0) return Fail(failure, "attach the data root");
  if (plan.root_form != RootForm::kString) {
    bool known = true;
    if (MountFromPaths(plan, base, root, &known, failure)) return true;
    if (known || plan.root_form == RootForm::kPaths) return false;
  }
  return MountFromString(plan, base, root, failure);
}

}  // namespace

int OpenLayer(int base, const char* name) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY;
  how.resolve = RESOLVE_BENEATH;
  return sys::OpenAt2(base, name, how);
}

MounterIds::MounterIds(bool mapped, uint32_t id) : mapped_(mapped) {
  if (mapped_) BecomeMounter(id);
}
MounterIds::~MounterIds() {
  if (mapped_) BecomeMounter(0);
}

bool FailOverlay(int fs, const char* call, Failure& failure) {
  const int error = errno;
  MessageText message;
  message << "mount the root: " << call;
  // "e overlay: …"
  char text[256];
  const ssize_t size = read(fs, text, sizeof text);
  constexpr ssize_t kSeverity = 2;
  if (size > kSeverity) {
    message << ": ";
    message.Append(text + kSeverity, static_cast<size_t>(size - kSeverity));
  }
  return FailWith(failure, FailureKind::kStartFailed, error, "", message);
}

bool CreateOverlay(const Plan& plan, int fs, int* root, Failure& failure) {
  for (const char* option : kOptions) {
    if (sys::FsConfig(fs, FSCONFIG_SET_STRING, option, "off", 0) != 0) {
      return FailOverlay(fs, option, failure);
    }
  }
  if (sys::FsConfig(fs, FSCONFIG_SET_STRING, "source", "overlay", 0) != 0) {
    return FailOverlay(fs, "source", failure);
  }
  const MounterIds ids(plan.user_namespace, plan.id_base);
  if (sys::FsConfig(fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return FailOverlay(fs, "create", failure);
  }
  *root = sys::FsMount(fs, 0);
  return *root >= 0 || FailOverlay(fs, "fsmount", failure);
}

bool MountRootByPaths(const Plan& plan, int base, int* root, Failure& failure) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return Fail(failure, "socketpair");
  }
  const Held ours(sockets[0]);
  Held theirs(sockets[1]);
  clone_args args{};
  args.exit_signal = SIGCHLD;
  const pid_t child = sys::Clone3(args);
  if (child < 0) return Fail(failure, "clone3");
  if (child == 0) {
    int mount = -1;
    const bool ok = MountInPrivateNamespace(plan, base, &mount, failure);
    const bool sent =
        ok ? SendMessage(theirs.get(), Message::kRoot, nullptr, 0, nullptr, 0, &mount, 1)
           : SendMessage(theirs.get(), Message::kFailed, &failure, sizeof failure);
    _exit(sent ? 0 : 1);
  }
  theirs.Reset();
  Packet packet;
  const Received received = ReceiveMessage(ours.get(), packet);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  errno = ECHILD;
  if (received != Received::kMessage)
    return Fail(failure, "mount the root in a process of its own");
  if (packet.type == Message::kRoot && packet.fd_count == 1) {
    *root = packet.fds[0];
    return true;
  }
  packet.CloseFds();
  if (const auto* theirs_failed = packet.As<Failure>()) failure = *theirs_failed;
  return false;
}

}  // namespace minibox::init
