// SPDX-License-Identifier: Apache-2.0
// Runs the tests in network and mount namespaces of their own, entered before there is any
// thread: the machine's interfaces and firewall are never touched.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cstdio>

#include "kernel/rtnetlink.h"
#include "support/leak_check.h"
#include "support/scratch.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (!minibox::testing::HaveRoot()) {
    std::puts("skipped: needs root with CAP_SYS_ADMIN");
    return 0;
  }
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
      mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::perror("unshare");
    return 1;
  }
  auto rtnetlink = minibox::kernel::Rtnetlink::Open();
  if (!rtnetlink.ok() || !rtnetlink->SetUpLoopback().ok()) return 1;
  minibox::testing::InstallLeakCheck();
  return RUN_ALL_TESTS();
}
