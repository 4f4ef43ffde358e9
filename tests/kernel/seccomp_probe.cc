// SPDX-License-Identifier: Apache-2.0
// Installs the seccomp filter that is read from standard input, then makes the system calls of
// its arguments, "<n|32>:<number>:<first argument>[:<second>]", and writes the errno of each,
// one per line. `32` is the i386 entry of an x86-64 kernel.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

long Call32(long number, long first, long second) {
#if defined(__x86_64__)
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(0), "S"(0), "D"(0)
               : "memory", "r8", "r9", "r10", "r11");
  return result;
#else
  return -(ENOSYS + 0 * (number + first + second));
#endif
}

// Where the kernel has no i386 entry, using it is a fault.
void NoSuchEntry(int) {
  constexpr char kAnswer[] = "no such entry\n";
  (void)!write(STDOUT_FILENO, kAnswer, sizeof kAnswer - 1);
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<char> program;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(STDIN_FILENO, buffer, sizeof buffer)) > 0;) {
    program.insert(program.end(), buffer, buffer + n);
  }
  const struct sock_fprog filter = {
      static_cast<unsigned short>(program.size() / sizeof(struct sock_filter)),
      reinterpret_cast<struct sock_filter*>(program.data())};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    printf("cannot install: %s\n", strerror(errno));
    return 1;
  }
  signal(SIGSEGV, NoSuchEntry);
  for (int i = 1; i < argc; ++i) {
    char* at = argv[i];
    const bool compat = strncmp(at, "32:", 3) == 0;
    at = strchr(at, ':') + 1;
    const long number = strtol(at, &at, 0);
    const long first = strtol(at + 1, &at, 0);
    const long second = *at == ':' ? strtol(at + 1, &at, 0) : 0;
    long error = 0;
    if (compat) {
      const long result = Call32(number, first, second);
      error = result < 0 && result > -4096 ? -result : 0;
    } else {
      error = syscall(number, first, second, 0, 0, 0, 0) < 0 ? errno : 0;
    }
    printf("%ld\n", error);
  }
  return 0;
}
