// SPDX-License-Identifier: Apache-2.0
// The digest of an image is that of its inputs: not of the host, its time zone, umask, number of
// workers or compressing threads, nor of the state of a cache (spec §8.7).
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "build/build_fixture.h"

namespace minibox::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Where a host's clock and new files differ from another's.
class HostHabits {
 public:
  HostHabits(const char* zone, mode_t mask) : mask_(umask(mask)) { Set(zone); }
  ~HostHabits() {
    Set("UTC");
    umask(mask_);
  }

 private:
  static void Set(const char* zone) {
    setenv("TZ", zone, 1);
    tzset();
  }
  mode_t mask_;
};

// Several blocks of a compressor, with little and with much to find in them.
std::string LargeContent() {
  std::string text;
  uint64_t state = 1;
  while (text.size() < 5'000'000) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    text += std::to_string(state >> (state % 48)) + (state % 3 == 0 ? "\n" : " the same words ");
  }
  return text;
}

TEST_F(BuildTest, DigestIsTheSameOnEveryHost) {
  Write("src/large", LargeContent());
  Write("src/deep/er/small", "small", 0755);
  BuildOptions options = Options(
      "BASE busybox\nBLOCK a\n  COPY src /src\n  RUN date; umask; touch /now; mkdir /dir\n"
      "BLOCK b\n  WORKDIR /made/here\n  COPY src/deep .\nBLOCK c\n  NEED a b\n  RUN rm -r "
      "/src/deep\n");
  std::set<std::string> gzip, zstd;
  int host = 0;
  for (const char* zone : {"UTC", "Asia/Kathmandu"}) {
    for (const mode_t mask : {mode_t{022}, mode_t{077}}) {
      for (const int workers : {1, 2}) {
        const HostHabits habits(zone, mask);
        Engine engine(root_ + "/host" + std::to_string(host++), workers);
        ASSERT_EQ(engine.failure, "");
        ASSERT_TRUE(AddBusyboxImage(*engine.store).ok());
        for (const char* compression : {"gzip", "zstd"}) {
          options.compression = compression;
          const auto result = BuildWith(engine, options);
          ASSERT_TRUE(result.image.ok()) << result.Text();
          (options.compression == "gzip" ? gzip : zstd).insert(result.image->manifest.ToString());
        }
      }
    }
  }
  EXPECT_EQ(gzip.size(), 1u);
  EXPECT_EQ(zstd.size(), 1u);
  EXPECT_NE(*gzip.begin(), *zstd.begin());
}

// Somebody writes while it is read: the build fails or has what was there, and what it leaves in
// the cache is never taken for something else.
TEST_F(BuildTest, ContextThatChangesWhileItIsReadGivesNoWrongEntry) {
  const std::string text = "BASE scratch\nBLOCK a\n  COPY file /file\n";
  const size_t size = 300'000;
  const std::string path = Write("file", std::string(size, 'a'));
  std::stop_source stop;
  std::thread writer([&, token = stop.get_token()] {
    for (int round = 0; !token.stop_requested(); ++round) {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      const std::string piece(size / 4, round % 2 == 0 ? 'b' : 'a');
      for (int i = 0; i < 4; ++i)
        file.write(piece.data(), static_cast<std::streamsize>(size) / 4).flush();
    }
  });
  int built = 0;
  for (int i = 0; i < 40; ++i) {
    const auto result = Build(text);
    if (result.image.ok()) {
      ++built;
      EXPECT_EQ(Open(*result.image).Read("file").size(), size);
    } else {
      EXPECT_EQ(result.image.status().reason(), "file_changed") << result.Text();
    }
  }
  stop.request_stop();
  writer.join();
  // Whatever was cached meanwhile, what is there now is what is built now.
  for (const char content : {'a', 'b'}) {
    Write("file", std::string(size, content));
    const auto result = BuildOk(text);
    ASSERT_TRUE(result.image.ok());
    EXPECT_EQ(Open(*result.image).Read("file"), std::string(size, content)) << built;
  }
}

TEST_F(BuildTest, EveryDamageOfACacheEntryIsSeen) {
  const std::string text = "BASE busybox\nBLOCK a\n  RUN echo > /x\n";
  const auto first = BuildOk(text);
  ASSERT_TRUE(first.image.ok());
  std::string key;
  for (const auto& name : DataEntries("layers")) {
    if (!name.ends_with(".json")) key = name;
  }
  const std::string tree = engine_->root + "/data/layers/" + key, record = tree + ".json";
  const std::string good = ReadWholeFile(record);
  const std::vector<std::pair<const char*, std::function<void()>>> damages = {
      {"a record cut short", [&] { std::ofstream(record) << good.substr(0, good.size() / 2); }},
      {"an empty record", [&] { std::ofstream(record).flush(); }},
      {"a record of noise", [&] { std::ofstream(record) << std::string(1000, '\xFF'); }},
      {"a record without a field", [&] { std::ofstream(record) << "{\"parent\":\"\"}"; }},
      {"a directory as record", [&] { fs::remove(record), fs::create_directory(record); }},
      {"no record", [&] { fs::remove(record); }},
      {"no tree", [&] { fs::remove_all(tree); }},
      {"a file as tree", [&] { fs::remove_all(tree), std::ofstream(tree).flush(); }},
      {"a link as tree", [&] { fs::remove_all(tree), fs::create_directory_symlink("/etc", tree); }},
  };
  for (const auto& [what, damage] : damages) {
    SCOPED_TRACE(what);
    damage();
    const auto again = BuildOk(text);
    ASSERT_TRUE(again.image.ok());
    EXPECT_TRUE(again.Has("[a] DONE (<d>)")) << again.Text();
    EXPECT_EQ(again.image->manifest, first.image->manifest);
    EXPECT_TRUE(BuildOk(text).Has("[a] CACHED (<d>)"));
  }
}

}  // namespace
}  // namespace minibox::testing
