// SPDX-License-Identifier: Apache-2.0
// What a container is kept from by default, beside what run_test and fields_test show of single
// fields.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SecurityDefaults : public RuntimeTest {};

TEST_F(SecurityDefaults, MonitorAndInitRunFromASealedMemfd) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  const int64_t monitor = *Record(info.id).Get("monitor").GetInt("pid");
  for (const int64_t pid : {monitor, static_cast<int64_t>(info.pid)}) {
    const std::string exe = "/proc/" + std::to_string(pid) + "/exe";
    EXPECT_THAT(std::filesystem::read_symlink(exe).string(), HasSubstr("/memfd:"));
    const int fd = open(exe.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0) << strerror(errno);
    constexpr int kAll = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    EXPECT_EQ(fcntl(fd, F_GET_SEALS) & kAll, kAll);
    close(fd);
    const int writable = open(exe.c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_LT(writable, 0);
    if (writable >= 0) close(writable);
  }
}

TEST_F(SecurityDefaults, NothingOfTheEngineIsSeenInside) {
  // This process is the engine.
  ASSERT_EQ(setenv("MINIBOX_TEST_SECRET", "hunter2hunter2", 1), 0);
  const Output run = RunShell(Shell(
      "tr '\\0' ' ' </proc/1/cmdline; echo; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline "
      "/proc/[0-9]*/comm 2>/dev/null; ls -l /proc/[0-9]*/fd /proc/[0-9]*/cwd /proc/[0-9]*/exe "
      "2>/dev/null; env; true"));
  unsetenv("MINIBOX_TEST_SECRET");
  EXPECT_THAT(run.out, ::testing::StartsWith("minibox-init \n"));
  EXPECT_THAT(run.out, Not(HasSubstr("hunter2")));
  EXPECT_THAT(run.out, Not(HasSubstr(root_)));
  EXPECT_THAT(run.out, Not(HasSubstr("_test")));  // our own command
}

// A container that shares a directory exchanges, all the time, a directory in it and a link out of
// it, while others are started that have a volume mounted on it.
class TargetRace : public RuntimeTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(TargetRace, VolumesStayInsideWhereverTheLinkLeads) {
  constexpr int kStarts = 15;
  namespace fs = std::filesystem;
  fs::create_directories(scratch_ / "shared/dir");
  fs::create_directories(scratch_ / "outside");
  const std::string outside = scratch_ / "outside";
  fs::create_symlink(GetParam() + outside, scratch_ / "shared/link");

  std::atomic<bool> over = false;
  std::atomic<int> exchanges = 0;
  std::thread racer([&] {
    const std::string a = scratch_ / "shared/dir", b = scratch_ / "shared/link";
    while (!over) {
      if (renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) ++exchanges;
    }
  });
  while (exchanges < 2) std::this_thread::yield();
  for (int i = 0; i < kStarts; ++i) {
    ContainerSpec spec = Shell("exec sleep 1000");
    spec.mounts = {{Mount::Kind::kBind, scratch_ / "shared", "/data", ""},
                   {Mount::Kind::kVolume, "vol", "/data/dir/inner", ""}};
    const auto info = runtime().Run(spec);
    if (info.ok()) {
      EXPECT_TRUE(runtime().Remove(info->id, true).ok());
    } else {
      EXPECT_NE(info.status().reason(), "") << info.status().ToString();
    }
    ASSERT_TRUE(fs::is_empty(outside)) << "made outside at start " << i;
  }
  over = true;
  racer.join();
  EXPECT_EQ(runtime().List()->size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Links, TargetRace, ::testing::Values("", "../../../../../../../.."));

}  // namespace
}  // namespace minibox::testing
