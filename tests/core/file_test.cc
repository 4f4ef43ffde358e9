// SPDX-License-Identifier: Apache-2.0
#include "core/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "core/failpoint.h"
#include "core/root_dir.h"
#include "support/scratch.h"

namespace minibox::core {
namespace {

using ::testing::ElementsAre;

class FileTest : public ::testing::Test {
 protected:
  testing::Scratch scratch_;
  RootDir dir_ = *RootDir::Open(scratch_.path());
};

TEST_F(FileTest, ReplaceCreatesAndReplaces) {
  ASSERT_TRUE(ReplaceFileAt(dir_.fd(), "f", "one").ok());
  EXPECT_EQ(dir_.Stat("f")->st_mode & 07777, 0600u);
  ASSERT_TRUE(ReplaceFileAt(dir_.fd(), "f", "two", 0644).ok());
  EXPECT_EQ(dir_.Stat("f")->st_mode & 07777, 0644u);
  EXPECT_EQ(*ReadFileAt(dir_.fd(), "f", 100), "two");
  EXPECT_THAT(*dir_.List("."), ElementsAre("f"));
}

TEST_F(FileTest, ReplaceWorksThroughAPathOnlyDescriptor) {
  const Fd path_only(open(scratch_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(ReplaceFileAt(path_only.get(), "f", "x").ok());
  EXPECT_EQ(*ReadFileAt(path_only.get(), "f", 1), "x");
}

TEST_F(FileTest, ReplaceIgnoresTheUmask) {
  const mode_t before = umask(077);
  const Status replaced = ReplaceFileAt(dir_.fd(), "f", "x", 0666);
  umask(before);
  ASSERT_TRUE(replaced.ok());
  EXPECT_EQ(dir_.Stat("f")->st_mode & 07777, 0666u);
}

TEST_F(FileTest, ReplaceReplacesALinkNotItsTarget) {
  scratch_.Write("target", "kept");
  ASSERT_TRUE(dir_.Symlink("target", "f").ok());
  ASSERT_TRUE(ReplaceFileAt(dir_.fd(), "f", "new").ok());
  EXPECT_EQ(*dir_.ReadFile("target", 100), "kept");
  EXPECT_EQ(*dir_.ReadFile("f", 100), "new");
}

TEST_F(FileTest, FailedReplaceLeavesTheOldContentAndNothingElse) {
  ASSERT_TRUE(ReplaceFileAt(dir_.fd(), "f", "old").ok());
  int n = 1;
  for (;; ++n) {
    SetFailNth(n);
    const Status status = ReplaceFileAt(dir_.fd(), "f", "new");
    ClearFailpoints();
    if (status.ok()) break;
    EXPECT_EQ(status.reason(), "failpoint");
    EXPECT_EQ(*ReadFileAt(dir_.fd(), "f", 100), "old");
    EXPECT_THAT(*dir_.List("."), ElementsAre("f"));
  }
  EXPECT_GT(n, 3);
  EXPECT_EQ(*ReadFileAt(dir_.fd(), "f", 100), "new");
}

TEST_F(FileTest, LeftoversTellWhatTheyWereFor) {
  EXPECT_EQ(NameReplacedBy(".index.json.0123abcd.tmp"), "index.json");
  EXPECT_EQ(NameReplacedBy(".x.0123abcd.tmp"), "x");
  for (std::string_view name : {"", ".tmp", "index.json", ".index.json.tmp", "..0123abcd.tmp",
                                "x.0123abcd.tmp", ".x.0123abcd.TMP", ".x-0123abcd.tmp"}) {
    EXPECT_EQ(NameReplacedBy(name), "") << name;
  }
}

TEST_F(FileTest, ReplaceOverADirectoryFailsCleanly) {
  ASSERT_TRUE(dir_.MakeDir("d", 0755).ok());
  EXPECT_EQ(ReplaceFileAt(dir_.fd(), "d", "x").sys_errno(), EISDIR);
  EXPECT_THAT(*dir_.List("."), ElementsAre("d"));
}

TEST_F(FileTest, ReplaceTakesOneComponentOnly) {
  for (std::string_view name : {"", ".", "..", "a/b", "/a"}) {
    EXPECT_EQ(ReplaceFileAt(dir_.fd(), name, "x").code(), StatusCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(ReplaceFileAt(dir_.fd(), std::string_view("a\0b", 3), "x").code(),
            StatusCode::kInvalidArgument);
}

TEST_F(FileTest, ReadersNeverSeeHalfAFile) {
  const std::string a(100'000, 'a'), b(200'000, 'b');
  ASSERT_TRUE(ReplaceFileAt(dir_.fd(), "f", a).ok());
  std::atomic<bool> stop = false;
  std::atomic<int> torn = 0, reads = 0;
  std::thread reader([&] {
    while (!stop || reads == 0) {
      const std::string seen = *ReadFileAt(dir_.fd(), "f", 1 << 20);
      if (seen != a && seen != b) ++torn;
      ++reads;
    }
  });
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(ReplaceFileAt(dir_.fd(), "f", i % 2 ? a : b).ok());
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

TEST_F(FileTest, ReadAllEnforcesItsLimit) {
  scratch_.Write("f", "12345");
  EXPECT_EQ(*ReadFileAt(dir_.fd(), "f", 5), "12345");
  EXPECT_EQ(ReadFileAt(dir_.fd(), "f", 4).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ReadFileAt(dir_.fd(), "none", 4).status().code(), StatusCode::kNotFound);
  // Its size says 0, as of all kernel files.
  EXPECT_GT(ReadFileAt(AT_FDCWD, "/proc/self/status", 1 << 20)->size(), 100u);
}

TEST_F(FileTest, ReadAllOfAnEndlessFileStops) {
  const Fd zero(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(ReadAll(zero.get(), 1 << 20).status().code(), StatusCode::kResourceExhausted);
}

TEST_F(FileTest, WriteAllCompletesShortWrites) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  const std::string big(1 << 20, 'x');
  std::thread writer([&] {
    EXPECT_TRUE(WriteAll(write_end.get(), big).ok());
    write_end.reset();
  });
  EXPECT_EQ(*ReadAll(read_end.get(), 2 << 20), big);
  writer.join();
  EXPECT_EQ(WriteAll(-1, "x").sys_errno(), EBADF);
  EXPECT_TRUE(WriteAll(-1, "").ok());
}

TEST_F(FileTest, KernelFilesAreWrittenInPlace) {
  scratch_.Write("k", "before");
  ASSERT_TRUE(WriteKernelFileAt(dir_.fd(), "k", "after").ok());
  EXPECT_EQ(*dir_.ReadFile("k", 100), "aftere");
  EXPECT_EQ(WriteKernelFileAt(dir_.fd(), "none", "x").code(), StatusCode::kNotFound);
  EXPECT_FALSE(dir_.Exists("none"));
}

TEST(TempDir, IsRemovedWithItsContent) {
  testing::Scratch scratch;
  std::string path;
  {
    const auto dir = TempDir::Create(scratch.path(), "t-");
    ASSERT_TRUE(dir.ok());
    path = dir->path();
    EXPECT_TRUE(RootDir::Open(path)->MakeDirs("a/b", 0700).ok());
    EXPECT_EQ(path.find(scratch.path() + "/t-"), 0u);
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
  EXPECT_EQ(TempDir::Create(scratch / "none", "t").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace minibox::core
