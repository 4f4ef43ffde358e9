// SPDX-License-Identifier: Apache-2.0
// Processes started in containers that run: what they are, see and leave behind.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kForever = "while :; do sleep 1000 & wait $!; done";

// Output of a process that another thread reads.
class Transcript {
 public:
  OutputFn Sink() {
    return [this](const OutputChunk& chunk) {
      const std::lock_guard lock(mutex_);
      (chunk.stream == Stream::kStdout ? out_ : err_).append(chunk.bytes);
      changed_.notify_all();
      return Status();
    };
  }
  // Until the output holds `text`.
  void Await(std::string_view text) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return out_.find(text) != std::string::npos; });
  }
  std::string out() {
    const std::lock_guard lock(mutex_);
    return out_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string out_, err_;
};

class ExecTest : public RuntimeTest {
 protected:
  struct Result {
    std::string out, err;
    ExitStatus exit{};
  };
  static ExecSpec Script(std::string script) {
    ExecSpec spec;
    spec.command = {"sh", "-c", std::move(script)};
    return spec;
  }
  Result Exec(const ContainerId& id, const ExecSpec& spec) {
    Result result;
    const auto exit = runtime().Exec(id, spec, [&](const OutputChunk& chunk) {
      (chunk.stream == Stream::kStdout ? result.out : result.err).append(chunk.bytes);
      return Status();
    });
    EXPECT_TRUE(exit.ok()) << exit.status().ToString();
    if (exit.ok()) result.exit = *exit;
    return result;
  }
  std::string OutputOf(const ContainerId& id, const ExecSpec& spec) {
    const Result result = Exec(id, spec);
    EXPECT_EQ(result.exit.code, 0) << result.out << result.err;
    return result.out;
  }
  Status FailureOf(const ContainerId& id, const ExecSpec& spec) {
    return runtime().Exec(id, spec, [](const OutputChunk&) { return Status(); }).status();
  }
  ContainerInfo StartForever(ContainerSpec spec = Shell(kForever)) { return Start(spec); }
};

TEST_F(ExecTest, StreamsStayApartAndTheExitCodeIsTheCommands) {
  const ContainerInfo info = StartForever();
  const Result result = Exec(info.id, Script("echo out; echo err >&2; exit 7"));
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(result.exit.code, 7);
  EXPECT_EQ(result.exit.signal, 0);
  EXPECT_EQ(Log(info.id), "") << "output of an exec is not logged";
}

TEST_F(ExecTest, SignalsAreReportedAs128PlusN) {
  const ContainerInfo info = StartForever();
  const Result result = Exec(info.id, Script("kill -TERM $$"));
  EXPECT_EQ(result.exit.code, 143);
  EXPECT_EQ(result.exit.signal, SIGTERM);
}

TEST_F(ExecTest, AllNamespacesAndTheRootAreTheContainers) {
  const ContainerInfo info = StartForever();
  const std::string list =
      "for n in user mnt pid net ipc uts cgroup; do readlink /proc/$P/ns/$n; done; "
      "stat -L -c %d:%i /proc/$P/root/";
  ExecSpec own = Script(list), first = Script(list);
  own.env = {"P=self"};
  first.env = {"P=1"};
  // The init process of the container may not be looked into, so ask the workload, its child.
  first.command[2] = "P=2; " + list;
  EXPECT_EQ(OutputOf(info.id, own), OutputOf(info.id, first));
}

TEST_F(ExecTest, SecurityIsTheContainers) {
  ContainerSpec spec = Shell(kForever);
  spec.user = "www";
  spec.working_dir = "/data";
  spec.env = {"A=container", "B=container"};
  spec.ulimits = {{"nofile", "321:654"}};
  spec.resources.oom_score_adj = 123;
  spec.security.cap_add = {"NET_ADMIN"};
  spec.security.cap_drop = {"MKNOD"};
  const ContainerInfo info = StartForever(spec);
  const std::string look =
      "id; pwd; grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/$P/status; cat "
      "/proc/$P/oom_score_adj; grep -E '^Max (open|proc|core)' /proc/$P/limits; umask";
  ExecSpec exec = Script("P=self; " + look);
  const std::string ours = OutputOf(info.id, exec);
  EXPECT_THAT(ours, HasSubstr("uid=1000(www) gid=1000(www)"));
  EXPECT_THAT(ours, HasSubstr("/data\n"));
  EXPECT_THAT(ours, HasSubstr("NoNewPrivs:\t1\n"));
  EXPECT_THAT(ours, HasSubstr("Seccomp:\t2\n"));
  EXPECT_THAT(ours, HasSubstr("123\n"));
  exec.command[2] = "P=2; " + look;
  EXPECT_EQ(ours, OutputOf(info.id, exec)) << "differs from the workload";

  exec = Script("env");
  exec.env = {"B=exec", "C=exec", "A"};
  const std::string env = OutputOf(info.id, exec);
  EXPECT_THAT(env, HasSubstr("B=exec\n"));
  EXPECT_THAT(env, HasSubstr("C=exec\n"));
  EXPECT_THAT(env, Not(HasSubstr("A=container")));
  EXPECT_THAT(env, HasSubstr("PATH="));
  EXPECT_THAT(env, HasSubstr("USER=www\n"));
}

TEST_F(ExecTest, OverridesOfUserAndDirectory) {
  const ContainerInfo info = StartForever();
  ExecSpec exec = Script("id -u; pwd; echo $USER $HOME");
  exec.user = "www";
  exec.working_dir = "/tmp/";
  EXPECT_EQ(OutputOf(info.id, exec), "1000\n/tmp\nwww /home/www\n");
  exec.user = "12:34";
  EXPECT_EQ(OutputOf(info.id, exec), "12\n/tmp\n12 /\n");
}

TEST_F(ExecTest, PrivilegedHasAllCapabilitiesOfTheNamespaceAndNoFilter) {
  const ContainerInfo info = StartForever();
  ExecSpec exec = Script(
      "grep -E '^(CapEff|Seccomp:|NoNewPrivs)' /proc/self/status; "
      "mount -t tmpfs none /tmp && umount /tmp && echo mounted");
  const Result plain = Exec(info.id, exec);
  EXPECT_THAT(plain.out, Not(HasSubstr("mounted")));
  exec.privileged = true;
  const std::string out = OutputOf(info.id, exec);
  EXPECT_THAT(out, HasSubstr("ffffffff\n"));
  EXPECT_THAT(out, HasSubstr("Seccomp:\t0\n"));
  EXPECT_THAT(out, HasSubstr("NoNewPrivs:\t0\n"));
  EXPECT_THAT(out, HasSubstr("mounted\n"));
}

TEST_F(ExecTest, GroupsAreTheContainersSoThatItsLimitsHold) {
  ContainerSpec spec = Shell(kForever);
  spec.resources.pids = 8;
  const ContainerInfo info = StartForever(spec);
  const Result result =
      Exec(info.id, Script("i=0; while [ $i -lt 20 ]; do sleep 1000 & i=$((i+1)); done; wait"));
  EXPECT_NE(result.exit.code, 0);
  EXPECT_THAT(result.err, HasSubstr("can't fork"));
}

TEST_F(ExecTest, NoFileOfTheHostIsInReach) {
  const ContainerInfo info = StartForever();
  const std::string out = OutputOf(
      info.id, Script("ls -l /proc/self/fd | wc -l; readlink /proc/self/exe; readlink "
                      "/proc/self/cwd; readlink /proc/self/root; cat /proc/self/environ | wc -c"));
  // "total", 0, 1, 2 and the directory itself.
  EXPECT_THAT(out, ::testing::StartsWith("5\n/bin/busybox\n/\n/\n"));
}

TEST_F(ExecTest, LeakedDescriptorsAreNoWorkingDirectory) {
  // CVE-2024-21626: a directory of the engine that is open while the working directory is set.
  const ContainerInfo info = StartForever();
  for (int fd = 0; fd < 24; ++fd) {
    ExecSpec exec = Script("pwd");
    exec.working_dir = "/proc/self/fd/" + std::to_string(fd);
    const Status failure = FailureOf(info.id, exec);
    EXPECT_EQ(failure.code(), StatusCode::kInvalidArgument) << failure.ToString();
    EXPECT_EQ(failure.field(), "workdir") << failure.ToString();
  }
}

TEST_F(ExecTest, TheEngineIsNotReachedThroughAnExecOfItself) {
  // CVE-2019-5736: "/proc/self/exe" as command is the program that executes it.
  const ContainerInfo info = StartForever();
  ExecSpec exec;
  exec.command = {"/proc/self/exe"};
  // The sealed image, which finds that nobody of ours has started it. It cannot be written.
  const auto exit = runtime().Exec(info.id, exec, [](const OutputChunk&) { return Status(); });
  EXPECT_TRUE(!exit.ok() || exit->code == 2);
  // Watches every process that appears and tries to open what it is, for as long as execs come.
  ASSERT_EQ(OutputOf(info.id, Script("cat > /tmp/watch <<'X'\n"
                                     "while [ ! -e /tmp/stop ]; do for p in /proc/[0-9]*; do "
                                     "f=$(readlink $p/exe 2>/dev/null) || continue; case $f in "
                                     "*minibox*|*memfd*) echo $f >> /tmp/seen;; esac; "
                                     "done; done\nX\n"
                                     ": > /tmp/seen; setsid sh /tmp/watch >/dev/null 2>&1 & ")),
            "");
  for (int i = 0; i < 30; ++i) OutputOf(info.id, Script("true"));
  EXPECT_EQ(OutputOf(info.id, Script("touch /tmp/stop; cat /tmp/seen")), "");
}

TEST_F(ExecTest, WhatCannotBeExecutedIsAnErrorThatSaysWhy) {
  const ContainerInfo info = StartForever();
  ExecSpec exec;
  exec.command = {"no-such-program"};
  Status failure = FailureOf(info.id, exec);
  EXPECT_EQ(failure.reason(), "command_not_found") << failure.ToString();
  EXPECT_EQ(StartFailureExitCode(failure), 127);
  exec.command = {"/etc"};
  failure = FailureOf(info.id, exec);
  EXPECT_EQ(failure.reason(), "command_not_executable") << failure.ToString();
  EXPECT_EQ(StartFailureExitCode(failure), 126);
  exec = Script("true");
  exec.user = "nobody-here";
  EXPECT_EQ(FailureOf(info.id, exec).field(), "user");
  exec = Script("true");
  exec.working_dir = "/no/such/directory";
  EXPECT_EQ(FailureOf(info.id, exec).field(), "workdir");
  exec.command.clear();
  EXPECT_EQ(FailureOf(info.id, exec).reason(), "command_missing");
  exec = Script("true");
  exec.env = {"=x"};
  EXPECT_EQ(FailureOf(info.id, exec).field(), "env[0]");
}

TEST_F(ExecTest, OnlyARunningContainerTakesOne) {
  const auto created = runtime().Create(Shell("exit 0"));
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(FailureOf(created->id, Script("true")).reason(), "container_not_running");
  ASSERT_TRUE(runtime().Start(created->id).ok());
  ASSERT_TRUE(runtime().Wait(created->id).ok());
  EXPECT_EQ(FailureOf(created->id, Script("true")).reason(), "container_not_running");
  EXPECT_EQ(FailureOf(*ContainerId::Parse("ffffffff"), Script("true")).reason(),
            "container_not_found");
}

TEST_F(ExecTest, EndsWith137WhenTheContainerEnds) {
  const ContainerInfo info = StartForever();
  ExecSpec exec = Script("echo ready; exec sleep 1000");
  auto process = runtime().StartExec(info.id, exec);
  ASSERT_TRUE(process.ok()) << process.status().ToString();
  const auto exit = process->Wait([&](const OutputChunk&) { return runtime().Kill(info.id); });
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 137);
}

TEST_F(ExecTest, DescendantsBelongToPid1AfterItsEnd) {
  const ContainerInfo info = StartForever();
  const std::string pid = OutputOf(
      info.id, Script("setsid sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' & wait_for=$!; "
                      "while [ \"$(cat /proc/$wait_for/comm)\" != sleep ]; do :; done"));
  EXPECT_EQ(OutputOf(info.id,
                     Script("awk '{print $4}' /proc/" + pid.substr(0, pid.size() - 1) + "/stat")),
            "1\n");
  EXPECT_EQ(OutputOf(info.id, Script("cat /proc/self/cgroup | grep -c exec-")), "1\n")
      << "an exec's own group";
  EXPECT_EQ(OutputOf(info.id, Script("grep -c exec- /proc/" + pid.substr(0, pid.size() - 1) +
                                     "/cgroup; true")),
            "0\n")
      << "what it leaves is the container's";
}

TEST_F(ExecTest, OutputThatADescendantHoldsOpenDoesNotHoldUpTheEnd) {
  const ContainerInfo info = StartForever();
  EXPECT_EQ(OutputOf(info.id, Script("setsid sleep 1000 & echo done")), "done\n");
}

TEST_F(ExecTest, CancelKillsItWithAllItsDescendants) {
  const ContainerInfo info = StartForever();
  // One that has left the session, one whose parent is gone, and one that forks for ever.
  ExecSpec exec = Script(
      "setsid sh -c 'sleep 7777 & sleep 7777'  & (sleep 7777 & ) ; "
      "setsid sh -c 'while :; do sleep 7777 & kill $!; done' 2>/dev/null & echo ready; sleep 7777");
  std::stop_source stop;
  const auto exit = runtime().Exec(
      info.id, exec,
      [&](const OutputChunk&) {
        stop.request_stop();
        return Status();
      },
      stop.get_token());
  EXPECT_EQ(exit.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(OutputOf(info.id, Script("ps | grep -c '[7]777'; true")), "0\n");
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kRunning);
}

TEST_F(ExecTest, FailureOfTheSinkKillsToo) {
  const ContainerInfo info = StartForever();
  const auto exit =
      runtime().Exec(info.id, Script("sleep 7777 & echo x; sleep 7777"),
                     [](const OutputChunk&) { return Status(StatusCode::kAborted, "enough"); });
  EXPECT_EQ(exit.status().code(), StatusCode::kAborted);
  EXPECT_EQ(OutputOf(info.id, Script("ps | grep -c '[7]777'; true")), "0\n");
}

TEST_F(ExecTest, StdinIsAPipeUntilItIsClosed) {
  const ContainerInfo info = StartForever();
  EXPECT_EQ(OutputOf(info.id, Script("cat; echo end")), "end\n") << "empty by default";
  ExecSpec exec = Script("cat; echo end");
  exec.open_stdin = true;
  auto process = runtime().StartExec(info.id, exec);
  ASSERT_TRUE(process.ok()) << process.status().ToString();
  const std::string big(3 << 20, 'x');
  std::thread writer([&] {
    EXPECT_TRUE(process->Write(big).ok());
    EXPECT_TRUE(process->CloseStdin().ok());
    EXPECT_EQ(process->Write("more").reason(), "container_not_running");
  });
  std::string out;
  const auto exit = process->Wait([&](const OutputChunk& chunk) {
    out.append(chunk.bytes);
    return Status();
  });
  writer.join();
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(out.size(), big.size() + 4);
  EXPECT_EQ(process->Resize({10, 20}).reason(), "no_terminal");
}

TEST_F(ExecTest, WritersAreWokenUpByTheEnd) {
  const ContainerInfo info = StartForever();
  ExecSpec exec = Script("exec sleep 1000");
  exec.open_stdin = true;
  auto process = runtime().StartExec(info.id, exec);
  ASSERT_TRUE(process.ok());
  std::thread writer([&] {
    EXPECT_EQ(process->Write(std::string(8 << 20, 'x')).reason(), "container_not_running");
  });
  EXPECT_TRUE(process->Signal(SIGINT).ok());
  const auto exit = process->Wait([](const OutputChunk&) { return Status(); });
  writer.join();
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit->code, 130);
}

TEST_F(ExecTest, FloodsArriveComplete) {
  const ContainerInfo info = StartForever();
  size_t bytes = 0;
  const auto exit =
      runtime().Exec(info.id, Script("head -c 100000000 /dev/zero"), [&](const OutputChunk& chunk) {
        bytes += chunk.bytes.size();
        return Status();
      });
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit->code, 0);
  EXPECT_EQ(bytes, 100000000u);
}

TEST_F(ExecTest, ASlowSinkSlowsTheCommand) {
  const ContainerInfo info = StartForever();
  // More than all buffers hold: it can be done only when somebody has read.
  auto process =
      runtime().StartExec(info.id, Script("head -c 10000000 /dev/zero; touch /tmp/done"));
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(OutputOf(info.id, Script("ls /tmp")), "");
  size_t bytes = 0;
  ASSERT_TRUE(process
                  ->Wait([&](const OutputChunk& chunk) {
                    bytes += chunk.bytes.size();
                    return Status();
                  })
                  .ok());
  EXPECT_EQ(bytes, 10000000u);
  EXPECT_EQ(OutputOf(info.id, Script("ls /tmp")), "done\n");
}

TEST_F(ExecTest, TerminalsAreOfTheContainersDevptsAndControlTheSession) {
  const ContainerInfo info = StartForever();
  ExecSpec exec = Script(
      "tty; stty size; ps -o pid,pgid,sid,tty | awk -v p=$$ '$1==p {print "
      "($2==p) ($3==p)}'; echo $TERM; stat -c %u:%g $(tty); exec 3</dev/tty && "
      "echo controlling");
  exec.tty = true;
  exec.user = "www";
  exec.size = {33, 111};
  const Result result = Exec(info.id, exec);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, ::testing::StartsWith("/dev/pts/0\r\n33 111\r\n"));
  EXPECT_THAT(result.out, HasSubstr("xterm\r\n1000:5\r\ncontrolling\r\n"));
}

TEST_F(ExecTest, TerminalsTakeInputSizesAndControlCharacters) {
  const ContainerInfo info = StartForever();
  ExecSpec exec;
  exec.command = {"sh", "-i"};
  exec.tty = true;
  exec.env = {"PS1=$ "};
  auto process = runtime().StartExec(info.id, exec);
  ASSERT_TRUE(process.ok()) << process.status().ToString();
  Transcript transcript;
  StatusOr<ExitStatus> exit = Status(StatusCode::kUnknown, "");
  std::thread reader([&] { exit = process->Wait(transcript.Sink()); });
  transcript.Await("$ ");
  EXPECT_TRUE(process->Resize({50, 160}).ok());
  EXPECT_TRUE(process->Write("stty size; echo size$((1+1))\n").ok());
  transcript.Await("size2");
  EXPECT_THAT(transcript.out(), HasSubstr("50 160\r\n"));
  // ctrl-c ends the foreground job, not the shell.
  EXPECT_TRUE(process->Write("sh -c 'echo go$((1+2)); exec sleep 7777'\n").ok());
  transcript.Await("go3");
  EXPECT_TRUE(process->Write("\x03").ok());
  EXPECT_TRUE(process->Write("echo int$?\n").ok());
  transcript.Await("int130");
  // ctrl-z stops it.
  EXPECT_TRUE(process->Write("sh -c 'echo go$((1+3)); exec sleep 7776'\n").ok());
  transcript.Await("go4");
  EXPECT_TRUE(process->Write("\x1a").ok());
  EXPECT_TRUE(process->Write("jobs; echo job$((1+4))\n").ok());
  transcript.Await("job5");
  EXPECT_THAT(transcript.out(), HasSubstr("Stopped"));
  EXPECT_TRUE(process->Signal(SIGHUP).ok());
  reader.join();
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 129) << transcript.out();
}

TEST_F(ExecTest, TheEndOfInputOnATerminalIsItsEndOfFileCharacter) {
  const ContainerInfo info = StartForever();
  for (const char* input : {"line\n", "unterminated"}) {
    ExecSpec exec = Script("stty -echo; cat; echo end");
    exec.tty = true;
    auto process = runtime().StartExec(info.id, exec);
    ASSERT_TRUE(process.ok());
    ASSERT_TRUE(process->Write(input).ok());
    ASSERT_TRUE(process->CloseStdin().ok());
    std::string out;
    const auto exit = process->Wait([&](const OutputChunk& chunk) {
      out.append(chunk.bytes);
      return Status();
    });
    ASSERT_TRUE(exit.ok());
    EXPECT_THAT(out, HasSubstr("end\r\n")) << input;
  }
}

TEST_F(ExecTest, DetachedOnesGoOnWithoutUs) {
  const ContainerInfo info = StartForever();
  ExecSpec exec = Script("while [ ! -e /tmp/go ]; do sleep 0.01; done; echo lost; id > /tmp/done");
  exec.detached = true;
  {
    const auto process = runtime().StartExec(info.id, exec);
    ASSERT_TRUE(process.ok()) << process.status().ToString();
  }
  EXPECT_THAT(
      OutputOf(info.id,
               Script("touch /tmp/go; while [ ! -s /tmp/done ]; do :; done; cat /tmp/done")),
      HasSubstr("uid=0"));
  exec.tty = true;
  EXPECT_EQ(FailureOf(info.id, exec).field(), "detached");
}

TEST_F(ExecTest, FiftyAtOnce) {
  const ContainerInfo info = StartForever();
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&, i] {
      std::string out;
      const auto exit = runtime().Exec(
          info.id, Script("echo " + std::to_string(i) + "; exit " + std::to_string(i % 7)),
          [&](const OutputChunk& chunk) {
            out.append(chunk.bytes);
            return Status();
          });
      right += exit.ok() && exit->code == i % 7 && out == std::to_string(i) + "\n";
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 50);
  EXPECT_EQ(OutputOf(info.id, Script("ls -d /sys/fs/cgroup/*/exec-* /sys/fs/cgroup/exec-* "
                                     "2>/dev/null | wc -l")),
            "1\n")
      << "groups of execs that have ended are gone";
}

TEST_F(ExecTest, ContainersThatEndMeanwhileAreNoTrouble) {
  for (int i = 0; i < 10; ++i) {
    const ContainerInfo info = StartForever();
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) {
      threads.emplace_back([&] {
        while (true) {
          const auto exit = runtime().Exec(info.id, Script("exit 3"),
                                           [](const OutputChunk&) { return Status(); });
          if (exit.ok() && (exit->code == 3 || exit->code == 137)) continue;
          EXPECT_EQ(exit.status().reason(), "container_not_running") << exit.status().ToString();
          break;
        }
      });
    }
    EXPECT_TRUE(runtime().Kill(info.id).ok());
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_F(ExecTest, WithTheHostsIds) {
  ContainerSpec spec = Shell(kForever);
  spec.security.host_userns = true;
  const ContainerInfo info = StartForever(spec);
  EXPECT_EQ(OutputOf(info.id, Script("id -u; cat /proc/self/uid_map | awk '{print $2}'")),
            "0\n0\n");
}

TEST_F(ExecTest, WithoutInitProcess) {
  ContainerSpec spec = Shell(kForever);
  spec.init = false;
  const ContainerInfo info = StartForever(spec);
  EXPECT_EQ(OutputOf(info.id, Script("cat /proc/1/comm")), "sh\n");
}

}  // namespace
}  // namespace minibox::testing
