// SPDX-License-Identifier: Apache-2.0
// Processes that die between two steps, and what Reconcile makes of it.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "network/testbed.h"

namespace minibox::testing {
namespace {

enum class Until { kReserved, kAttached };

// A process of its own that starts a container and then is killed. Its namespace outlives it.
void StartAndDie(Testbed& bed, const std::string& id, const Namespace& inside, Until until) {
  const pid_t child = fork();
  if (child == 0) {
    const NetworkImpl impl = ImplOf(bed.Open());
    auto reservation = impl->Reserve({id, "bridge", "", {Tcp(8080, 80)}});
    if (!reservation.ok()) _exit(1);
    if (until == Until::kAttached &&
        !impl->Attach(reservation->endpoint, id, inside.netns(), inside.rtnetlink()).ok()) {
      _exit(2);
    }
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
}

TEST(Crash, ReconcileCleansWhatADeadProcessLeft) {
  for (const Until until : {Until::kReserved, Until::kAttached}) {
    Testbed bed;
    ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
    const std::string rules = Output("nft list ruleset");
    const Namespace inside;
    StartAndDie(bed, "aaaaaaaa", inside, until);
    EXPECT_EQ(bed.impl()->List()->at(0).containers.count("aaaaaaaa"), 1u);
    EXPECT_EQ(LinkExists("veth-aaaaaaaa"), until == Until::kAttached);
    ASSERT_TRUE(bed.impl()->Reconcile({}).ok());
    EXPECT_TRUE(bed.impl()->List()->at(0).containers.empty());
    EXPECT_FALSE(LinkExists("veth-aaaaaaaa"));
    EXPECT_EQ(Output("nft list ruleset"), rules);
    EXPECT_TRUE(std::filesystem::is_empty(bed.options.state_dir / "starting"));
  }
}

TEST(Crash, SameContainerStartsAgainWithoutReconcile) {
  for (const Until until : {Until::kReserved, Until::kAttached}) {
    Testbed bed;
    const Namespace inside;
    StartAndDie(bed, "aaaaaaaa", inside, until);
    const auto again = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
    const core::Fd server = ListenTcp(&again->inside, 80);
    EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), "172.19.0.1");
  }
}

TEST(Crash, RunningContainerSurvivesTheProcessThatStartedIt) {
  Testbed bed;
  const Namespace inside;
  StartAndDie(bed, "aaaaaaaa", inside, Until::kAttached);
  ASSERT_TRUE(bed.impl()->Reconcile({{"aaaaaaaa", 0}}).ok());
  const core::Fd server = ListenTcp(&inside, 80);
  EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), "172.19.0.1");
}

TEST(Crash, ReconcileLeavesAStartInProgressAlone) {
  Testbed bed;
  auto reservation = bed.impl()->Reserve({"aaaaaaaa", "bridge", "", {Tcp(8080, 80)}});
  ASSERT_TRUE(reservation.ok());
  const NetworkImpl daemon = ImplOf(bed.Open());
  ASSERT_TRUE(daemon->Reconcile({}).ok());
  const Namespace inside;
  const Status attached =
      bed.impl()->Attach(reservation->endpoint, "aaaaaaaa", inside.netns(), inside.rtnetlink());
  ASSERT_TRUE(attached.ok()) << attached.ToString();
  ASSERT_TRUE(daemon->Reconcile({}).ok());
  const core::Fd server = ListenTcp(&inside, 80);
  EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), "172.19.0.1");
}

TEST(Crash, NothingInUseMeansNothingIsSetUp) {
  Testbed bed;
  ASSERT_TRUE(bed.impl()->Reconcile({}).ok());
  EXPECT_FALSE(LinkExists("minibox0"));
  EXPECT_EQ(Output("nft list tables"), "");
}

}  // namespace
}  // namespace minibox::testing
