// SPDX-License-Identifier: Apache-2.0
// Sudden death at random points of pull, load, unpack and prune: whoever opens the store next finds
// it sound, and the operation completes when it is repeated.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <random>

#include "integration/images_fixture.h"

namespace minibox::testing {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class ImagesKillTest : public ImagesFixture {
 protected:
  // Of an operation that nothing disturbs.
  struct Whole {
    std::chrono::nanoseconds time{};
    int failpoints = 0;
  };

  Child Begin(const std::string& kind, int kill_at) {
    Child child =
        Start({"once", RootPath(), registry_.host(), ArchivePath(), std::to_string(kill_at), kind});
    char begun = 0;
    EXPECT_EQ(read(child.out.get(), &begun, 1), 1);
    return child;
  }

  Whole Complete(const std::string& kind) {
    Child child = Begin(kind, 0);
    const auto begin = Clock::now();
    char text[16] = "";
    EXPECT_GT(read(child.out.get(), text, sizeof text - 1), 0) << kind;
    const Whole whole{Clock::now() - begin, std::atoi(text)};
    EXPECT_EQ(core::WaitPidfd(child.process.pidfd.get())->code, 0) << kind;
    return whole;
  }

  // So that the operation has something to do.
  void Prepare(const std::string& kind) {
    Store store = *Store::Open({.root = RootPath()});
    if (kind == "pull" || kind == "load") {
      const std::vector<ImageInfo> images = *store.ListImages();
      for (const ImageInfo& image : images) {
        ASSERT_TRUE(store.RemoveImage(image.name, {.force = true}).ok());
      }
      // As if a day had passed.
      for (const auto& lease : fs::directory_iterator(RootPath() + "/leases")) {
        fs::remove(lease.path());
      }
      ASSERT_TRUE(store.Prune().ok());
      return;
    }
    ASSERT_TRUE(store.ListImages().ok());
    if (!store.GetImage(App(1)).ok()) Complete("pull");
    if (kind == "unpack") fs::remove_all(RootPath() + "/extracted");
    if (kind == "unpack") fs::create_directory(RootPath() + "/extracted");
  }
};

TEST_F(ImagesKillTest, DeathAtAnyPointIsRepairedByTheNext) {
  const unsigned seed = Seed();
  std::minstd_rand random(seed);
  const std::vector<std::string> kinds = {"pull", "load", "unpack", "prune"};
  std::map<std::string, Whole> whole;
  for (const std::string& kind : kinds) {
    Prepare(kind);
    whole[kind] = Complete(kind);
    ASSERT_GT(whole[kind].failpoints, 0) << kind;
    std::printf("%s: %d failpoints, %lld us\n", kind.c_str(), whole[kind].failpoints,
                static_cast<long long>(whole[kind].time.count() / 1000));
  }
  const int points = FromEnvironment("MINIBOX_KILL_POINTS", 200);
  int deaths = 0;
  for (int i = 0; i < points && !HasFailure(); ++i) {
    const std::string& kind = kinds[static_cast<size_t>(i) % kinds.size()];
    ASSERT_NO_FATAL_FAILURE(Prepare(kind));
    // Between two steps, or in the middle of one.
    const bool at_failpoint = random() % 2 == 0;
    const auto failpoint = static_cast<int>(random() % whole[kind].failpoints) + 1;
    const auto time = random() % static_cast<uint64_t>(whole[kind].time.count() + 1);
    const std::string what = core::StrCat(
        "point ", i, " (", kind, ", ",
        at_failpoint ? core::StrCat("failpoint ", failpoint) : core::StrCat(time, " ns"), ")");
    Child child = Begin(kind, at_failpoint ? failpoint : 0);
    if (!at_failpoint) {
      pollfd ended{child.process.pidfd.get(), POLLIN, 0};
      const timespec after{0, static_cast<long>(std::min<uint64_t>(time, 999'999'999))};
      ppoll(&ended, 1, &after, nullptr);
      kill(child.process.pid, SIGKILL);
    }
    const auto exit = *core::WaitPidfd(child.process.pidfd.get());
    EXPECT_TRUE(exit.code == 0 || exit.signal == SIGKILL) << what << ": " << exit.code;
    deaths += exit.signal == SIGKILL;
    ExpectSound(what);
    Complete(kind);
    ExpectSound(what + ", repeated");
  }
  std::printf("%d deaths\n", deaths);
  // Some come too late: how long an operation takes is the machine's choice.
  EXPECT_GT(deaths, points / 4);
}

}  // namespace
}  // namespace minibox::testing
