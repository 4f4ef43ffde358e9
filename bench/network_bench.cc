// SPDX-License-Identifier: Apache-2.0
// What a network costs.
//
//   set-up     namespace, veth, address, route, rules of one container, from Reserve to Release
//   publish    one port when N are published already: a start with it less one without
//   names      answers per second of a network's name server, one asker with 64 questions at once
//
// Good numbers here: publishing takes as long with 10,000 ports as with none, and at most 1 ms;
// 20,000 answers a second. Runs in a network namespace and a temporary directory of its own, as
// root.
//
//   network_bench [--benchmark_…]
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "minibox/minibox.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Engine {
  minibox::Store store;
  minibox::Network network;
  minibox::Runtime runtime;
  std::string image;
};
Engine* engine = nullptr;

template <typename T>
T Must(minibox::StatusOr<T> value, const char* what) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s: %s\n", what, value.status().ToString().c_str());
    std::exit(1);
  }
  return std::move(*value);
}

minibox::ContainerSpec Sleeper() {
  minibox::ContainerSpec spec;
  spec.image = engine->image;
  spec.command = {"sleep", "1000"};
  return spec;
}

void Remove(const minibox::ContainerInfo& info) {
  const minibox::Status removed = engine->runtime.Remove(info.id, /*force=*/true);
  if (!removed.ok()) std::fprintf(stderr, "remove: %s\n", removed.ToString().c_str());
}

// Starts with as many ports as state.range(1) while state.range(0) are published.
void Start(benchmark::State& state) {
  std::vector<minibox::ContainerInfo> holders;
  int64_t left = state.range(0);
  for (uint16_t base = 10000; left > 0; base = static_cast<uint16_t>(base + 1000)) {
    minibox::ContainerSpec holder = Sleeper();
    for (uint16_t i = 0; i < 1000 && left > 0; ++i, --left) {
      holder.ports.push_back({"", static_cast<uint16_t>(base + i), 80});
    }
    holders.push_back(Must(engine->runtime.Run(holder), "holder"));
  }
  minibox::ContainerSpec spec = Sleeper();
  for (int64_t i = 0; i < state.range(1); ++i) {
    spec.ports.push_back({"", static_cast<uint16_t>(8000 + i), 80});
  }
  for (auto _ : state) {
    const auto begin = Clock::now();
    const minibox::ContainerInfo info = Must(engine->runtime.Run(spec), "run");
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - begin).count());
    Remove(info);
  }
  for (const minibox::ContainerInfo& holder : holders) Remove(holder);
}
BENCHMARK(Start)
    ->ArgNames({"published", "ports"})
    ->Args({0, 0})
    ->Args({0, 1})
    ->Args({10000, 0})
    ->Args({10000, 1})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(40);

// Questions from inside of a container's network namespace.
void Names(benchmark::State& state) {
  minibox::ContainerSpec spec = Sleeper();
  spec.name = "web";
  const minibox::ContainerInfo info = Must(engine->runtime.Run(spec), "run");
  const std::string netns = "/proc/" + std::to_string(info.pid) + "/ns/net";
  FILE* inside = std::fopen(netns.c_str(), "re");
  FILE* home = std::fopen("/proc/thread-self/ns/net", "re");
  if (inside == nullptr || home == nullptr || setns(fileno(inside), CLONE_NEWNET) != 0) {
    std::perror(netns.c_str());
    std::exit(1);
  }
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (setns(fileno(home), CLONE_NEWNET) != 0) std::exit(1);
  std::fclose(inside);
  std::fclose(home);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  inet_pton(AF_INET, info.gateway.c_str(), &address.sin_addr);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::exit(1);
  constexpr char kQuestion[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\3web\0\0\1\0\1";
  constexpr int kAtOnce = 64;
  int64_t answers = 0;
  for (auto _ : state) {
    for (int i = 0; i < kAtOnce; ++i) {
      if (send(fd, kQuestion, sizeof kQuestion - 1, 0) < 0) std::exit(1);
    }
    for (int i = 0; i < kAtOnce; ++i) {
      char reply[512];
      pollfd waited = {fd, POLLIN, 0};
      if (poll(&waited, 1, 5000) != 1 || recv(fd, reply, sizeof reply, 0) < 12 || reply[7] != 1) {
        state.SkipWithError("no answer");
        break;
      }
      ++answers;
    }
  }
  state.SetItemsProcessed(answers);
  close(fd);
  Remove(info);
}
BENCHMARK(Names)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  rlimit files = {65536, 65536};
  if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      setrlimit(RLIMIT_NOFILE, &files) != 0) {
    std::perror("network_bench: needs root");
    return 1;
  }
  std::string root = "/tmp/minibox-network-bench-XXXXXX";
  if (mkdtemp(root.data()) == nullptr) return 1;
  const std::string context = root + "/context";
  std::filesystem::create_directories(context + "/root/bin");
  std::filesystem::copy_file("/bin/busybox", context + "/root/bin/busybox");
  std::filesystem::create_symlink("busybox", context + "/root/bin/sleep");
  if (std::system(("tar -C " + context + "/root -cf " + context + "/base.tar .").c_str()) != 0) {
    return 1;
  }
  minibox::Store store = Must(minibox::Store::Open({.root = root + "/data"}), "store");
  minibox::Network network =
      Must(minibox::Network::Open({.state_dir = root + "/data/networks"}), "network");
  minibox::Runtime runtime =
      Must(minibox::Runtime::Open(store, network, {.run_dir = root + "/run"}), "runtime");
  minibox::ImageBuilder builder = Must(minibox::ImageBuilder::Create(store, runtime), "builder");
  Must(builder.Build({.image = "bench", .file_text = "BASE base.tar", .context = context}),
       "build");
  Engine opened{store, network, runtime, "bench"};
  engine = &opened;
  benchmark::RunSpecifiedBenchmarks();
  engine = nullptr;
  (void)network.Remove("bridge");
  std::filesystem::remove_all(root);
  return 0;
}
