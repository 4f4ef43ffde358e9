// SPDX-License-Identifier: Apache-2.0
#include "integration/images_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "archive/image_archives.h"
#include "support/tar_builder.h"

namespace minibox::testing {

namespace {

namespace fs = std::filesystem;

// One directory of files that hardly compress.
std::string LayerTar(int number) {
  std::minstd_rand random(static_cast<unsigned>(number + 1));
  TarBuilder tar;
  const std::string top = core::StrCat("layer", number, "/");
  tar.Dir(top);
  for (int i = 0; i < 12; ++i) {
    std::string content(static_cast<size_t>(5000 + 2000 * i), '\0');
    for (char& c : content) c = static_cast<char>(random() >> 8);
    tar.File(core::StrCat(top, "file", i), content);
  }
  tar.Symlink(top + "link", "file0").HardLink(top + "hard", top + "file1");
  return tar.Take();
}

}  // namespace

void ImagesFixture::SetUp() {
  MBX_REQUIRE_ROOT();
  std::vector<std::pair<TestImage, std::string>> archived;
  for (int i = 1; i <= kImages; ++i) {
    // Neighbours have one in common, and all the first.
    const TestImage image = MakeImage({LayerTar(0), LayerTar(i), LayerTar(i + 1)});
    registry_.AddImage("app", std::to_string(i), image);
    if (i == 1) archived.emplace_back(image, core::StrCat("loaded:", i));
  }
  registry_.AddImage("own", "1", MakeImage({LayerTar(0), LayerTar(3), LayerTar(100)}));
  scratch_.Write("archive.tar", TarOf(Layout(archived)));
  scratch_.Write("context/one", "1");
  scratch_.Write("context/dir/two", "2");
}

ImagesFixture::Child ImagesFixture::Start(std::vector<std::string> arguments) {
  const core::Fd program(open(IMAGES_WORKER, O_PATH | O_CLOEXEC));
  EXPECT_TRUE(program.valid());
  arguments.insert(arguments.begin(), "images_worker");
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Child child{{}, core::Fd(ends[0])};
  const core::Fd theirs(ends[1]);
  child.process = *core::Spawn({.executable_fd = program.get(),
                                .argv = std::move(arguments),
                                .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
                                .fds = {{theirs.get(), 1}, {2, 2}}});
  return child;
}

void ImagesFixture::ExpectSound(const std::string& what) const {
  const auto store = Store::Open({.root = RootPath()});
  ASSERT_TRUE(store.ok()) << what << ": " << store.status().ToString();
  const auto report = store->Verify();
  ASSERT_TRUE(report.ok()) << what << ": " << report.status().ToString();
  for (const StoreProblem& found : report->problems) {
    ADD_FAILURE() << what << ": " << found.object << ": " << found.problem;
  }
  for (const auto& entry : fs::directory_iterator(RootPath() + "/tmp")) {
    ADD_FAILURE() << what << ": left " << entry.path();
  }
}

int ImagesFixture::FromEnvironment(const char* name, int by_default) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? by_default : std::atoi(value);
}

unsigned ImagesFixture::Seed() {
  const int given = FromEnvironment("MINIBOX_SEED", 0);
  const unsigned seed = given != 0 ? static_cast<unsigned>(given) : std::random_device()() >> 1;
  std::printf("MINIBOX_SEED=%u\n", seed);
  std::fflush(stdout);
  return seed;
}

}  // namespace minibox::testing
