// SPDX-License-Identifier: Apache-2.0
// deny_syscalls <name> <program> [argument…]: runs a program for which a system call answers
// ENOSYS, as on a kernel that does not have it.
#include <errno.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <utility>

int main(int argc, char** argv) {
  constexpr std::pair<std::string_view, unsigned> kCalls[] = {{"openat2", SYS_openat2},
                                                              {"clone3", SYS_clone3}};
  if (argc < 3) return 2;
  for (const auto& [name, number] : kCalls) {
    if (name != argv[1]) continue;
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{.len = 4, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      std::perror("prctl");
      return 2;
    }
    execv(argv[2], argv + 2);
    std::perror(argv[2]);
    return 2;
  }
  std::fprintf(stderr, "unknown call %s\n", argv[1]);
  return 2;
}
