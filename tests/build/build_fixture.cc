// SPDX-License-Identifier: Apache-2.0
#include "build/build_fixture.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <regex>

#include "oci/digest.h"
#include "store/store_impl.h"

namespace minibox {
inline namespace v1 {

// A friend of Store: what a container's start does.
class StoreTestPeer {
 public:
  static Status Unpack(const Store& store, const Digest& manifest) {
    auto image = store.impl_->ResolveManifest(manifest);
    return image.ok() ? store.impl_->EnsureLayers(*image).status() : image.status();
  }
};

}  // namespace v1
}  // namespace minibox

namespace minibox::testing {

namespace fs = std::filesystem;

Engine::Engine(const std::string& root_path, int workers) : root(root_path) {
  auto opened = Store::Open({.root = root + "/data"});
  if (!opened.ok()) {
    failure = opened.status().ToString();
    return;
  }
  store = std::move(*opened);
  auto network = Network::Open({.state_dir = root + "/data/networks"});
  if (!network.ok()) {
    failure = network.status().ToString();
    return;
  }
  RuntimeOptions options;
  options.run_dir = root + "/run";
  options.cgroup_parent = "mbxtest-build";
  auto started = Runtime::Open(*store, *network, options);
  if (!started.ok()) {
    failure = started.status().ToString();
    return;
  }
  runtime = std::move(*started);
  auto made = ImageBuilder::Create(*store, *runtime, {.max_parallel = workers});
  if (!made.ok()) {
    failure = made.status().ToString();
    return;
  }
  builder = std::move(*made);
}

void BuildTest::SetUp() {
  MBX_REQUIRE_ROOT();
  root_ = fs::canonical(scratch_.path());
  context_ = root_ + "/context";
  fs::create_directories(context_);
  engine_.emplace(root_ + "/one", 2);
  ASSERT_EQ(engine_->failure, "");
  const auto base = AddBusyboxImage(*engine_->store);
  ASSERT_TRUE(base.ok()) << base.status().ToString();
}

void BuildTest::TearDown() {
  if (!engine_) return;
  const std::string run = engine_->root + "/run";
  // Removed containers are deleted in the background, until the runtime ends.
  engine_->builder.reset();
  engine_->runtime.reset();
  // Whatever a build did, it has taken everything back.
  EXPECT_EQ(DataEntries("tmp"), std::vector<std::string>());
  EXPECT_EQ(DataEntries("leases"), std::vector<std::string>());
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(run)) left.push_back(entry.path().filename());
  EXPECT_EQ(left, std::vector<std::string>{"ids"});
  EXPECT_TRUE(fs::is_empty(run + "/ids"));
  engine_.reset();
}

std::string BuildTest::Result::Text() const {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

bool BuildTest::Result::Has(std::string_view line) const {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

int BuildTest::Result::Count(std::string_view part) const {
  return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.find(part) != std::string::npos;
  }));
}

std::vector<std::string> BuildTest::Result::Of(std::string_view prefix) const {
  std::vector<std::string> found;
  for (const auto& line : lines) {
    if (line.starts_with(prefix)) found.push_back(line.substr(prefix.size()));
  }
  return found;
}

BuildOptions BuildTest::Options(std::string_view text) const {
  BuildOptions options;
  options.image = "built";
  options.file_text = text;
  options.context = context_;
  options.network = "none";
  return options;
}

BuildTest::Result BuildTest::BuildWith(Engine& engine, const BuildOptions& options,
                                       std::stop_token stop) {
  static const std::regex duration(R"((\(|cpu_time=)[0-9.]+(ms|s|m[0-9]+s)(\)|$))");
  Result result;
  result.image = engine.builder->Build(
      options,
      [&](const BuildEvent& event) {
        result.lines.push_back(std::regex_replace(std::string(event.text), duration, "$1<d>$3"));
        return Status();
      },
      stop);
  return result;
}

BuildTest::Result BuildTest::Build(const BuildOptions& options, std::stop_token stop) {
  return BuildWith(*engine_, options, stop);
}

BuildTest::Result BuildTest::Build(std::string_view text) { return Build(Options(text)); }

BuildTest::Result BuildTest::BuildOk(std::string_view text) {
  Result result = Build(text);
  EXPECT_TRUE(result.image.ok()) << result.image.status().ToString() << "\n" << result.Text();
  return result;
}

BuildTest::Image BuildTest::Open(const Engine& engine, const ImageInfo& info) {
  const std::string data = engine.root + "/data/";
  const auto blob = [&](const Digest& digest) {
    return ReadWholeFile(data + "blobs/sha256/" + std::string(digest.hex()));
  };
  auto manifest = oci::ParseManifest(blob(info.manifest));
  EXPECT_TRUE(manifest.ok()) << manifest.status().ToString();
  Image image{.manifest = *manifest};
  auto config = oci::ParseImageConfig(blob(manifest->config.digest));
  EXPECT_TRUE(config.ok()) << config.status().ToString();
  image.config = *config;
  const auto unpacked = StoreTestPeer::Unpack(*engine.store, info.manifest);
  EXPECT_TRUE(unpacked.ok()) << unpacked.ToString();
  for (const auto& diff_id : config->diff_ids) {
    image.trees.push_back(data + "extracted/" + std::string(diff_id.hex()));
  }
  return image;
}

std::string BuildTest::Image::Read(const std::string& path) const {
  for (auto tree = trees.rbegin(); tree != trees.rend(); ++tree) {
    struct ::stat st {};
    if (lstat((*tree + "/" + path).c_str(), &st) != 0) continue;
    if (!S_ISREG(st.st_mode)) break;
    return ReadWholeFile(*tree + "/" + path);
  }
  return "(none)";
}

std::map<std::string, std::string> BuildTest::TopLayer(const ImageInfo& info) const {
  const std::string top = Open(info).trees.back();
  std::map<std::string, std::string> listing;
  for (const auto& entry : fs::recursive_directory_iterator(top)) {
    struct ::stat st {};
    EXPECT_EQ(lstat(entry.path().c_str(), &st), 0);
    char text[64];
    const char* type = S_ISDIR(st.st_mode) ? "dir" : S_ISLNK(st.st_mode) ? "link" : "file";
    std::snprintf(text, sizeof text, "%s %o %u:%u", type, st.st_mode & 07777, st.st_uid, st.st_gid);
    listing[fs::relative(entry.path(), top)] =
        S_ISCHR(st.st_mode) && st.st_rdev == 0 ? "whiteout" : text;
  }
  return listing;
}

std::vector<std::string> BuildTest::DataEntries(std::string_view directory) const {
  std::vector<std::string> names;
  for (const auto& entry :
       fs::directory_iterator(engine_->root + "/data/" + std::string(directory))) {
    const std::string name = entry.path().filename();
    // Lock files stay: unlinking one while somebody waits for it would make two locks.
    if (!name.ends_with(".lock")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::pair<int, std::string> RunProgram(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) return {-1, "popen failed"};
  std::string output;
  char buffer[4096];
  while (const size_t count = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, count);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

}  // namespace minibox::testing
