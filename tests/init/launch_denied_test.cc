// SPDX-License-Identifier: Apache-2.0
// A launch in which the kernel refuses one system call, for each that it makes: it fails, names
// what failed and leaves nothing; or does without, where there is a way.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "launch_fixture.h"

namespace minibox::init {
namespace {

// For the calling thread, and what it spawns.
void Refuse(uint32_t number, uint32_t error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = 4, .filter = program};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), 0);
}

struct Refused {
  const char* name;
  uint32_t number;
};

class LaunchDenied : public LaunchTest, public ::testing::WithParamInterface<Refused> {
 protected:
  Status LaunchWithout(const Refused& refused, const LaunchSpec& spec, uint32_t error) {
    Status status;
    std::jthread([&] {
      Refuse(refused.number, error);
      auto launched = Launch(spec);
      status = launched.status();
      if (!launched.ok()) return;
      EXPECT_EQ(launched->connection.WaitExit().value().code, 0);
    }).join();
    return status;
  }
};

TEST_P(LaunchDenied, LeavesNothing) {
  LaunchSpec spec = Spec({"true"});
  spec.read_only_root = true;
  const Status status = LaunchWithout(GetParam(), spec, EPERM);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message(), "");
  EXPECT_NE(status.reason(), "invalid_argument") << status.ToString();
  EXPECT_EQ(access(Path("run/monitor.sock").c_str(), F_OK), -1);
  const auto pids = cgroup_->Pids();
  EXPECT_TRUE(pids.ok() && pids->empty());
}

INSTANTIATE_TEST_SUITE_P(
    Calls, LaunchDenied,
    ::testing::Values(Refused{"bind", SYS_bind}, Refused{"capset", SYS_capset},
                      Refused{"close_range", SYS_close_range}, Refused{"execve", SYS_execve},
                      Refused{"execveat", SYS_execveat}, Refused{"fchdir", SYS_fchdir},
                      Refused{"fsconfig", SYS_fsconfig}, Refused{"fsmount", SYS_fsmount},
                      Refused{"fsopen", SYS_fsopen}, Refused{"listen", SYS_listen},
                      Refused{"mount", SYS_mount}, Refused{"mount_setattr", SYS_mount_setattr},
                      Refused{"move_mount", SYS_move_mount}, Refused{"open_tree", SYS_open_tree},
                      Refused{"openat2", SYS_openat2}, Refused{"pipe2", SYS_pipe2},
                      Refused{"pivot_root", SYS_pivot_root}, Refused{"setgroups", SYS_setgroups},
                      Refused{"sethostname", SYS_sethostname}, Refused{"setresgid", SYS_setresgid},
                      Refused{"setresuid", SYS_setresuid}, Refused{"socketpair", SYS_socketpair},
                      Refused{"umount2", SYS_umount2}, Refused{"unshare", SYS_unshare},
                      Refused{"keyctl", SYS_keyctl}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(LaunchDenied, DoesWithoutKeys) {
  EXPECT_TRUE(LaunchWithout({"keyctl", SYS_keyctl}, Spec({"true"}), ENOSYS).ok());
}

TEST_F(LaunchDenied, DoesWithoutClone3) {
  for (const uint32_t error : {ENOSYS, EPERM}) {
    EXPECT_TRUE(LaunchWithout({"clone3", SYS_clone3}, Spec({"true"}), error).ok());
  }
}

}  // namespace
}  // namespace minibox::init
