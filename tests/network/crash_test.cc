// SPDX-License-Identifier: Apache-2.0
// Processes that die between two steps, and what Reconcile makes of it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <new>
#include <random>
#include <string>
#include <vector>

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

// What the process that is going to be killed tells the one that kills it.
struct Progress {
  static constexpr int kPlaces = 6;
  // Whether the container of this place runs: from when its start returned until its stop began.
  std::atomic<bool> running[kPlaces];
};

std::string IdOf(int place) { return "aaaaaaa" + std::to_string(place); }
uint16_t PortOf(int place) { return static_cast<uint16_t>(8080 + place); }

// Starts and stops containers until it is killed; a byte for each that is done.
[[noreturn]] void StartAndStop(const Testbed& bed, const std::vector<Namespace>& places,
                               unsigned seed, Progress* progress, int done) {
  std::mt19937 random(seed);
  const NetworkImpl impl = ImplOf(bed.Open());
  while (true) {
    const int place = static_cast<int>(random() % places.size());
    const Namespace& inside = places[static_cast<size_t>(place)];
    const std::string id = IdOf(place);
    if (progress->running[place]) {
      progress->running[place] = false;
      if (!impl->Release(id).ok()) _exit(1);
    } else {
      auto reservation = impl->Reserve({id, "bridge", "", {Tcp(PortOf(place), 80)}});
      if (!reservation.ok()) _exit(2);
      if (!impl->Attach(reservation->endpoint, id, inside.netns(), inside.rtnetlink()).ok()) {
        _exit(3);
      }
      progress->running[place] = true;
    }
    if (write(done, "", 1) != 1) _exit(4);
  }
}

TEST(Crash, KernelIsAsTheRecordsSayAfterKillsAtRandomPointsOf500StartsAndStops) {
  constexpr int kOperations = 500;
  Testbed bed;
  ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
  const std::string rules = Output("nft list ruleset");
  void* const memory =
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const progress = new (memory) Progress();
  const std::vector<Namespace> places(Progress::kPlaces);
  std::vector<core::Fd> servers;
  for (const Namespace& place : places) servers.push_back(ListenTcp(&place, 80));
  std::mt19937 random(7);

  for (int operations = 0, kills = 0; operations < kOperations; ++kills) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const core::Fd done(ends[0]);
    core::Fd theirs(ends[1]);
    const unsigned seed = random();
    const pid_t child = fork();
    if (child == 0) StartAndStop(bed, places, seed, progress, theirs.get());
    theirs.reset();
    char byte;
    for (unsigned wanted = random() % 20; wanted > 0 && read(done.get(), &byte, 1) == 1; --wanted) {
      ++operations;
    }
    // Somewhere in the next one.
    const auto moment =
        std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 9000);
    while (std::chrono::steady_clock::now() < moment) {
    }
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "failed with " << WEXITSTATUS(status);
    while (read(done.get(), &byte, 1) == 1) ++operations;

    std::vector<network::LiveContainer> live;
    for (int i = 0; i < Progress::kPlaces; ++i) {
      if (progress->running[i]) live.push_back({IdOf(i), 0});
    }
    const NetworkImpl again = ImplOf(bed.Open());
    const Status reconciled = again->Reconcile(live);
    ASSERT_TRUE(reconciled.ok()) << reconciled.ToString();
    const std::string listed = Output("nft list ruleset");
    EXPECT_EQ(again->List()->at(0).containers.size(), live.size());
    for (int i = 0; i < Progress::kPlaces; ++i) {
      const std::string id = IdOf(i);
      const bool running = progress->running[i];
      EXPECT_EQ(LinkExists("veth-" + id), running) << kills;
      EXPECT_EQ(listed.find("veth-" + id) != std::string::npos, running) << kills;
      EXPECT_EQ(listed.find(". " + std::to_string(PortOf(i)) + " :") != std::string::npos, running)
          << kills;
      if (!running) continue;
      EXPECT_EQ(
          SeenBy(servers[static_cast<size_t>(i)].get(), &bed.neighbour, "198.51.100.1", PortOf(i)),
          "198.51.100.2")
          << kills;
    }
    if (HasFailure()) break;
  }
  ASSERT_TRUE(bed.impl()->Reconcile({}).ok());
  EXPECT_EQ(Output("nft list ruleset"), rules);
  EXPECT_TRUE(std::filesystem::is_empty(bed.options.state_dir / "starting"));
  munmap(memory, sizeof(Progress));
}

}  // namespace
}  // namespace minibox::testing
