// SPDX-License-Identifier: Apache-2.0
#include "init/workload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/exec.h"
#include "init/failing.h"
#include "init/held.h"
#include "init/privileges.h"
#include "init/resolve.h"

namespace minibox::init {
namespace {

constexpr mode_t kUmask = 022;
constexpr char kUserField[] = "user";
constexpr char kWorkdirField[] = "workdir";

// A file of the container as a whole, up to kMaxAccountsFile; empty if it is missing or none.
class AccountsFile {
 public:
  ~AccountsFile() {
    if (bytes_.data != nullptr) munmap(const_cast<char*>(bytes_.data), kMaxAccountsFile);
  }
  bool Read(int root, const char* path, Failure& failure) {
    // A FIFO of the image must not hold us up.
    const Held file(OpenInRoot(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    if (!file.valid() && (errno == ENOENT || errno == ENOTDIR)) return true;
    struct stat status;
    if (!file.valid() || fstat(file.get(), &status) != 0) return Fail(failure, "open", path);
    if (!S_ISREG(status.st_mode)) return true;
    void* memory =
        mmap(nullptr, kMaxAccountsFile, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return Fail(failure, "mmap", path);
    char* text = static_cast<char*>(memory);
    bytes_ = {text, 0};
    while (bytes_.size < kMaxAccountsFile) {
      const ssize_t got = read(file.get(), text + bytes_.size, kMaxAccountsFile - bytes_.size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Fail(failure, "read", path);
      if (got == 0) break;
      bytes_.size += static_cast<size_t>(got);
    }
    return true;
  }
  Bytes bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

// `tty`: it becomes the controlling terminal of the session, which has none yet, with this
// process as its foreground group.
bool SetStdio(const WorkloadStdio& stdio, bool tty, const Identity& identity, Failure& failure) {
  const int fds[] = {stdio.in, stdio.out, stdio.err};
  for (int i = 0; i < 3; ++i) {
    if (dup2(fds[i], i) < 0) return Fail(failure, "dup2");
  }
  if (tty) {
    if (ioctl(STDIN_FILENO, TIOCSCTTY, 0) != 0) return Fail(failure, "ioctl TIOCSCTTY");
    // The group stays that of terminals.
    return fchown(STDIN_FILENO, identity.uid, static_cast<gid_t>(-1)) == 0 ||
           Fail(failure, "chown", "terminal");
  }
  // So that the workload may open /dev/stdout, which leads to a pipe.
  for (int i = 1; i < 3; ++i) {
    struct stat status;
    const bool pipe = fstat(i, &status) == 0 && S_ISFIFO(status.st_mode);
    if (pipe && fchown(i, identity.uid, identity.gid) != 0) return Fail(failure, "chown", "stdio");
  }
  return true;
}

bool SetLimits(const Plan& plan, const sys::Limit& nofile, Failure& failure) {
  bool has_nofile = false;
  for (const PlannedRlimit& limit : plan.rlimits) {
    has_nofile = has_nofile || limit.resource == RLIMIT_NOFILE;
    // The monitor has raised the hard limits as far as it could.
    sys::Limit current;
    if (sys::PrLimit(0, limit.resource, nullptr, &current) != 0) return Fail(failure, "prlimit");
    sys::Limit wanted{limit.soft, limit.hard};
    if (limit.best_effort && wanted.hard > current.hard) wanted.hard = current.hard;
    if (limit.best_effort && wanted.soft > wanted.hard) wanted.soft = wanted.hard;
    if (sys::PrLimit(0, limit.resource, &wanted, nullptr) != 0) return Fail(failure, "prlimit");
  }
  return has_nofile || sys::PrLimit(0, RLIMIT_NOFILE, &nofile, nullptr) == 0 ||
         Fail(failure, "prlimit");
}

bool EnterWorkingDir(const Plan& plan, Failure& failure) {
  const Held root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return Fail(failure, "open", "/");
  const Held dir(OpenInRoot(root.get(), plan.working_dir, O_PATH | O_DIRECTORY));
  if (!dir.valid() || fchdir(dir.get()) != 0) {
    return FailInvalid(failure, kWorkdirField, "change to the working directory", plan.working_dir);
  }
  // A directory outside the root would open the host to the workload (CVE-2024-21626).
  char path[PATH_MAX];
  if (sys::GetCwd(path, sizeof path) < 0 || path[0] != '/') {
    errno = EXDEV;
    return FailInvalid(failure, kWorkdirField, "change to the working directory", plan.working_dir);
  }
  return true;
}

// `name` includes the '='.
bool HasVariable(const Plan& plan, const char* name) {
  for (const char* variable : plan.env) {
    if (strncmp(variable, name, strlen(name)) == 0) return true;
  }
  return false;
}

}  // namespace

bool FindIdentity(const Plan& plan, int root, Identity* identity, Failure& failure) {
  AccountsFile passwd, group;
  if (!passwd.Read(root, "/etc/passwd", failure)) return false;
  if (plan.user[0] != '\0' && !group.Read(root, "/etc/group", failure)) return false;
  const uint64_t limit = plan.user_namespace ? plan.id_count : UINT32_MAX;
  MessageText message;
  switch (ResolveIdentity(plan.user, passwd.bytes(), group.bytes(), limit, identity)) {
    case AccountError::kNone:
      return true;
    case AccountError::kUnknownUser:
      message << "user '" << plan.user << "': no such user in the container's /etc/passwd";
      break;
    case AccountError::kUnknownGroup:
      message << "user '" << plan.user << "': no such group in the container's /etc/group";
      break;
    case AccountError::kOutOfRange:
      message << "user '" << plan.user << "': an id is outside the container's range of " << limit;
      break;
    case AccountError::kTooManyGroups:
      message << "user '" << plan.user << "': member of more than " << kMaxGroups << " groups";
      break;
  }
  return FailWith(failure, FailureKind::kInvalidArgument, 0, kUserField, message);
}

bool PrepareWorkload(const Plan& plan, const Identity& identity, const WorkloadStdio& stdio,
                     const sys::Limit& nofile, Failure& failure) {
  if (setsid() < 0 && errno != EPERM) return Fail(failure, "setsid");  // EPERM: leads one already
  umask(kUmask);
  if (!SetStdio(stdio, plan.tty, identity, failure) || !EnterWorkingDir(plan, failure))
    return false;
  if (sys::CloseRange(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0) return Fail(failure, "close_range");
  // When nothing is opened any more.
  if (!SetLimits(plan, nofile, failure)) return false;
  if (!DropPrivileges(plan, identity, failure)) return false;
  // Changing ids has cleared this. It outlives exec unless the program gains privileges.
  if (!plan.init && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return Fail(failure, "prctl", "PR_SET_PDEATHSIG");
  }
  return !plan.no_new_privs || SetSeccomp(plan, failure);
}

void ExecWorkload(const Plan& plan, const Identity& identity, Failure& failure) {
  Text<kMaxAccountText + 8> home, user;
  home << "HOME=" << identity.home.c_str();
  user << "USER=" << identity.name.c_str();
  List<const char*> env = plan.env;  // has room for these
  const bool has_home = HasVariable(plan, "HOME="), has_user = HasVariable(plan, "USER=");
  if (!has_home) env.data[env.size++] = home.c_str();
  if (!has_user) env.data[env.size++] = user.c_str();
  env.data[env.size] = nullptr;
  plan.argv.data[plan.argv.size] = nullptr;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  Exec(plan.argv.data, env.data, failure);
}

}  // namespace minibox::init
