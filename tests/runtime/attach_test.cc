// SPDX-License-Identifier: Apache-2.0
// Containers that somebody talks to: foreground runs with stdin or a terminal, and attachments.
#include <gmock/gmock.h>
#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;

// Reads a process's output on a thread of its own.
class Listener {
 public:
  explicit Listener(Process& process)
      : thread_([this, &process] {
          exit_ = process.Wait(
              [this](const OutputChunk& chunk) {
                const std::lock_guard lock(mutex_);
                text_.append(chunk.bytes);
                changed_.notify_all();
                return Status();
              },
              stop_.get_token());
        }) {}
  ~Listener() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  void Await(std::string_view text) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return text_.find(text) != std::string::npos; });
  }
  StatusOr<ExitStatus> End() {
    thread_.join();
    return exit_;
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::stop_source stop_;
  StatusOr<ExitStatus> exit_ = Status(StatusCode::kUnknown, "");
  std::thread thread_;
};

class AttachTest : public RuntimeTest {
 protected:
  static ContainerSpec Lines() {
    ContainerSpec spec = Shell("echo begin; while read line; do echo got $line; done; exit 4");
    spec.open_stdin = true;
    return spec;
  }
};

TEST_F(AttachTest, ForegroundRunsTakeStdinAndSignals) {
  ContainerSpec spec = Shell("wc -c; echo err >&2; exit 9");
  spec.open_stdin = true;
  auto process = runtime().StartForeground(spec);
  ASSERT_TRUE(process.ok()) << process.status().ToString();
  Listener listener(*process);
  EXPECT_TRUE(process->Write(std::string(1000000, 'x')).ok());
  EXPECT_TRUE(process->CloseStdin().ok());
  const auto exit = listener.End();
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 9);
  EXPECT_THAT(listener.text(), HasSubstr("1000000\n"));
  EXPECT_THAT(listener.text(), HasSubstr("err\n"));

  auto signalled = runtime().StartForeground(
      Shell("trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"));
  ASSERT_TRUE(signalled.ok());
  Listener second(*signalled);
  second.Await("ready");
  EXPECT_TRUE(signalled->Signal(SIGUSR1).ok());
  EXPECT_EQ(second.End()->code, 5);
}

TEST_F(AttachTest, TerminalsAreTheContainersConsole) {
  ContainerSpec spec = Shell(
      "tty; stty size; echo $TERM; test -c /dev/console && echo console >/dev/console; "
      "stty -echo; read line; echo got $line; trap 'stty size; exit 3' WINCH; echo ready; "
      "while :; do sleep 0.05; done");
  spec.tty = spec.open_stdin = true;
  spec.terminal_size = {.rows = 33, .cols = 44};
  auto process = runtime().StartForeground(spec);
  ASSERT_TRUE(process.ok()) << process.status().ToString();
  Listener listener(*process);
  listener.Await("console\r\n");
  EXPECT_THAT(listener.text(), HasSubstr("/dev/pts/0\r\n33 44\r\nxterm\r\n"));
  EXPECT_TRUE(process->Write("typed\n").ok());
  listener.Await("got typed\r\n");
  listener.Await("ready\r\n");
  EXPECT_TRUE(process->Resize({.rows = 50, .cols = 60}).ok());
  const auto exit = listener.End();
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit->code, 3);
  EXPECT_THAT(listener.text(), HasSubstr("50 60\r\n"));
}

TEST_F(AttachTest, EveryoneHearsEverythingAndInputsAreShared) {
  const ContainerInfo info = Start(Lines());
  auto first = runtime().Attach(info.id, {.logs = true});
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  Listener one(*first);
  one.Await("begin\n");
  {
    auto second = runtime().Attach(info.id);
    ASSERT_TRUE(second.ok());
    Listener two(*second);
    EXPECT_TRUE(first->Write("one\n").ok());
    two.Await("got one\n");
    EXPECT_TRUE(second->Write("two\n").ok());
    one.Await("got two\n");
    EXPECT_EQ(second->Resize({}).reason(), "no_terminal");
  }
  Reopen();  // the monitor is the same
  auto third = runtime().Attach(info.id, {.logs = true});
  ASSERT_TRUE(third.ok()) << third.status().ToString();
  Listener all(*third);
  EXPECT_TRUE(third->Write("three\n").ok());
  EXPECT_TRUE(third->CloseStdin().ok());
  const auto exit = all.End();
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 4);
  EXPECT_EQ(all.text(), "begin\ngot one\ngot two\ngot three\n");
  EXPECT_EQ(one.text(), all.text());
  const auto waited = runtime().Wait(info.id);
  ASSERT_TRUE(waited.ok()) << waited.status().ToString();
  EXPECT_EQ(runtime().Attach(info.id).status().reason(), "container_not_running");
  EXPECT_EQ(runtime().Resize(info.id, {}).reason(), "container_not_running");
}

TEST_F(AttachTest, WhatBecomesOfARunWithoutItsClient) {
  {
    RunOptions keep{.on_disconnect = OnDisconnect::kKeep};
    auto process = runtime().StartForeground(Lines(), keep);
    ASSERT_TRUE(process.ok());
  }
  {
    auto process = runtime().StartForeground(Lines());
    ASSERT_TRUE(process.ok());
  }
  int running = 0, killed = 0;
  const auto all = runtime().List();
  ASSERT_TRUE(all.ok());
  for (const ContainerInfo& info : *all) {
    running += info.state == ContainerState::kRunning;
    killed += info.exit && info.exit->code == 137;
  }
  EXPECT_EQ(running, 1);
  EXPECT_EQ(killed, 1);
}

TEST_F(AttachTest, StartsOfContainersThatThereAre) {
  const auto created = runtime().Create(Shell("echo again; exit 6"));
  ASSERT_TRUE(created.ok());
  for (int i = 0; i < 2; ++i) {
    auto process = runtime().StartForeground(created->id);
    ASSERT_TRUE(process.ok()) << process.status().ToString();
    Listener listener(*process);
    EXPECT_EQ(listener.End()->code, 6);
    EXPECT_EQ(listener.text(), "again\n");
  }
}

TEST_F(AttachTest, PlainForegroundRunsAsBefore) {
  EXPECT_EQ(Stdout("echo hello; exit 2", 2), "hello\n");
}

}  // namespace
}  // namespace minibox::testing
