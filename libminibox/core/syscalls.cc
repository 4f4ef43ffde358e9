// SPDX-License-Identifier: Apache-2.0
#include "core/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

// Debian 12's headers know all of these; older ones are covered by the numbers that every
// architecture shares.
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

namespace minibox::core::sys {
namespace {

template <typename Call>
auto RetryOnEintr(Call call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace

int Openat2(int dir, const char* path, const struct open_how& how) {
  return RetryOnEintr(
      [&] { return static_cast<int>(syscall(SYS_openat2, dir, path, &how, sizeof how)); });
}

bool HaveOpenat2() {
  static const bool have = [] {
    const struct open_how how {
      .flags = O_PATH | O_CLOEXEC | O_DIRECTORY, .mode = 0,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
    };
    const int fd = Openat2(AT_FDCWD, "/", how);
    // Some container engines' filters deny unknown calls with EPERM instead of ENOSYS.
    if (fd < 0) return errno != ENOSYS && errno != EPERM;
    close(fd);
    return true;
  }();
  return have;
}

int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

int PidfdSendSignal(int pidfd, int signal) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

int Renameat2(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  return static_cast<int>(syscall(SYS_renameat2, from_dir, from, to_dir, to, flags));
}

int CloseRange(unsigned first, unsigned last, unsigned flags) {
  return static_cast<int>(syscall(SYS_close_range, first, last, flags));
}

int Execveat(int dir, const char* path, const char* const* argv, const char* const* env,
             int flags) {
  return static_cast<int>(syscall(SYS_execveat, dir, path, argv, env, flags));
}

uint64_t BlockAllSignals() {
  const uint64_t all = ~uint64_t{0};
  uint64_t before = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  return before;
}

void SetSignalMask(uint64_t mask) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
}

void ResetSignal(int signal) {
  // The kernel's struct sigaction: handler, flags, restorer where there is one, mask.
  const struct { uint64_t words[4]; } action{};
  syscall(SYS_rt_sigaction, signal, &action, nullptr, sizeof(uint64_t));
}

namespace {

// The system call `number` that makes a process on a stack of its own. There the child cannot
// return through this function's frame: it calls `child` from here and ends in exit_group.
// The result is the kernel's: a pid or a negated errno.
#if defined(__x86_64__)
long Clone(long number, long a0, long a1, long a2, void (*child)(void*), void* argument) {
  long result = number;
  register long a3 asm("r10") = 0;
  register long a4 asm("r8") = 0;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "mov %[argument], %%rdi\n\t"
      "call *%[child]\n\t"
      "mov $127, %%edi\n\t"
      "mov %[exit], %%eax\n\t"
      "syscall\n\t"
      "hlt\n"
      "1:"
      : "+a"(result)
      : "D"(a0), "S"(a1), "d"(a2), "r"(a3),
        "r"(a4), [child] "r"(child), [argument] "r"(argument), [exit] "i"(SYS_exit_group)
      : "rcx", "r11", "memory", "cc");
  return result;
}
#elif defined(__aarch64__)
long Clone(long number, long a0, long a1, long a2, void (*child)(void*), void* argument) {
  register long result asm("x0") = a0;
  register long x1 asm("x1") = a1;
  register long x2 asm("x2") = a2;
  register long x3 asm("x3") = 0;
  register long x4 asm("x4") = 0;
  register long x8 asm("x8") = number;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x0, %[argument]\n\t"
      "blr %[child]\n\t"
      "mov x0, #127\n\t"
      "mov x8, %[exit]\n\t"
      "svc #0\n"
      "1:"
      : "+r"(result)
      : "r"(x1), "r"(x2), "r"(x3), "r"(x4),
        "r"(x8), [child] "r"(child), [argument] "r"(argument), [exit] "i"(SYS_exit_group)
      : "x30", "memory", "cc");
  return result;
}
#else
#error "the child's half of clone is written in assembly: add this architecture"
#endif

}  // namespace

pid_t Clone3(uint64_t flags, int* pidfd, void* stack, size_t stack_size, void (*child)(void*),
             void* argument) {
  struct clone_args args {};
  args.flags = flags;
  args.pidfd = reinterpret_cast<uint64_t>(pidfd);
  args.exit_signal = 0;
  args.stack = reinterpret_cast<uint64_t>(stack);
  args.stack_size = stack_size;
  long result = Clone(SYS_clone3, reinterpret_cast<long>(&args), sizeof args, 0, child, argument);
  // Container engines that we may be running in deny clone3, whose flags their filters cannot see.
  if (result == -ENOSYS || result == -EPERM) {
    result = Clone(SYS_clone, static_cast<long>(flags),
                   reinterpret_cast<long>(stack) + static_cast<long>(stack_size),
                   reinterpret_cast<long>(pidfd), child, argument);
  }
  if (result >= 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace minibox::core::sys
