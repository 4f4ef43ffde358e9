// SPDX-License-Identifier: Apache-2.0
// How long builds take where nothing, or little, has changed.
//
// Models a developer who builds again after every edit, with a context of 20,000 files of 400
// bytes in 200 directories; a first build of five blocks, each of a COPY and a RUN; the export of a
// layer of 500 MB, told by the build's own "[finalize] done"; a file of 1,000 blocks. Good numbers,
// on two quiet cores: unchanged <= 60 ms, one file changed <= 250 ms and the RUN, a plan of 1,000
// blocks <= 50 ms, a layer at the speed of two cores' deflate. No network is used; needs root and
// busybox-static; temporary data root.
//
//   build_bench [--benchmark_…]
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "minibox/minibox.h"

namespace {

namespace fs = std::filesystem;

constexpr int kDirectories = 200, kFilesEach = 100, kBlocks = 1000;

template <typename T>
T Must(minibox::StatusOr<T> value) {
  if (value.ok()) return std::move(*value);
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::exit(1);
}

class Workbench {
 public:
  Workbench() {
    char name[] = "/tmp/minibox-build-bench-XXXXXX";
    if (mkdtemp(name) == nullptr) std::exit(1);
    root_ = name;
    for (int d = 0; d < kDirectories; ++d) {
      const std::string directory = root_ + "/context/src/d" + std::to_string(d);
      fs::create_directories(directory);
      for (int f = 0; f < kFilesEach; ++f) {
        std::ofstream(directory + "/f" + std::to_string(f)) << std::string(400, 'a' + f % 26) << d;
      }
    }
    // Files that have just changed are read again.
    std::this_thread::sleep_for(std::chrono::seconds(3));
    store_ = Must(minibox::Store::Open({.root = root_ + "/data"}));
    auto network = Must(minibox::Network::Open({.state_dir = root_ + "/data/networks"}));
    runtime_ = Must(minibox::Runtime::Open(*store_, network, {.run_dir = root_ + "/run"}));
    builder_ = Must(minibox::ImageBuilder::Create(*store_, *runtime_));
  }
  ~Workbench() {
    builder_.reset();
    runtime_.reset();
    store_.reset();
    fs::remove_all(root_);
  }

  minibox::BuildOptions Options(std::string text) const {
    minibox::BuildOptions options;
    options.image = "bench";
    options.file_text = std::move(text);
    options.context = root_ + "/context";
    options.network = "none";
    return options;
  }
  void Build(const minibox::BuildOptions& options) { (void)Must(builder_->Build(options)); }
  // Seconds that layers, manifest and registration took: "[finalize] done (1.5s)".
  double BuildForExport(const minibox::BuildOptions& options) {
    double seconds = 0;
    (void)Must(builder_->Build(options, [&seconds](const minibox::BuildEvent& event) {
      constexpr std::string_view kDone = "[finalize] done (";
      if (!event.text.starts_with(kDone)) return minibox::Status();
      const std::string took(event.text.substr(kDone.size()));
      char* unit = nullptr;
      const double number = std::strtod(took.c_str(), &unit);
      seconds = std::string_view(unit).starts_with("ms") ? number / 1000 : number;
      return minibox::Status();
    }));
    return seconds;
  }
  void Plan(const minibox::BuildOptions& options) { (void)Must(builder_->Plan(options)); }
  const std::string& root() const { return root_; }
  // base.tar.gz: busybox and its names.
  void AddBase() const {
    if (fs::exists(root_ + "/context/base.tar.gz")) return;
    const std::string make =
        "d=$(mktemp -d) && mkdir $d/bin && cp $(command -v busybox) $d/bin/ && "
        "for a in sh cat ls; do ln -s busybox $d/bin/$a; done && tar -C $d -czf " +
        root_ + "/context/base.tar.gz . && rm -r $d";
    if (std::system(make.c_str()) != 0) std::exit(1);
  }
  void Change(int round) const {
    std::ofstream(root_ + "/context/src/d7/f7") << "changed " << round << ' ' << std::rand();
  }

 private:
  std::string root_;
  std::optional<minibox::Store> store_;
  std::optional<minibox::Runtime> runtime_;
  std::optional<minibox::ImageBuilder> builder_;
};

Workbench& Bench() {
  static Workbench bench;
  return bench;
}

constexpr char kCopy[] = "BASE scratch\nBLOCK app\n  COPY src /src\n  WORKDIR /src\n";

void BM_UnchangedRebuild(benchmark::State& state) {
  const auto options = Bench().Options(kCopy);
  Bench().Build(options);
  for (auto _ : state) Bench().Build(options);
}
BENCHMARK(BM_UnchangedRebuild)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_OneFileChanged(benchmark::State& state) {
  const auto options = Bench().Options(kCopy);
  Bench().Build(options);
  int round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    Bench().Change(++round);
    state.ResumeTiming();
    Bench().Build(options);
  }
}
BENCHMARK(BM_OneFileChanged)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

// The same with a step that needs what was copied.
void BM_OneFileChangedAndARun(benchmark::State& state) {
  Bench().AddBase();
  const auto options = Bench().Options(
      "BASE base.tar.gz\nBLOCK app\n  COPY src /src\n  RUN cat /src/d7/f7 > /out\n");
  Bench().Build(options);
  int round = 1'000'000;
  for (auto _ : state) {
    state.PauseTiming();
    Bench().Change(++round);
    state.ResumeTiming();
    Bench().Build(options);
  }
}
BENCHMARK(BM_OneFileChangedAndARun)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

void BM_FirstBuildOfFiveBlocks(benchmark::State& state) {
  Bench().AddBase();
  std::string text = "BASE base.tar.gz\n";
  for (int i = 0; i < 5; ++i) {
    const std::string n = std::to_string(i);
    text += "BLOCK b" + n + "\n  COPY src/d" + n + " /src" + n + "\n  RUN ls /src" + n + " > /out" +
            n + "\n";
  }
  text += "BLOCK all\n  NEED b0 b1 b2 b3 b4\n  RUN cat /out* > /all\n";
  auto options = Bench().Options(text);
  options.use_cache = false;
  for (auto _ : state) Bench().Build(options);
}
BENCHMARK(BM_FirstBuildOfFiveBlocks)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

// 500 MB of what this machine has in /usr, which compresses like software.
void BM_ExportOfALayer(benchmark::State& state) {
  const std::string large = Bench().root() + "/context/large";
  if (!fs::exists(large)) {
    const std::string fill =
        "mkdir " + large +
        " && find /usr/lib -type f -size -8M 2>/dev/null | sort | while read -r f; do"
        " cat \"$f\"; done | head -c 500000000 | split -b 5000000 - " +
        large + "/part";
    if (std::system(fill.c_str()) != 0) std::exit(1);
  }
  auto options = Bench().Options("BASE scratch\nBLOCK app\n  COPY large /large\n");
  options.compression = state.range(0) == 0 ? "gzip" : "zstd";
  options.use_cache = false;
  for (auto _ : state) state.SetIterationTime(Bench().BuildForExport(options));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * 500'000'000);
}
BENCHMARK(BM_ExportOfALayer)
    ->ArgNames({"zstd"})
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(2);

// Each block needs two of those before it, so that it is a graph and no chain.
void BM_PlanOfAThousandBlocks(benchmark::State& state) {
  std::string text = "BASE scratch\n";
  for (int i = 0; i < kBlocks; ++i) {
    text += "BLOCK b" + std::to_string(i) + "\n";
    if (i >= 10) text += "  BNEED b" + std::to_string(i / 2) + " b" + std::to_string(i - 10) + "\n";
    text += "  WORKDIR /d" + std::to_string(i) + "\n  RUN make -C /d" + std::to_string(i) + "\n";
  }
  const auto options = Bench().Options(text);
  for (auto _ : state) Bench().Plan(options);
}
BENCHMARK(BM_PlanOfAThousandBlocks)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
