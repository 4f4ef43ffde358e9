// SPDX-License-Identifier: Apache-2.0
// Unpacking a large layer: 300 MB in 10,000 files, made by `gzip -6`, from the page cache.
//
//   inflate    the same bytes through the fastest inflate there is here, on one core
//   create     the same files with the same content, from memory: what the file system costs
//   unpack     archive::ApplyLayer, which hashes, checks and sets metadata as well
//
// Good numbers: `ratio`, unpack over inflate plus create, at most 1.15; `peak_mb`, what unpacking
// adds to the memory of the process, under 64. The three run in turn within each iteration. As
// root, in a temporary directory, TMPDIR if that is set.
//
//   layer_bench [--benchmark_…]
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "archive/compression.h"
#include "archive/layer_apply.h"
#include "archive/tar_entry.h"
#include "archive/tar_writer.h"
#include "core/fd.h"
#include "core/root_dir.h"

namespace minibox {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kFiles = 10'000;
constexpr int kDirectories = 200;
constexpr size_t kMeanBytes = 30'000;
constexpr size_t kBuffer = 256u << 10;

std::string scratch;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "layer_bench: %s\n", what.c_str());
  std::exit(1);
}

struct File {
  std::string path{};
  std::string content{};
};

// Words, numbers and noise, so that gzip makes about a third of it, as of a distribution's files.
std::vector<File> MakeFiles() {
  std::minstd_rand random(1);
  std::vector<std::string> words(4000);
  for (std::string& word : words) {
    word.resize(2 + random() % 9);
    for (char& c : word) c = static_cast<char>('a' + random() % 26);
    word += ' ';
  }
  std::vector<File> files(kFiles);
  for (int i = 0; i < kFiles; ++i) {
    File& file = files[static_cast<size_t>(i)];
    file.path = "usr/d" + std::to_string(i % kDirectories) + "/file" + std::to_string(i);
    const size_t size = kMeanBytes / 2 + random() % kMeanBytes;
    while (file.content.size() < size) {
      if (random() % 8 == 0) {
        for (int n = 0; n < 16; ++n) file.content += static_cast<char>(random() >> 7);
      } else {
        file.content += words[random() % words.size()];
      }
    }
  }
  std::stable_sort(files.begin(), files.end(), [](const File& a, const File& b) {
    return fs::path(a.path).parent_path() < fs::path(b.path).parent_path();
  });
  return files;
}

void WriteLayer(const std::vector<File>& files, const std::string& path) {
  std::FILE* pipe = popen(("gzip -6 >" + path).c_str(), "w");
  if (pipe == nullptr) Die("popen gzip");
  const auto write = [&](const std::string& bytes) {
    if (fwrite(bytes.data(), 1, bytes.size(), pipe) != bytes.size()) Die("cannot write the layer");
  };
  for (const File& file : files) {
    archive::TarEntry entry;
    entry.path = file.path;
    entry.mode = 0644;
    entry.size = file.content.size();
    write(archive::EncodeTarHeader(entry));
    write(file.content);
    write(std::string(archive::TarPadding(entry.size), '\0'));
  }
  write(std::string(1024, '\0'));
  if (pclose(pipe) != 0) Die("gzip failed");
}

double Inflate(const std::string& path) {
  const core::Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  auto state = std::make_unique<inflate_state>();
  isal_inflate_init(state.get());
  state->crc_flag = ISAL_GZIP;
  std::vector<uint8_t> in(kBuffer), out(kBuffer);
  const auto begin = Clock::now();
  while (state->block_state != ISAL_BLOCK_FINISH) {
    if (state->avail_in == 0) {
      const ssize_t count = read(file.get(), in.data(), in.size());
      if (count <= 0) Die("the layer ends early");
      state->next_in = in.data();
      state->avail_in = static_cast<uint32_t>(count);
    }
    state->next_out = out.data();
    state->avail_out = static_cast<uint32_t>(out.size());
    if (isal_inflate(state.get()) < 0) Die("the layer is damaged");
  }
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double Create(const std::vector<File>& files, const std::string& top) {
  fs::create_directory(top);
  const auto begin = Clock::now();
  std::string directory;
  core::Fd dir;
  for (const File& file : files) {
    const size_t slash = file.path.rfind('/');
    if (file.path.compare(0, slash, directory) != 0) {
      directory = file.path.substr(0, slash);
      fs::create_directories(top + "/" + directory);
      dir.reset(open((top + "/" + directory).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    const core::Fd made(openat(dir.get(), file.path.c_str() + slash + 1,
                               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (write(made.get(), file.content.data(), file.content.size()) !=
        static_cast<ssize_t>(file.content.size())) {
      Die("cannot write a file");
    }
  }
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double Unpack(const std::string& path, const std::string& top) {
  fs::create_directory(top);
  auto root = core::RootDir::Open(top);
  if (!root.ok()) Die(root.status().ToString());
  const core::Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto begin = Clock::now();
  const auto applied =
      archive::ApplyLayer(archive::Decompress(archive::ReadFromFd(file.get())), *root);
  if (!applied.ok()) Die(applied.status().ToString());
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double ResidentMb() {
  double pages = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr || std::fscanf(file, "%lf %lf", &pages, &resident) != 2) Die("statm");
  std::fclose(file);
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

double PeakMb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
}

void BM_Unpack(benchmark::State& state) {
  const std::string layer = scratch + "/layer.tar.gz";
  double peak = 0;
  if (!fs::exists(layer)) {
    // In a process of its own, so that this one has not held the content when it is measured.
    const pid_t writer = fork();
    if (writer == 0) {
      WriteLayer(MakeFiles(), layer);
      _exit(0);
    }
    int status = 0;
    if (waitpid(writer, &status, 0) != writer || status != 0) Die("cannot make the layer");
    const double before = ResidentMb();
    Unpack(layer, scratch + "/tree");
    peak = std::max(0.0, PeakMb() - before);
    fs::remove_all(scratch + "/tree");
  }
  const std::vector<File> files = MakeFiles();
  std::vector<double> inflate, create, unpack, ratio;
  for (auto _ : state) {
    // What the previous one has left to be written must not be this one's burden.
    sync();
    inflate.push_back(Inflate(layer));
    create.push_back(Create(files, scratch + "/floor"));
    fs::remove_all(scratch + "/floor");
    sync();
    unpack.push_back(Unpack(layer, scratch + "/tree"));
    fs::remove_all(scratch + "/tree");
    ratio.push_back(unpack.back() / (inflate.back() + create.back()));
    state.SetIterationTime(unpack.back());
  }
  const auto median = [](std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  state.counters["inflate_s"] = median(inflate);
  state.counters["create_s"] = median(create);
  state.counters["ratio"] = median(ratio);
  state.counters["best_ratio"] = *std::min_element(unpack.begin(), unpack.end()) /
                                 (*std::min_element(inflate.begin(), inflate.end()) +
                                  *std::min_element(create.begin(), create.end()));
  if (peak > 0) state.counters["peak_mb"] = peak;
}
BENCHMARK(BM_Unpack)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(7);

}  // namespace
}  // namespace minibox

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base == nullptr ? "/tmp" : base) + "/layer-bench-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) return 1;
  minibox::scratch = pattern;
  benchmark::RunSpecifiedBenchmarks();
  std::filesystem::remove_all(pattern);
  return 0;
}
