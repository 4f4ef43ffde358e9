// SPDX-License-Identifier: Apache-2.0
#include "core/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "core/file.h"
#include "core/strings.h"
#include "support/scratch.h"

namespace minibox::core {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
  std::string out, err;
  WaitResult result;
};

Fd OpenProgram(const char* path) { return Fd(open(path, O_PATH | O_CLOEXEC)); }

std::pair<Fd, Fd> Pipe() {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

// Runs a program with stdout and stderr captured. Its output fits in a pipe.
StatusOr<Outcome> RunProgram(const char* path, std::vector<std::string> argv,
                             std::vector<std::string> env = {}, bool new_session = true) {
  const Fd program = OpenProgram(path);
  auto out = Pipe(), err = Pipe();
  auto spawned = Spawn({.executable_fd = program.get(),
                        .argv = std::move(argv),
                        .env = std::move(env),
                        .fds = {{out.second.get(), 1}, {err.second.get(), 2}},
                        .new_session = new_session});
  out.second.reset();
  err.second.reset();
  if (!spawned.ok()) return spawned.status();
  Outcome outcome;
  outcome.out = *ReadAll(out.first.get(), 1 << 20);
  outcome.err = *ReadAll(err.first.get(), 1 << 20);
  outcome.result = *WaitPidfd(spawned->pidfd.get());
  return outcome;
}

TEST(Spawn, RunsWithExactlyTheArgumentsAndEnvironment) {
  const auto outcome = RunProgram(
      "/bin/sh", {"sh", "-c", "echo \"$0|$1|$A|$HOME\"; exit 7", "x", "y z"}, {"A=1", "PATH=/bin"});
  ASSERT_TRUE(outcome.ok()) << outcome.status().message();
  EXPECT_EQ(outcome->out, "x|y z|1|\n");
  EXPECT_EQ(outcome->result.code, 7);
  EXPECT_EQ(outcome->result.signal, 0);
}

TEST(Spawn, DeathBySignalIsTold) {
  const auto outcome = RunProgram("/bin/sh", {"sh", "-c", "kill -9 $$"});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->result.signal, SIGKILL);
  EXPECT_EQ(outcome->result.code, 137);
}

TEST(Spawn, NoInheritedDescriptorLeaks) {
  std::vector<Fd> inheritable;
  for (int i = 0; i < 50; ++i) inheritable.emplace_back(open("/dev/null", O_RDONLY));
  const auto outcome = RunProgram("/bin/ls", {"ls", "/proc/self/fd"});
  ASSERT_TRUE(outcome.ok());
  // 0 is not given, so ls opens the directory there.
  EXPECT_EQ(outcome->out, "0\n1\n2\n");
}

TEST(Spawn, DescriptorsArriveAtTheirNumbersEvenCrosswise) {
  const Fd sh = OpenProgram("/bin/sh");
  auto a = Pipe(), b = Pipe();
  // Each one's number is the other's target, and the program's own number is a target too.
  const int x = a.second.get(), y = b.second.get();
  auto spawned =
      Spawn({.executable_fd = sh.get(),
             .argv = {"sh", "-c",
                      StrCat("echo to-x >&", x, "; echo to-y >&", y, "; echo to-sh >&", sh.get())},
             .fds = {{x, y}, {y, x}, {x, sh.get()}}});
  if (x > 9 || y > 9 || sh.get() > 9) GTEST_SKIP() << "needs single-digit descriptors for dash";
  ASSERT_TRUE(spawned.ok()) << spawned.status().message();
  a.second.reset();
  b.second.reset();
  EXPECT_EQ(*ReadAll(a.first.get(), 1000), "to-y\nto-sh\n");
  EXPECT_EQ(*ReadAll(b.first.get(), 1000), "to-x\n");
  EXPECT_EQ(WaitPidfd(spawned->pidfd.get())->code, 0);
}

TEST(Spawn, SameDescriptorMayGoToItsOwnNumber) {
  const Fd sh = OpenProgram("/bin/sh");
  auto pipe = Pipe();
  const int fd = pipe.second.get();
  ASSERT_LT(fd, 10);
  auto spawned = Spawn({.executable_fd = sh.get(),
                        .argv = {"sh", "-c", StrCat("echo here >&", fd)},
                        .fds = {{fd, fd}}});
  ASSERT_TRUE(spawned.ok());
  pipe.second.reset();
  EXPECT_EQ(*ReadAll(pipe.first.get(), 100), "here\n");
  EXPECT_TRUE(WaitPidfd(spawned->pidfd.get()).ok());
}

TEST(Spawn, SignalStateIsDefaultInTheChildAndUntouchedHere) {
  sigset_t blocked, before, after;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto old_handler = signal(SIGUSR2, SIG_IGN);
  const auto outcome = RunProgram("/bin/cat", {"cat", "/proc/self/status"});
  pthread_sigmask(SIG_BLOCK, nullptr, &after);
  EXPECT_EQ(signal(SIGUSR2, old_handler), SIG_IGN);
  EXPECT_EQ(sigismember(&after, SIGUSR1), 1);
  EXPECT_EQ(sigismember(&after, SIGHUP), 0);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(outcome.ok());
  EXPECT_THAT(outcome->out, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(outcome->out, HasSubstr("SigIgn:\t0000000000000000"));
  EXPECT_THAT(outcome->out, HasSubstr("SigCgt:\t0000000000000000"));
}

TEST(Spawn, SessionIsNewOnlyIfAskedFor) {
  const std::string self_session = StrCat(getsid(0));
  const auto session = [](bool fresh) {
    const auto outcome = RunProgram(
        "/bin/sh", {"sh", "-c", "read a b c d e f g < /proc/$$/stat; echo $f"}, {}, fresh);
    return std::string(TrimSpace(outcome->out));
  };
  EXPECT_EQ(session(false), self_session);
  EXPECT_NE(session(true), self_session);
}

TEST(Spawn, ExecFailureIsTheErrorAndLeavesNoProcess) {
  testing::Scratch scratch;
  const std::string text = scratch.Write("not-executable", "x", 0644);
  const Fd file(open(text.c_str(), O_RDONLY | O_CLOEXEC));
  const auto denied = Spawn({.executable_fd = file.get(), .argv = {"x"}});
  EXPECT_EQ(denied.status().sys_errno(), EACCES);
  EXPECT_THAT(denied.status().message(), HasSubstr("execveat x"));
  const std::string garbage = scratch.Write("garbage",
                                            "\x7f"
                                            "ELFgarbage",
                                            0755);
  const Fd broken(open(garbage.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(Spawn({.executable_fd = broken.get(), .argv = {"x"}}).status().sys_errno(), ENOEXEC);
  EXPECT_EQ(Spawn({.executable_fd = 1 << 20, .argv = {"x"}}).status().sys_errno(), EBADF);
  // Nothing to wait for.
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG | __WALL), -1);
}

TEST(Spawn, RefusesWhatCannotBePassedOn) {
  const Fd sh = OpenProgram("/bin/sh");
  const std::string nul("a\0b", 3);
  EXPECT_EQ(Spawn({.executable_fd = sh.get(), .argv = {}}).status().field(), "argv");
  EXPECT_EQ(Spawn({.executable_fd = sh.get(), .argv = {nul}}).status().field(), "argv");
  EXPECT_EQ(Spawn({.executable_fd = sh.get(), .argv = {"sh"}, .env = {nul}}).status().field(),
            "env");
  EXPECT_EQ(
      Spawn({.executable_fd = sh.get(), .argv = {"sh"}, .fds = {{1, 5}, {2, 5}}}).status().field(),
      "fds");
  EXPECT_EQ(Spawn({.executable_fd = sh.get(), .argv = {"sh"}, .fds = {{1, -1}}}).status().field(),
            "fds");
}

std::atomic<int> fork_handlers_run = 0;

TEST(Spawn, RunsNoForkHandlersOfTheHost) {
  pthread_atfork([] { ++fork_handlers_run; }, [] { ++fork_handlers_run; },
                 [] { ++fork_handlers_run; });
  ASSERT_TRUE(RunProgram("/bin/true", {"true"}).ok());
  EXPECT_EQ(fork_handlers_run, 0);
}

TEST(Spawn, WorksFromManyThreadsAtOnce) {
  std::atomic<bool> stop = false;
  // Others open and close descriptors that exec would inherit, and allocate.
  std::thread noise([&] {
    while (!stop) {
      const Fd fd(open("/dev/null", O_RDONLY));
      std::vector<char> block(100'000, 'x');
    }
  });
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        const std::string word = StrCat(t, "-", i);
        const auto outcome =
            RunProgram("/bin/sh", {"sh", "-c", "echo $0; ls /proc/self/fd", word}, {"PATH=/bin"});
        if (outcome.ok() && outcome->out == word + "\n0\n1\n2\n" && outcome->result.code == 0)
          ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  stop = true;
  noise.join();
  EXPECT_EQ(good, 100);
}

TEST(Spawn, WorksOnASmallStack) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 * 1024);
  pthread_t thread;
  int code = -1;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* result) -> void* {
                  const auto outcome = RunProgram("/bin/sh", {"sh", "-c", "exit 3"});
                  *static_cast<int*>(result) = outcome.ok() ? outcome->result.code : -2;
                  return nullptr;
                },
                &code),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  EXPECT_EQ(code, 3);
}

TEST(WaitPidfd, TellsWhatItCanOfAChildThatTheHostReaped) {
  const Fd sh = OpenProgram("/bin/sh");
  auto spawned = Spawn({.executable_fd = sh.get(), .argv = {"sh", "-c", "exit 7"}});
  ASSERT_TRUE(spawned.ok());
  ASSERT_EQ(waitpid(spawned->pid, nullptr, 0), spawned->pid);
  const auto result = WaitPidfd(spawned->pidfd.get());
  if (result.ok()) {
    EXPECT_EQ(result->code, 7);  // Linux 6.15
  } else {
    EXPECT_EQ(result.status().sys_errno(), ECHILD);
  }
}

TEST(WaitPidfd, RefusesWhatIsNoChild) {
  EXPECT_FALSE(WaitPidfd(-1).ok());
  EXPECT_FALSE(WaitPidfd(0).ok());
}

TEST(Process, StartTimeIdentifiesALiveProcess) {
  const auto mine = ProcessStartTime(getpid());
  ASSERT_TRUE(mine.ok());
  EXPECT_GT(*mine, 0u);
  EXPECT_EQ(*ProcessStartTime(getpid()), *mine);
  EXPECT_TRUE(ProcessStartTime(1).ok());
  EXPECT_EQ(ProcessStartTime(99'999'999).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ProcessStartTime(-5).status().code(), StatusCode::kNotFound);
}

TEST(Process, BootIdIsAUuid) { EXPECT_EQ(BootId()->size(), 36u); }

}  // namespace
}  // namespace minibox::core
