// SPDX-License-Identifier: Apache-2.0
// Captured output: complete, in order, at the reader's pace.
#include <thread>

#include "core/sha256.h"
#include "launch_fixture.h"

namespace minibox::init {
namespace {

class LaunchOutput : public LaunchTest {};

// What seq prints.
std::string Numbers(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += std::to_string(i) + "\n";
  return text;
}

TEST_F(LaunchOutput, TenMegabytesArriveInOrder) {
  constexpr int kCount = 1'400'000;
  const std::string out = OutputOf(Spec({"seq", "1", std::to_string(kCount)}));
  const std::string expected = Numbers(kCount);
  EXPECT_GT(expected.size(), 10'000'000u);
  EXPECT_EQ(core::Sha256::Hex(out), core::Sha256::Hex(expected));
  EXPECT_EQ(core::Sha256::Hex(ReadLog()), core::Sha256::Hex(expected));
}

TEST_F(LaunchOutput, StreamsAreKeptApart) {
  const Outcome outcome = Run(Script("seq 1 20000 & seq 20001 40000 >&2 & wait"));
  EXPECT_EQ(outcome.out, Numbers(20000));
  EXPECT_EQ(outcome.err.size(), Numbers(40000).size() - Numbers(20000).size());
  EXPECT_TRUE(outcome.err.starts_with("20001\n"));
}

TEST_F(LaunchOutput, MergedStreamsKeepTheirOrder) {
  LaunchSpec spec =
      Script("i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done");
  spec.merge_output = true;
  const Outcome outcome = Run(spec);
  std::string expected;
  for (int i = 0; i < 500; ++i) {
    expected += "o" + std::to_string(i) + "\ne" + std::to_string(i) + "\n";
  }
  EXPECT_EQ(outcome.out, expected);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(LaunchOutput, ASlowReaderSlowsTheWorkload) {
  // /progress counts what the workload has got rid of.
  auto launched = Launch(Script("i=0; while [ $i -lt 200 ]; do head -c 10000 /dev/zero; "
                                "i=$((i+1)); echo $i > /progress; done; echo done >&2"),
                         true);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  // Until it stands still, which nobody tells.
  std::string progress;
  for (std::string before = "x"; progress.empty() || progress != before;) {
    before = progress;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    progress = testing::ReadWholeFile(Path("upper/progress"));
  }
  EXPECT_LT(std::stoi(progress), 150);
  size_t size = 0;
  std::string err;
  const Status read = runtime::ReadOutput(launched->output.get(), [&](const OutputChunk& chunk) {
    if (chunk.stream == Stream::kStdout) size += chunk.bytes.size();
    if (chunk.stream == Stream::kStderr) err.append(chunk.bytes);
    return Status();
  });
  EXPECT_TRUE(read.ok()) << read.ToString();
  EXPECT_EQ(size, 2'000'000u);
  EXPECT_EQ(err, "done\n");
  EXPECT_EQ(ReadLog().size(), 2'000'005u);
  EXPECT_EQ(launched->connection.WaitExit().value().code, 0);
}

TEST_F(LaunchOutput, TheExitDoesNotWaitForTheReader) {
  auto launched = Launch(Script("seq 1 3000; exit 2"), true);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  EXPECT_EQ(launched->connection.WaitExit().value().code, 2);
  EXPECT_EQ(ReadLog(), Numbers(3000));
  std::string out;
  const Status read = runtime::ReadOutput(launched->output.get(), [&](const OutputChunk& chunk) {
    out.append(chunk.bytes);
    return Status();
  });
  EXPECT_TRUE(read.ok()) << read.ToString();
  EXPECT_EQ(out, Numbers(3000));
}

TEST_F(LaunchOutput, AReaderThatGoesAwayStopsNothing) {
  auto launched = Launch(Script("seq 1 300000; exit 8"), true);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  const Status read = runtime::ReadOutput(launched->output.get(), [](const OutputChunk&) {
    return Status(StatusCode::kAborted, "enough");
  });
  EXPECT_EQ(read.code(), StatusCode::kAborted);
  launched->output.reset();
  EXPECT_EQ(launched->connection.WaitExit().value().code, 8);
  EXPECT_EQ(ReadLog().size(), Numbers(300000).size());
}

TEST_F(LaunchOutput, ReadingCanBeCancelled) {
  auto launched = Launch(Spec({"sleep", "1000"}), true);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  const Status read = runtime::ReadOutput(
      launched->output.get(), [](const OutputChunk&) { return Status(); }, stop.get_token());
  EXPECT_EQ(read.code(), StatusCode::kCancelled);
  ASSERT_TRUE(launched->connection.Signal(SIGKILL).ok());
  EXPECT_TRUE(launched->connection.WaitExit().ok());
}

TEST_F(LaunchOutput, DescendantsThatHoldThePipesEndWithPid1) {
  const Outcome outcome = Run(Script("sleep 1000 & echo early"));
  EXPECT_EQ(outcome.out, "early\n");
}

}  // namespace
}  // namespace minibox::init
