// SPDX-License-Identifier: Apache-2.0
// What a network costs.
//
//   SetUp       a start on the default network less one with network "none" (address, veth, route,
//   rules
//               and records), beside the floor: the bare system calls for veth, address and route
//   Start       one port when N are published already: a start with it less one without
//   Names       answers per second of a network's name server, one asker with 64 questions at once
//   Throughput  bytes per second of one TCP connection from the host into a namespace: over a bare
//   veth
//               pair, over one at a bare bridge, through a published port
//   Many        so many containers on a network, started and removed
//
// Good numbers here: a set-up at most twice its floor; publishing takes as long with 10,000 ports
// as with none, and at most 1 ms; 20,000 answers a second; 0.95 of the throughput of the same path
// without us. Runs in a network namespace and a temporary directory of its own, as root.
//
//   network_bench [--benchmark_…]
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <linux/netlink.h>
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
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/fd.h"
#include "kernel/rtnetlink.h"
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

double Seconds(const std::function<void()>& function) {
  const auto begin = Clock::now();
  function();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}
double Least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

// A network namespace that lives as long as its descriptor.
struct Namespace {
  minibox::core::Fd netns, rtnetlink;
  Namespace() {
    std::thread([this] {
      if (unshare(CLONE_NEWNET) != 0) std::exit(1);
      netns.reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
      rtnetlink.reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    }).join();
  }
};

void Must(const minibox::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, status.ToString().c_str());
  std::exit(1);
}

// A veth from here into the namespace, at a bridge (0: none), and the inner end's address and
// route.
void Connect(minibox::kernel::Rtnetlink& host, const Namespace& inside, int bridge,
             const std::string& name, uint32_t address) {
  auto within = Must(minibox::kernel::Rtnetlink::Wrap(inside.rtnetlink.get()), "wrap");
  minibox::kernel::VethSpec veth;
  veth.name = name;
  veth.master = bridge;
  veth.peer_name = "eth0";
  veth.peer_mac = {
      2, 0x42, 0, 0, static_cast<uint8_t>(address >> 8), static_cast<uint8_t>(address)};
  veth.peer_netns = inside.netns.get();
  Must(host.CreateVeth(veth), "veth");
  Must(within.SetUpEndpoint({address, 16, Must(within.GetLink("eth0"), "eth0").index},
                            (address & 0xffff0000) | 1),
       "endpoint");
}

int MakeBridge(minibox::kernel::Rtnetlink& host, const std::string& name, uint32_t address) {
  minibox::kernel::BridgeSpec spec;
  spec.name = name;
  Must(host.CreateBridge(spec), "bridge");
  const int index = Must(host.GetLink(name), "bridge").index;
  minibox::kernel::LinkChange change;
  change.index = index;
  change.up = true;
  Must(host.SetLink(change), "bridge up");
  Must(host.AddAddress({address, 16, index}), "bridge address");
  return index;
}

void SetUp(benchmark::State& state) {
  minibox::ContainerSpec none = Sleeper(), bridged = Sleeper();
  none.network = "none";
  auto host = Must(minibox::kernel::Rtnetlink::Open(), "rtnetlink");
  const int bridge = MakeBridge(host, "floor0", 0x0a590001);
  // The bridge, the rules and the name server are there before.
  Remove(Must(engine->runtime.Run(bridged), "run"));
  std::vector<double> without, with, floor;
  uint32_t n = 2;
  for (auto _ : state) {
    // One after the other: the machine changes more than they differ.
    for (const bool bridge_too : {false, true}) {
      std::optional<minibox::ContainerInfo> info;
      const minibox::ContainerSpec& spec = bridge_too ? bridged : none;
      const double took = Seconds([&] { info = Must(engine->runtime.Run(spec), "run"); });
      (bridge_too ? with : without).push_back(1e6 * took);
      Remove(*info);
    }
    const Namespace inside;
    floor.push_back(1e6 * Seconds([&] {
                      Connect(host, inside, bridge, "floor-" + std::to_string(n), 0x0a590000 + n);
                    }));
    ++n;
    state.SetIterationTime(1e-6 * (with.back() - without.back()));
  }
  (void)host.DeleteLink("floor0");
  state.counters["none_median_us"] = Median(without);
  state.counters["bridge_median_us"] = Median(with);
  state.counters["added_median_us"] = Median(with) - Median(without);
  state.counters["added_least_us"] = Least(with) - Least(without);
  state.counters["floor_median_us"] = Median(floor);
  state.counters["floor_least_us"] = Least(floor);
}
BENCHMARK(SetUp)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(200);

void Many(benchmark::State& state) {
  const auto containers = state.range(0);
  minibox::NetworkSpec network;
  network.name = "many";
  network.subnet = "10.77.0.0/20";
  Must(engine->network.Create(network), "network");
  minibox::ContainerSpec spec = Sleeper();
  spec.network = network.name;
  for (auto _ : state) {
    std::vector<minibox::ContainerInfo> all;
    const double started = Seconds([&] {
      for (int64_t i = 0; i < containers; ++i)
        all.push_back(Must(engine->runtime.Run(spec), "run"));
    });
    const double removed = Seconds([&] {
      for (const minibox::ContainerInfo& info : all) Remove(info);
    });
    state.counters["starts_per_s"] = static_cast<double>(containers) / started;
    state.counters["removals_per_s"] = static_cast<double>(containers) / removed;
  }
  const minibox::Status gone = engine->network.Remove(network.name);
  if (!gone.ok()) state.SkipWithError(gone.ToString().c_str());
}
BENCHMARK(Many)->Arg(50)->Arg(1000)->UseRealTime()->Unit(benchmark::kSecond)->Iterations(1);

// What a receiver in `netns` on `port` gets from a sender here that connects to `ip`:`to`.
void Transfer(benchmark::State& state, int netns, uint16_t port, const std::string& ip,
              uint16_t to) {
  minibox::core::Fd listener;
  std::thread([&] {
    if (setns(netns, CLONE_NEWNET) != 0) std::exit(1);
    listener.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }).join();
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener.get(), 1) != 0) {
    std::perror("listen");
    std::exit(1);
  }
  minibox::core::Fd sender(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  address.sin_port = htons(to);
  inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  if (connect(sender.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::perror(ip.c_str());
    std::exit(1);
  }
  const minibox::core::Fd receiver(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::thread drain([&receiver] {
    std::vector<char> buffer(1 << 20);
    while (read(receiver.get(), buffer.data(), buffer.size()) > 0) {
    }
  });
  const std::vector<char> chunk(256 << 10);
  int64_t bytes = 0;
  for (auto _ : state) {
    const ssize_t sent = write(sender.get(), chunk.data(), chunk.size());
    if (sent < 0) break;
    bytes += sent;
  }
  state.SetBytesProcessed(bytes);
  sender.reset();
  drain.join();
}

// Over a veth pair, and with `bridge` over one at a bridge, as a container's is.
void ThroughputBare(benchmark::State& state) {
  const bool bridged = state.range(0) != 0;
  auto host = Must(minibox::kernel::Rtnetlink::Open(), "rtnetlink");
  {
    const Namespace inside;
    const int bridge = bridged ? MakeBridge(host, "bare-bridge", 0x0a580001) : 0;
    Connect(host, inside, bridge, "bare", 0x0a580002);
    if (!bridged) {
      const int index = Must(host.GetLink("bare"), "bare").index;
      Must(host.AddAddress({0x0a580001, 16, index}), "address");
    }
    Must(host.AwaitRunning("bare", std::chrono::seconds(5)), "bare");
    Transfer(state, inside.netns.get(), 5001, "10.88.0.2", 5001);
  }
  if (bridged) Must(host.DeleteLink("bare-bridge"), "bridge");
  (void)host.DeleteLink("bare");  // or it went with its namespace
}

minibox::core::Fd NetnsOf(int64_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/net";
  return minibox::core::Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

void ThroughputPublished(benchmark::State& state) {
  minibox::ContainerSpec spec = Sleeper();
  spec.ports.push_back({"", 5002, 5001});
  const minibox::ContainerInfo info = Must(engine->runtime.Run(spec), "run");
  Transfer(state, NetnsOf(info.pid).get(), 5001, info.gateway, 5002);
  Remove(info);
}

// One beside the other, several times.
[[maybe_unused]] const bool kThroughputRegistered = [] {
  for (int round = 0; round < 5; ++round) {
    const std::string n = std::to_string(round);
    const auto add = [&](const std::string& name, void (*function)(benchmark::State&)) {
      return benchmark::RegisterBenchmark((name + "/" + n).c_str(), function)
          ->UseRealTime()
          ->MinTime(1);
    };
    add("ThroughputBarePair", ThroughputBare)->Arg(0);
    add("ThroughputBareBridge", ThroughputBare)->Arg(1);
    add("ThroughputPublished", ThroughputPublished);
  }
  return true;
}();

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
  // A container with 1,000 ports needs as many sockets.
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
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
