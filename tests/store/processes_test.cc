// SPDX-License-Identifier: Apache-2.0
// Several processes on one data root, and processes that die at any instruction.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <random>
#include <set>

#include "core/file.h"
#include "core/process.h"
#include "store/leases.h"
#include "store/snapshots.h"
#include "store/volumes.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::IsEmpty;

class ProcessesTest : public StoreFixture {
 protected:
  struct Child {
    core::Spawned process;
    core::Fd out;
  };

  Child Start(std::vector<std::string> arguments) {
    const core::Fd program(open(STORE_TEST_PROCESS, O_PATH | O_CLOEXEC));
    EXPECT_TRUE(program.valid());
    arguments.insert(arguments.begin(), "store_test_process");
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    Child child{{}, core::Fd(ends[0])};
    const core::Fd theirs(ends[1]);
    child.process = *core::Spawn({.executable_fd = program.get(),
                                  .argv = std::move(arguments),
                                  .fds = {{theirs.get(), 1}, {2, 2}}});
    return child;
  }

  static void Kill(Child& child) {
    kill(child.process.pid, SIGKILL);
    EXPECT_EQ(core::WaitPidfd(child.process.pidfd.get())->signal, SIGKILL);
  }

  // Reads that many of the child's bytes.
  static void Await(const Child& child, int bytes) {
    char byte = 0;
    for (int i = 0; i < bytes; ++i) ASSERT_EQ(read(child.out.get(), &byte, 1), 1);
  }

  // What must hold whatever happened before.
  void ExpectValidLayout() {
    const auto entries = references_.List();
    ASSERT_TRUE(entries.ok()) << entries.status().message();
    for (const oci::Descriptor& entry : *entries) {
      EXPECT_EQ(blobs_.Read(entry.digest, 1 << 20)->size(), entry.size);
    }
    for (const std::string& hex : ListDir("blobs/sha256")) {
      EXPECT_TRUE(blobs_.Read(oci::DigestFromHex(hex), 1 << 20).ok()) << hex;
    }
    const Snapshots snapshots(root_);
    for (const std::string& name : ListDir("layers")) {
      if (name.size() != 64) continue;
      const auto record = snapshots.Find(name);
      ASSERT_TRUE(record.ok());
      EXPECT_TRUE(!*record || dir().Exists(core::StrCat("layers/", name, "/deep")));
    }
    EXPECT_TRUE(Volumes(root_).List().ok());
  }
};

TEST_F(ProcessesTest, RegistrationsOfSeveralProcessesAllArrive) {
  constexpr int kProcesses = 4, kImages = 15;
  std::vector<Child> children;
  for (int p = 0; p < kProcesses; ++p) {
    children.push_back(
        Start({"register", RootPath(), core::StrCat("p", p), std::to_string(kImages)}));
  }
  for (Child& child : children) {
    EXPECT_EQ(core::WaitPidfd(child.process.pidfd.get())->code, 0);
  }
  std::multiset<std::string> names;
  for (const std::string& name : Names()) names.insert(name);
  for (int i = 0; i < kImages; ++i) {
    EXPECT_EQ(names.count(core::StrCat("shared:", i)), 1u);
    for (int p = 0; p < kProcesses; ++p) EXPECT_EQ(names.count(core::StrCat("p", p, ":", i)), 1u);
  }
  EXPECT_EQ(names.size(), size_t{kImages * (kProcesses + 1)});
  ExpectNothingInTmp();
}

TEST_F(ProcessesTest, WhatALivingProcessHoldsIsNotSwept) {
  Child child = Start({"hold", RootPath()});
  Await(child, 1);
  const Leases leases(root_);
  const auto tmp = *dir().List("tmp"), held = *dir().List("leases");
  EXPECT_EQ(held.size(), 2u);  // record and lock
  EXPECT_TRUE(root_->SweepTemporary().ok());
  EXPECT_TRUE(leases.Sweep().ok());
  EXPECT_EQ(*dir().List("tmp"), tmp);
  EXPECT_EQ(*dir().List("leases"), held);

  Kill(child);
  // Any open does it.
  ASSERT_TRUE(Store::Open({.root = RootPath()}).ok());
  EXPECT_THAT(*dir().List("tmp"), IsEmpty());
  EXPECT_THAT(*dir().List("leases"), IsEmpty());
  EXPECT_THAT(*dir().List("blobs/sha256"), IsEmpty());
}

TEST_F(ProcessesTest, DeathAtAnyMomentLeavesAValidLayout) {
  std::minstd_rand random(20261123);
  for (int round = 0; round < 12; ++round) {
    Child child = Start({"churn", RootPath()});
    // The byte says that a step ended; how far the next one gets is the scheduler's choice.
    Await(child, static_cast<int>(random() % 20));
    Kill(child);
    ExpectValidLayout();
    ASSERT_TRUE(Store::Open({.root = RootPath()}).ok());
    EXPECT_THAT(*dir().List("tmp"), IsEmpty());
    EXPECT_THAT(*dir().List("leases"), IsEmpty());
  }
}

TEST_F(ProcessesTest, SweepsAndWorkMayOverlap) {
  Child child = Start({"churn", RootPath()});
  for (int i = 0; i < 25; ++i) {
    Await(child, 2);
    ASSERT_TRUE(root_->SweepTemporary().ok());
    ASSERT_TRUE(Leases(root_).Sweep().ok());
    ASSERT_TRUE(Store::Open({.root = RootPath()}).ok());
  }
  Kill(child);
  ExpectValidLayout();
}

}  // namespace
}  // namespace minibox::store
