// SPDX-License-Identifier: Apache-2.0
// How long an exec of a program that does nothing takes in a container that runs, from the call
// until its exit status is known, beside the floor: a fork of this small process, setns on the
// pidfd, a fork into the pid namespace, exec of the same program, two waits. Good: the minimum at
// most twice the floor's (spec: exec of a static `true`). Runs in a mount namespace of its own.
//
//   exec_bench [rounds]
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "minibox/minibox.h"

extern "C" {  // it says so itself only since glibc 2.37
#include <sys/pidfd.h>
}

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void Fail(const minibox::Status& status) {
  std::fprintf(stderr, "exec_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T OrFail(minibox::StatusOr<T> result) {
  if (!result.ok()) Fail(result.status());
  return std::move(*result);
}

void Measure(const char* name, int rounds, const std::function<void()>& once) {
  std::vector<double> micros;
  for (int i = 0; i < rounds; ++i) {
    const auto begin = Clock::now();
    once();
    micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  std::sort(micros.begin(), micros.end());
  std::printf("%-24s min %7.0f us  median %7.0f us\n", name, micros.front(),
              micros[micros.size() / 2]);
}

void Floor(int pid1) {
  const pid_t child = fork();
  if (child == 0) {
    const int pidfd = pidfd_open(pid1, 0);
    if (setns(pidfd, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                         CLONE_NEWUTS | CLONE_NEWCGROUP) != 0) {
      _exit(1);
    }
    const pid_t inner = vfork();
    if (inner == 0) {
      execl("/bin/true", "/bin/true", nullptr);
      _exit(127);
    }
    int status = 0;
    _exit(waitpid(inner, &status, 0) == inner && status == 0 ? 0 : 1);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 300;
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::perror("exec_bench: needs root: unshare");
    return 1;
  }
  char pattern[] = "/tmp/minibox-bench-XXXXXX";
  const std::string root = mkdtemp(pattern), context = root + "/context";
  std::filesystem::create_directories(context + "/root/bin");
  std::filesystem::copy_file("/bin/busybox", context + "/root/bin/busybox");
  std::filesystem::create_symlink("busybox", context + "/root/bin/true");
  std::filesystem::create_symlink("busybox", context + "/root/bin/sleep");
  if (std::system(("tar -C " + context + "/root -cf " + context + "/base.tar .").c_str()) != 0) {
    return 1;
  }
  {
    auto store = OrFail(minibox::Store::Open({.root = root + "/data"}));
    auto network = OrFail(minibox::Network::Open({.state_dir = root + "/data/networks"}));
    auto runtime = OrFail(minibox::Runtime::Open(store, network));
    auto builder = OrFail(minibox::ImageBuilder::Create(store, runtime));
    OrFail(builder.Build({.image = "bench", .file_text = "BASE base.tar", .context = context}));
    const auto info = OrFail(
        runtime.Run({.image = "bench", .command = {"/bin/sleep", "100000"}, .network = "none"}));
    Measure("floor: setns and exec", rounds, [&] { Floor(info.pid); });
    const minibox::ExecSpec spec{.command = {"/bin/true"}};
    Measure("exec", rounds, [&] {
      OrFail(runtime.Exec(info.id, spec,
                          [](const minibox::OutputChunk&) { return minibox::Status(); }));
    });
    if (const auto removed = runtime.Remove(info.id, /*force=*/true); !removed.ok()) Fail(removed);
  }
  std::filesystem::remove_all(root);
  return 0;
}
