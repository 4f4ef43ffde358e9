// SPDX-License-Identifier: Apache-2.0
// How long a container takes to start and to end, cold: nothing prepared but the image.
//
// Models an embedder that runs one short program per request. `started` is the time from the
// library call until the workload has been exec'd and the record is durable; `finished` until its
// exit is recorded and known to the caller. Good numbers here: 4-10 ms started with network, less
// without. Runs in a network namespace of its own and a temporary data root.
//
//   container_start_bench [--benchmark_…]
#include <benchmark/benchmark.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "minibox/minibox.h"

namespace {

using Clock = std::chrono::steady_clock;

// Microseconds by step, gathered from the library's debug records "launch <step> <µs>".
class Breakdown {
 public:
  void Add(std::string_view message) {
    constexpr std::string_view kPrefix = "launch ";
    if (!message.starts_with(kPrefix)) return;
    message.remove_prefix(kPrefix.size());
    const size_t space = message.rfind(' ');
    if (space == std::string_view::npos) return;
    const std::lock_guard lock(mutex_);
    const std::string step(message.substr(0, space));
    if (!samples_.contains(step)) order_.push_back(step);
    samples_[step].push_back(std::atof(std::string(message.substr(space + 1)).c_str()));
  }
  void Print(const char* title) {
    const std::lock_guard lock(mutex_);
    std::printf("\n%s, by step (µs: min, median)\n", title);
    for (const auto& step : order_) {
      auto& values = samples_[step];
      std::sort(values.begin(), values.end());
      std::printf("  %-28s %9.0f %9.0f\n", step.c_str(), values.front(), values[values.size() / 2]);
    }
    order_.clear();
    samples_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> order_;
  std::map<std::string, std::vector<double>> samples_;
};

Breakdown breakdown;

[[noreturn]] void Fail(const minibox::Status& status) {
  std::fprintf(stderr, "container_start_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T OrFail(minibox::StatusOr<T> result) {
  if (!result.ok()) Fail(result.status());
  return std::move(*result);
}

struct Engine {
  std::string root;
  minibox::Runtime runtime;
  minibox::Network network;
};

Engine Open() {
  char pattern[] = "/tmp/minibox-bench-XXXXXX";
  const std::string root = mkdtemp(pattern);
  const std::string context = root + "/context";
  std::filesystem::create_directories(context + "/root/bin");
  std::filesystem::copy_file("/bin/busybox", context + "/root/bin/busybox");
  std::filesystem::create_symlink("busybox", context + "/root/bin/true");
  if (std::system(("tar -C " + context + "/root -cf " + context + "/base.tar .").c_str()) != 0) {
    std::exit(1);
  }
  auto store = OrFail(minibox::Store::Open({.root = root + "/data"}));
  auto network = OrFail(minibox::Network::Open({.state_dir = root + "/data/networks"}));
  auto runtime = OrFail(minibox::Runtime::Open(store, network));
  auto builder = OrFail(minibox::ImageBuilder::Create(store, runtime));
  OrFail(builder.Build({.image = "bench", .file_text = "BASE base.tar", .context = context}));
  return {root, runtime, network};
}

Engine& engine() {
  static Engine opened = Open();
  return opened;
}

void Start(benchmark::State& state, const char* network) {
  std::vector<double> finished;
  for (auto _ : state) {
    minibox::ContainerSpec spec{.image = "bench", .command = {"/bin/true"}, .network = network};
    const auto begin = Clock::now();
    const auto info = OrFail(engine().runtime.Run(spec));
    const auto started = Clock::now();
    OrFail(engine().runtime.Wait(info.id));
    const auto ended = Clock::now();
    state.SetIterationTime(std::chrono::duration<double>(started - begin).count());
    finished.push_back(std::chrono::duration<double, std::milli>(ended - begin).count());
    if (auto removed = engine().runtime.Remove(info.id); !removed.ok()) Fail(removed);
  }
  std::sort(finished.begin(), finished.end());
  state.counters["finished_ms_min"] = finished.front();
  state.counters["finished_ms_median"] = finished[finished.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::perror("container_start_bench: needs root: unshare");
    return 1;
  }
  minibox::SetLogSink([](const minibox::LogRecord& record) { breakdown.Add(record.message); });
  benchmark::Initialize(&argc, argv);
  for (const char* network : {"none", "bridge"}) {
    benchmark::RegisterBenchmark((std::string("Started/network:") + network).c_str(), Start,
                                 network)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond)
        ->Iterations(60)
        ->Repetitions(3)
        ->ReportAggregatesOnly();
  }
  benchmark::RunSpecifiedBenchmarks();
  breakdown.Print("Start");
  (void)engine().network.Remove("bridge");
  std::filesystem::remove_all(engine().root);
  return 0;
}
