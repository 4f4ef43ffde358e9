// SPDX-License-Identifier: Apache-2.0
// One of several processes that use a data root at once, for images_stress_test.cc and
// images_kill_test.cc. It ends with a message and status 1 when something does not hold that a
// user may rely on.
//   work <root> <registry> <context> <ms> <seed> pull|remove|prune|build    for that long
//   once <root> <registry> <archive> <n> pull|load|unpack|prune              the n-th failpoint
//       kills it (0: none); a byte on stdout when it begins, and how many it has passed at the end
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/failpoint.h"
#include "core/fd.h"
#include "core/strings.h"
#include "minibox/image_builder.h"
#include "minibox/network.h"
#include "minibox/registry.h"
#include "minibox/runtime.h"
#include "minibox/store.h"
#include "store/layer_store.h"
#include "store/leases.h"
#include "store/lookup.h"

namespace minibox {
namespace {

using Clock = std::chrono::steady_clock;

// Of the registry's repository `app`; its neighbours share layers.
constexpr unsigned kImages = 6;

[[noreturn]] void Fail(std::string_view what, std::string_view why) {
  std::fprintf(stderr, "images_worker: %s: %s\n", std::string(what).c_str(),
               std::string(why).c_str());
  _exit(1);
}

void Require(const Status& status, std::string_view what) {
  if (!status.ok()) Fail(what, status.ToString());
}

template <typename T>
T Require(StatusOr<T> value, std::string_view what) {
  Require(value.status(), what);
  return *std::move(value);
}

class Worker {
 public:
  Worker(const std::string& root, std::string host)
      : store_(Require(Store::Open({.root = root}), "open")),
        root_(Require(store::DataRoot::Open(root, false), "data root")),
        registry_(Require(Registry::Open(store_), "registry")),
        host_(std::move(host)) {}

  std::string App(unsigned number) const {
    return core::StrCat(host_, "/app:", number % kImages + 1);
  }
  std::string Own() const { return core::StrCat(host_, "/own:1"); }

  void Pull(const std::string& name, std::stop_token stop = {}) {
    const auto reference = Require(ImageRef::Parse(name), "reference");
    const auto pulled = registry_.Pull(reference, {}, stop);
    if (stop.stop_requested() && pulled.status().code() == StatusCode::kCancelled) return;
    Require(pulled.status(), core::StrCat("pull ", name));
  }

  // Given up in the middle.
  void PullAndCancel(const std::string& name, uint64_t bytes) {
    std::stop_source stop;
    PullOptions options;
    options.progress = [&](const Progress& progress) {
      if (progress.phase == Progress::Phase::kTransferring && progress.done >= bytes) {
        stop.request_stop();
      }
    };
    const auto pulled =
        registry_.Pull(Require(ImageRef::Parse(name), "reference"), options, stop.get_token());
    if (pulled.ok() || pulled.status().code() == StatusCode::kCancelled) return;
    Require(pulled.status(), core::StrCat("cancelled pull ", name));
  }

  // Every byte of it, unless somebody was allowed to remove it.
  void Save(const std::string& name, bool may_be_gone) {
    const core::Fd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
    const Status saved = store_.Save({name}, null.get());
    if (may_be_gone && saved.reason() == "image_not_found") return;
    Require(saved, core::StrCat("save ", name));
  }

  // As the start of a container does: found, leased, looked at again, unpacked.
  void Use(const std::string& name, bool may_be_gone) {
    const auto image = store_.GetImage(name);
    if (may_be_gone && image.status().reason() == "image_not_found") return;
    Require(image.status(), core::StrCat("use ", name));
    const store::BlobStore blobs(root_);
    const store::LayerStore layers(root_, blobs);
    const store::Lease lease = Require(
        store::Leases(root_).Acquire("use", store::LeaseItems().Blob(image->manifest)), "lease");
    if (!blobs.Exists(image->manifest) && may_be_gone) return;
    const auto manifest = Require(store::ReadManifest(blobs, image->manifest), "manifest");
    const auto config = Require(store::ReadConfig(blobs, manifest), "config");
    for (size_t i = 0; i < manifest.layers.size(); ++i) {
      const Digest tree = Require(
          layers.EnsureUnpacked(manifest.layers[i].digest, config.diff_ids[i]), "unpack " + name);
      if (!layers.Exists(tree)) Fail(name, "a tree has gone while it was leased");
    }
  }

  void Remove(const std::string& name) {
    const auto removed = store_.RemoveImage(name, {.force = true});
    if (removed.ok() || removed.status().reason() == "image_not_found") return;
    Require(removed.status(), core::StrCat("remove ", name));
  }

  void Prune(const PruneOptions& options = {}) { Require(store_.Prune(options).status(), "prune"); }

  void Verify() {
    const VerifyReport report = Require(store_.Verify(), "verify");
    for (const StoreProblem& found : report.problems) Fail(found.object, found.problem);
  }

  void Load(const std::string& archive) {
    const core::Fd file(open(archive.c_str(), O_RDONLY | O_CLOEXEC));
    Require(store_.Load(file.get()).status(), "load");
  }

  void WorkPull(unsigned i) {
    const std::string name = App(random_());
    if (i % 5 == 0) Pull(Own());
    if (i % 4 == 3) PullAndCancel(name, random_() % 200'000);
    Pull(name);
    Use(name, true);
    Use(Own(), false);
    Save(Own(), false);
  }

  void WorkRemove() {
    Remove(App(random_()));
    Remove(core::StrCat("built:", random_() % 5));
    Save(App(random_()), true);
    Use(App(random_()), true);
    const auto tagged = store_.TagImage(App(random_()), "moved");
    if (!tagged.ok() && tagged.reason() != "image_not_found") Require(tagged, "tag");
    Save("moved", true);
  }

  void WorkPrune(unsigned i) {
    Prune({.build_cache = i % 3 == 0, .dry_run = i % 7 == 6});
    if (i % 8 == 0) Verify();
    Require(store_.ListImages().status(), "list");
    Require(store_.GetDiskUsage().status(), "df");
  }

  void WorkBuild(unsigned i, const std::string& context) {
    if (!builder_) OpenBuilder();
    // The step is new every time, or one that an earlier build may have left in the cache.
    const unsigned step = random_() % 3 == 0 ? 1000 + i : random_() % 4;
    Build(
        core::StrCat("built:", i % 5), context,
        core::StrCat("BASE busybox\nBLOCK a\n  RUN echo ", step, " >/made\n  COPY . /context/\n"));
    // A base that is pulled if nobody has it.
    Build("own-built", context,
          core::StrCat("BASE ", App(random_()), "\nBLOCK a\n  COPY . /", step, "/\n"));
    Use("own-built", false);
    Save("own-built", false);
  }

  void Work(const std::string& kind, const std::string& context, std::chrono::milliseconds time,
            unsigned seed) {
    random_.seed(seed);
    const auto end = Clock::now() + time;
    unsigned rounds = 0;
    for (; rounds == 0 || Clock::now() < end; ++rounds) {
      if (kind == "pull") {
        WorkPull(rounds);
      } else if (kind == "remove") {
        WorkRemove();
      } else if (kind == "prune") {
        WorkPrune(rounds);
      } else {
        WorkBuild(rounds, context);
      }
    }
    std::printf("%s: %u rounds\n", kind.c_str(), rounds);
  }

  void Once(const std::string& kind, const std::string& archive, int kill_at) {
    core::SetKillNth(kill_at > 0 ? kill_at : INT32_MAX);
    if (write(STDOUT_FILENO, "b", 1) != 1) Fail("stdout", "is closed");
    if (kind == "pull") {
      Pull(App(0));
    } else if (kind == "load") {
      Load(archive);
    } else if (kind == "unpack") {
      Use(App(0), false);
    } else {
      Remove(App(0));
      Prune({.build_cache = true});
    }
    const std::string passed = std::to_string(core::FailpointsPassed());
    if (write(STDOUT_FILENO, passed.data(), passed.size()) < 0) Fail("stdout", "is closed");
  }

 private:
  void OpenBuilder() {
    const std::string root = root_->path();
    const Network network =
        Require(Network::Open({.state_dir = root + "/networks"}), "open the network");
    RuntimeOptions options;
    options.run_dir = root + "/../run";
    options.cgroup_parent = "mbxtest-images";
    const Runtime runtime = Require(Runtime::Open(store_, network, options), "open the runtime");
    builder_ =
        Require(ImageBuilder::Create(store_, runtime, {.max_parallel = 2, .registry = registry_}),
                "open the builder");
  }

  void Build(const std::string& name, const std::string& context, const std::string& text) {
    std::string log;
    const auto built =
        builder_->Build({.image = name, .file_text = text, .context = context, .network = "none"},
                        [&](const BuildEvent& event) {
                          log.append(event.text).append("\n");
                          return Status();
                        });
    if (!built.ok()) Fail("build " + name, built.status().ToString() + "\n" + log);
  }

  Store store_;
  std::shared_ptr<store::DataRoot> root_;
  Registry registry_;
  std::optional<ImageBuilder> builder_;
  const std::string host_;
  std::minstd_rand random_;
};

int Main(const std::vector<std::string>& arguments) {
  if (arguments.size() < 6) return 2;
  Worker worker(arguments[1], arguments[2]);
  if (arguments[0] == "work" && arguments.size() == 7) {
    worker.Work(arguments[6], arguments[3], std::chrono::milliseconds(std::stol(arguments[4])),
                static_cast<unsigned>(std::stoul(arguments[5])));
    return 0;
  }
  if (arguments[0] == "once") {
    worker.Once(arguments[5], arguments[3], std::stoi(arguments[4]));
    return 0;
  }
  return 2;
}

}  // namespace
}  // namespace minibox

int main(int argc, char** argv) { return minibox::Main({argv + 1, argv + argc}); }
