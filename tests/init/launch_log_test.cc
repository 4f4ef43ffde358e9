// SPDX-License-Identifier: Apache-2.0
// container.log and its index.
#include <fcntl.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <filesystem>

#include "core/errors.h"
#include "core/file.h"
#include "init/log_format.h"
#include "kernel/syscalls.h"
#include "launch_fixture.h"

namespace minibox::init {
namespace {

using testing::ReadWholeFile;

class LaunchLog : public LaunchTest {
 protected:
  std::string ReadRotated(int number) const {
    return ReadWholeFile(Path("container/container.log." + std::to_string(number)));
  }
  std::vector<LogIndexRecord> ReadIndex(std::string_view name) const {
    const std::string bytes = ReadWholeFile(Path("container/" + std::string(name)));
    EXPECT_EQ(bytes.size() % sizeof(LogIndexRecord), 0u);
    std::vector<LogIndexRecord> records(bytes.size() / sizeof(LogIndexRecord));
    if (!records.empty()) std::memcpy(records.data(), bytes.data(), bytes.size());
    return records;
  }
  // Each record begins where the one before it ended.
  void ExpectCovered(const std::vector<LogIndexRecord>& records, size_t size) const {
    uint64_t offset = 0;
    int64_t time = 0;
    for (const LogIndexRecord& record : records) {
      EXPECT_EQ(record.offset, offset);
      EXPECT_GE(record.time_ns, time);
      offset += record.length;
      time = record.time_ns;
    }
    EXPECT_EQ(offset, size);
  }
};

TEST_F(LaunchLog, HoldsTheBytesAsTheyCame) {
  EXPECT_EQ(Run(Script("printf 'a\\0b\\nunterminated'")).exit.code, 0);
  EXPECT_EQ(ReadLog(), std::string("a\0b\nunterminated", 16));
  struct stat status;
  ASSERT_EQ(stat(Path("container/container.log").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(LaunchLog, KnowsTheStreams) {
  Run(Script("echo out; sleep 0.05; echo err >&2"));
  EXPECT_EQ(ReadLog(), "out\nerr\n");
  const auto records = ReadIndex("container.log.idx");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].stream, static_cast<uint8_t>(LogStream::kStdout));
  EXPECT_EQ(records[1].stream, static_cast<uint8_t>(LogStream::kStderr));
  ExpectCovered(records, 8);
}

TEST_F(LaunchLog, IsAppendedOverRestarts) {
  Run(Script("echo first"));
  // A record that a crash has cut.
  std::filesystem::resize_file(Path("container/container.log.idx"), 30);
  Run(Script("echo second"));
  EXPECT_EQ(ReadLog(), "first\nsecond\n");
  ExpectCovered(ReadIndex("container.log.idx"), 13);
}

TEST_F(LaunchLog, IsCompleteWhenTheExitIsTold) {
  auto launched = Launch(Script("seq 1 20000"));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  ASSERT_TRUE(launched->connection.WaitExit().ok());
  EXPECT_TRUE(ReadLog().ends_with("\n20000\n"));
}

TEST_F(LaunchLog, HoldsWhatADyingWorkloadLeftInThePipe) {
  EXPECT_EQ(Run(Script("seq 1 5000; kill -9 $$")).exit.code, 137);
  EXPECT_TRUE(ReadLog().ends_with("\n5000\n"));
}

TEST_F(LaunchLog, RotatesBySize) {
  LaunchSpec spec = Script("for i in $(seq 1 40); do echo line $i of many; sleep 0.005; done");
  spec.log_max_bytes = 200;
  spec.log_max_files = 3;
  const std::string all = OutputOf(spec);
  const std::string kept = ReadRotated(2) + ReadRotated(1) + ReadLog();
  EXPECT_FALSE(std::filesystem::exists(Path("container/container.log.3")));
  EXPECT_TRUE(all.ends_with(kept));
  for (const char* name : {"container.log", "container.log.1", "container.log.2"}) {
    const auto size = std::filesystem::file_size(Path("container/" + std::string(name)));
    EXPECT_LE(size, 200u) << name;
    ExpectCovered(ReadIndex(std::string(name) + ".idx"), size);
  }
  EXPECT_GT(ReadRotated(1).size(), 150u);
}

TEST_F(LaunchLog, KeepsOneFileIfToldSo) {
  LaunchSpec spec = Script("for i in $(seq 1 20); do echo line $i; sleep 0.005; done");
  spec.log_max_bytes = 50;
  spec.log_max_files = 1;
  Run(spec);
  EXPECT_TRUE(ReadLog().ends_with("line 20\n"));
  EXPECT_LE(ReadLog().size(), 50u);
  EXPECT_FALSE(std::filesystem::exists(Path("container/container.log.1")));
}

TEST_F(LaunchLog, IsNotFollowedWhereALinkLeads) {
  std::filesystem::create_symlink("elsewhere", Path("container/container.log"));
  const Status status = FailureOf(Spec({"true"}));
  EXPECT_EQ(status.reason(), "start_failed") << status.ToString();
  EXPECT_THAT(status.message(), ::testing::HasSubstr("container.log"));
}

TEST_F(LaunchLog, AFullDiskLosesOutputOfTheLogOnly) {
  // Four pages that are mounted nowhere, two of them taken.
  const core::Fd fs = kernel::FsOpen("tmpfs");
  ASSERT_EQ(kernel::FsConfigString(fs.get(), "size", "16k"), 0);
  ASSERT_EQ(kernel::FsConfigCreate(fs.get()), 0);
  const core::Fd tiny = kernel::FsMount(fs.get(), 0);
  ASSERT_TRUE(tiny.valid());
  const core::Fd ballast(openat(tiny.get(), "ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(core::WriteAll(ballast.get(), std::string(8192, 'x')).ok());
  fds_.container_dir = tiny.get();
  LaunchSpec spec =
      Script("trap 'echo end; exit' USR1; seq 1 3000; echo ready; while :; do sleep 0.01; done");
  auto launched = Launch(spec, true);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();

  // What has been captured has been logged before, or not.
  std::string out;
  (void)runtime::ReadOutput(launched->output.get(), [&](const OutputChunk& chunk) {
    out.append(chunk.bytes);
    return out.ends_with("ready\n") ? core::Cancelled("enough") : Status();
  });
  const auto kept = core::ReadFileAt(tiny.get(), "container.log", 1 << 20);
  ASSERT_TRUE(kept.ok());
  EXPECT_LT(kept->size(), out.size());
  EXPECT_TRUE(out.starts_with(*kept));

  // With room again, the log says what is missing before it goes on.
  ASSERT_EQ(ftruncate(ballast.get(), 0), 0);
  ASSERT_TRUE(launched->connection.Signal(SIGUSR1).ok());
  EXPECT_EQ(launched->connection.WaitExit().value().code, 0);
  const auto text = core::ReadFileAt(tiny.get(), "container.log", 1 << 20);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, *kept + (kept->ends_with('\n') ? "" : "\n") + "[minibox] " +
                       std::to_string(out.size() - kept->size()) +
                       " bytes of output lost: No space left on device\nend\n");
}

}  // namespace
}  // namespace minibox::init
