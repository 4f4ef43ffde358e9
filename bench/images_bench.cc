// SPDX-License-Identifier: Apache-2.0
// What a store with many images, or a large one, costs.
//
//   list     `images` with N images in the store
//   remove   N of 1,000 images removed by name, then one prune; per image removed
//   save     an image of one 300 MB layer to a file, beside a copy of its blob with
//            copy_file_range: no recompression, so nothing but the copy and a hash
//
// Good numbers: listing 1,000 images under 20 ms; `per_image_us` the same whatever N; `ratio` of
// saving to copying or hashing, whichever is slower, near 1. In a temporary directory, TMPDIR if
// that is set; as root.
//
//   images_bench [--benchmark_…]
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "archive/tar_entry.h"
#include "archive/tar_writer.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/sha256.h"
#include "minibox/store.h"
#include "oci/digest.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "oci/media_types.h"

namespace minibox {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string scratch;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "images_bench: %s\n", what.c_str());
  std::exit(1);
}
void Must(const Status& status) {
  if (!status.ok()) Die(status.ToString());
}
template <typename T>
T Must(StatusOr<T> value) {
  Must(value.status());
  return *std::move(value);
}

std::string TarFile(const std::string& path, const std::string& content) {
  archive::TarEntry entry;
  entry.path = path;
  entry.mode = 0644;
  entry.size = content.size();
  return archive::EncodeTarHeader(entry) + content +
         std::string(archive::TarPadding(content.size()), '\0');
}

// An OCI layout with images "bench:<first>" and so on: one small layer of their own and one that
// all have.
std::string Archive(int first, int count) {
  std::map<std::string, std::string> blobs;
  const auto put = [&](const std::string& bytes) {
    const Digest digest = oci::DigestOf(bytes);
    blobs["blobs/sha256/" + std::string(digest.hex())] = bytes;
    return digest;
  };
  const std::string end(1024, '\0');
  oci::Index index;
  for (int i = first; i < first + count; ++i) {
    oci::ImageConfig config;
    config.created = "2026-01-01T00:00:00Z";
    config.platform = oci::HostPlatform();
    oci::Manifest manifest{{std::string(oci::kOciConfig), oci::DigestOf(""), 0}};
    for (const std::string& layer :
         {TarFile("common", "common") + end, TarFile("own", std::to_string(i)) + end}) {
      const Digest digest = put(layer);
      config.diff_ids.push_back(digest);
      manifest.layers.push_back({std::string(oci::kOciLayerTar), digest, layer.size()});
    }
    const std::string config_text = oci::SerializeImageConfig(config);
    manifest.config = {std::string(oci::kOciConfig), put(config_text), config_text.size()};
    const std::string text = oci::SerializeManifest(manifest);
    oci::Descriptor entry{std::string(oci::kOciManifest), put(text), text.size()};
    entry.annotations["org.opencontainers.image.ref.name"] = "bench:" + std::to_string(i);
    index.manifests.push_back(std::move(entry));
  }
  std::string tar = TarFile("index.json", oci::SerializeIndex(index));
  for (const auto& [name, bytes] : blobs) tar += TarFile(name, bytes);
  return tar + end;
}

void Load(Store& store, const std::string& archive) {
  const core::Fd file(memfd_create("archive", MFD_CLOEXEC));
  Must(core::WriteAll(file.get(), archive));
  lseek(file.get(), 0, SEEK_SET);
  Must(store.Load(file.get()).status());
}

Store Fresh() {
  static int number = 0;
  return Must(Store::Open({.root = scratch + "/data" + std::to_string(number++)}));
}

void BM_List(benchmark::State& state) {
  Store store = Fresh();
  Load(store, Archive(0, static_cast<int>(state.range(0))));
  for (auto _ : state) {
    const auto images = Must(store.ListImages());
    if (images.size() != static_cast<size_t>(state.range(0))) Die("images are missing");
  }
  fs::remove_all(store.root());
}
BENCHMARK(BM_List)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond);

void BM_RemoveAndPrune(benchmark::State& state) {
  constexpr int kImages = 1000;
  const int count = static_cast<int>(state.range(0));
  Store store = Fresh();
  std::vector<double> remove, prune;
  for (auto _ : state) {
    Load(store, Archive(0, kImages));
    sync();
    const auto begin = Clock::now();
    for (int i = 0; i < count; ++i) Must(store.RemoveImage("bench:" + std::to_string(i)).status());
    const auto removed = Clock::now();
    if (Must(store.Prune()).blobs_removed < static_cast<uint64_t>(3 * count)) Die("too few");
    const auto end = Clock::now();
    remove.push_back(std::chrono::duration<double>(removed - begin).count());
    prune.push_back(std::chrono::duration<double>(end - removed).count());
    state.SetIterationTime(std::chrono::duration<double>(end - begin).count());
  }
  const auto per_image = [&](const std::vector<double>& times) {
    return *std::min_element(times.begin(), times.end()) / count * 1e6;
  };
  state.counters["remove_per_image_us"] = per_image(remove);
  state.counters["prune_per_image_us"] = per_image(prune);
  fs::remove_all(store.root());
}
BENCHMARK(BM_RemoveAndPrune)
    ->Arg(100)
    ->Arg(200)
    ->Arg(400)
    ->Arg(800)
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

double Copy(const std::string& from, const std::string& to) {
  const core::Fd in(open(from.c_str(), O_RDONLY | O_CLOEXEC));
  const core::Fd out(open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  struct stat st {};
  fstat(in.get(), &st);
  const auto begin = Clock::now();
  for (off_t left = st.st_size; left > 0;) {
    const ssize_t count =
        copy_file_range(in.get(), nullptr, out.get(), nullptr, static_cast<size_t>(left), 0);
    if (count <= 0) Die("copy_file_range");
    left -= count;
  }
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double Hash(const std::string& path) {
  const core::Fd in(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<char> buffer(1u << 20);
  core::Sha256 hash;
  const auto begin = Clock::now();
  for (ssize_t count; (count = read(in.get(), buffer.data(), buffer.size())) > 0;) {
    hash.Update(std::string_view(buffer.data(), static_cast<size_t>(count)));
  }
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void BM_Save(benchmark::State& state) {
  Store store = Fresh();
  {
    std::minstd_rand random(1);
    std::string content(300'000'000, '\0');
    for (size_t i = 0; i < content.size(); i += 4) {
      const auto value = static_cast<uint32_t>(random());
      std::copy_n(reinterpret_cast<const char*>(&value), 4, &content[i]);
    }
    const core::Fd file(memfd_create("rootfs", MFD_CLOEXEC));
    Must(core::WriteAll(file.get(), TarFile("noise", content) + std::string(1024, '\0')));
    lseek(file.get(), 0, SEEK_SET);
    Must(store.Import(file.get(), {.image = "large"}).status());
  }
  const std::string blob =
      store.root().native() + "/blobs/sha256/" +
      std::string(Must(store.InspectImage("large")).layers.front().digest.hex());
  std::vector<double> saves, copies, hashes;
  for (auto _ : state) {
    sync();
    copies.push_back(Copy(blob, scratch + "/copy"));
    fs::remove(scratch + "/copy");
    hashes.push_back(Hash(blob));
    sync();
    const core::Fd out(
        open((scratch + "/saved").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const auto begin = Clock::now();
    Must(store.Save({"large"}, out.get()));
    saves.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
    fs::remove(scratch + "/saved");
    state.SetIterationTime(saves.back());
  }
  const auto best = [](const std::vector<double>& times) {
    return *std::min_element(times.begin(), times.end());
  };
  state.counters["copy_s"] = best(copies);
  state.counters["hash_s"] = best(hashes);
  state.counters["ratio"] = best(saves) / std::max(best(copies), best(hashes));
  fs::remove_all(store.root());
}
BENCHMARK(BM_Save)->UseManualTime()->Iterations(7)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace minibox

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base == nullptr ? "/tmp" : base) + "/images-bench-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) return 1;
  minibox::scratch = pattern;
  benchmark::RunSpecifiedBenchmarks();
  std::filesystem::remove_all(pattern);
  return 0;
}
