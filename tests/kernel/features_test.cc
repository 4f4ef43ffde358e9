// SPDX-License-Identifier: Apache-2.0
#include "kernel/features.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <thread>
#include <vector>

#include "kernel/overlay.h"
#include "kernel/seccomp.h"
#include "support/scratch.h"

namespace minibox::kernel {
namespace {

// Denies the calling thread these system calls, as an old kernel or a filter around us would.
void Deny(std::vector<uint32_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  std::vector<SyscallRange> ranges = {{0, SeccompOutcome::kAllow}};
  for (const uint32_t number : numbers) {
    if (ranges.back().first == number) ranges.pop_back();
    ranges.push_back({number, SeccompOutcome::kEnosys});
    ranges.push_back({number + 1, SeccompOutcome::kAllow});
  }
  auto program = CompileSeccomp({{AuditArch(NativeSeccompArchs()[0]), ranges}});
  ASSERT_TRUE(program.ok()) << program.status().ToString();
  const struct sock_fprog filter = {
      static_cast<unsigned short>(program->size() / sizeof(struct sock_filter)),
      reinterpret_cast<struct sock_filter*>(program->data())};
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

TEST(Features, EachIsListedOnce) {
  const auto list = HostFeatures().List();
  std::set<std::string> names;
  for (const auto& [name, value] : list) names.insert(name);
  EXPECT_EQ(names.size(), list.size());
}

TEST(Features, WhatIsThereWorks) {
  MBX_REQUIRE_ROOT();
  const Features& host = HostFeatures();
  EXPECT_TRUE(host.overlay || !host.overlay_appended);
  EXPECT_TRUE(host.overlay_appended || !host.overlay_descriptors) << "6.8 came before 6.13";
  EXPECT_TRUE(host.pidfd || !host.clone_into_cgroup) << "5.3 came before 5.7";
  EXPECT_TRUE(host.clone_into_cgroup || !host.idmapped_mounts) << "5.7 came before 5.12";
}

TEST(Features, WhatIsDeniedIsSaidToBeMissing) {
  MBX_REQUIRE_ROOT();
  std::thread([] {
    Deny({SYS_fsopen, SYS_clone3, SYS_mount_setattr, SYS_pidfd_open, SYS_seccomp});
    const Features denied = ProbeFeatures();
    EXPECT_FALSE(denied.overlay);
    EXPECT_FALSE(denied.overlay_appended);
    EXPECT_FALSE(denied.overlay_descriptors);
    EXPECT_FALSE(denied.clone_into_cgroup);
    EXPECT_FALSE(denied.idmapped_mounts);
    EXPECT_FALSE(denied.pidfd);
    EXPECT_FALSE(denied.seccomp);
    const auto mount = MountOverlay({{0}});
    EXPECT_EQ(mount.status().sys_errno(), ENOSYS) << mount.status().ToString();
  }).join();
}

}  // namespace
}  // namespace minibox::kernel
