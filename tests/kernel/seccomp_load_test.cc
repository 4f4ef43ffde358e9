// SPDX-License-Identifier: Apache-2.0
// The default profile in the kernel: a small program (seccomp_probe.cc) installs it and tries.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/process.h"
#include "core/strings.h"
#include "kernel/capabilities.h"
#include "kernel/seccomp.h"
#include "support/scratch.h"

namespace minibox::kernel {
namespace {

struct Call {
  const char* how;  // "n": native, "32": i386
  int64_t number;
  int64_t first, second;
  int expected;  // errno, 0 for success
  const char* what;
};

// What the probe reports for `calls` under the program for `capabilities`.
std::vector<std::string> Probe(uint64_t capabilities, const std::vector<Call>& calls) {
  const auto program = DefaultSeccompProgram(capabilities);
  EXPECT_TRUE(program.ok()) << program.status().ToString();
  const core::Fd input(memfd_create("program", MFD_CLOEXEC));
  EXPECT_TRUE(core::WriteAll(input.get(), *program).ok());
  EXPECT_EQ(lseek(input.get(), 0, SEEK_SET), 0);
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const core::Fd read_end(ends[0]);
  core::Fd write_end(ends[1]);
  const core::Fd executable(open(MBX_SECCOMP_PROBE, O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(executable.valid());

  core::SpawnOptions options;
  options.executable_fd = executable.get();
  options.argv = {"seccomp_probe"};
  for (const Call& call : calls) {
    options.argv.push_back(
        core::StrCat(call.how, ':', call.number, ':', call.first, ':', call.second));
  }
  options.fds = {{input.get(), 0}, {write_end.get(), 1}, {write_end.get(), 2}};
  const auto spawned = core::Spawn(options);
  EXPECT_TRUE(spawned.ok()) << spawned.status().ToString();
  if (!spawned.ok()) return {};
  write_end.reset();
  const auto output = core::ReadAll(read_end.get(), 1 << 20);
  EXPECT_TRUE(output.ok());
  const auto exit = core::WaitPidfd(spawned->pidfd.get());
  EXPECT_TRUE(exit.ok());
  EXPECT_EQ(exit->code, 0) << *output;
  std::vector<std::string> lines;
  for (const auto line : core::StrSplit(*output, '\n')) {
    if (!line.empty()) lines.emplace_back(line);
  }
  return lines;
}

void Check(uint64_t capabilities, const std::vector<Call>& calls) {
  const auto lines = Probe(capabilities, calls);
  ASSERT_EQ(lines.size(), calls.size());
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(lines[i], core::StrCat(calls[i].expected)) << calls[i].what;
  }
}

// Each of the refused would do something else without the filter: root may do them, or the
// kernel would complain about the arguments.
TEST(SeccompLoad, TheKernelRefusesAndAllowsByTheDefaultProfile) {
  MBX_REQUIRE_ROOT();
  Check(DefaultCapabilities(),
        {{"n", SYS_getpid, 0, 0, 0, "an ordinary call"},
         {"n", SYS_unshare, 0, 0, EPERM, "unshare of nothing"},
         {"n", SYS_mount, 0, 0, EPERM, "mount: EFAULT without filter"},
         {"n", SYS_bpf, -1, 0, EPERM, "bpf: EINVAL without filter"},
         {"n", SYS_keyctl, -1, 0, EPERM, "keyctl: EOPNOTSUPP without filter"},
         {"n", SYS_io_uring_setup, 0, 0, EPERM, "io_uring_setup: EINVAL without filter"},
         {"n", SYS_userfaultfd, -1, 0, EPERM, "userfaultfd: EINVAL without filter"},
         {"n", SYS_clone3, 0, 0, ENOSYS, "clone3: EINVAL without filter"},
         {"n", SYS_clone, CLONE_NEWUTS, 0, EPERM, "clone with a namespace"},
         {"n", SYS_socket, 38, 5, EPERM, "AF_ALG"},
         {"n", SYS_socket, 40, 1, EPERM, "AF_VSOCK"},
         {"n", SYS_socket, 1, 1, 0, "AF_UNIX"},
         {"n", SYS_personality, 0xffffffff, 0, 0, "the present personality"},
         {"n", SYS_personality, 0x0040000, 0, EPERM, "ADDR_NO_RANDOMIZE"},
         {"n", 459, -1, 0, EPERM, "lsm_get_self_attr"},
         {"n", 467, -1, 0, ENOSYS, "open_tree_attr of 6.15"},
         {"n", 0x40000000 + 39, 0, 0, ENOSYS, "getpid of x32"},
         {"n", 100000, 0, 0, ENOSYS, "beyond every table"}});
}

TEST(SeccompLoad, CapabilitiesGrantTheirCalls) {
  MBX_REQUIRE_ROOT();
  Check(AllCapabilities(), {{"n", SYS_unshare, 0, 0, 0, "unshare of nothing"},
                            {"n", SYS_mount, 0, 0, EFAULT, "mount of nothing"},
                            {"n", SYS_clone3, 0, 0, EINVAL, "clone3 without arguments"},
                            {"n", SYS_keyctl, -1, 0, EPERM, "keyctl, whoever asks"},
                            {"n", SYS_socket, 40, 1, EPERM, "AF_VSOCK, whoever asks"}});
}

#if defined(__x86_64__)
TEST(SeccompLoad, TheI386EntryIsNoWayAround) {
  MBX_REQUIRE_ROOT();
  const auto answer = Probe(AllCapabilities(), {{"32", 20, 0, 0, 0, "getpid"}});
  if (answer.empty() || answer[0] != "0") GTEST_SKIP() << "needs a kernel with IA32_EMULATION";
  Check(DefaultCapabilities(), {{"32", 20, 0, 0, 0, "getpid"},
                                {"32", 310, 0, 0, EPERM, "unshare"},
                                {"32", 21, 0, 0, EPERM, "mount"},
                                {"32", 22, 0, 0, EPERM, "umount, of i386 only"},
                                {"32", 359, 40, 1, EPERM, "socket of AF_VSOCK"},
                                {"32", 120, CLONE_NEWUTS, 0, EPERM, "clone with a namespace"},
                                {"32", 435, 0, 0, ENOSYS, "clone3"},
                                {"32", 404, 99, 0, EPERM, "clock_settime64"},
                                {"32", 467, 0, 0, ENOSYS, "beyond the table"}});
}
#endif

}  // namespace
}  // namespace minibox::kernel
