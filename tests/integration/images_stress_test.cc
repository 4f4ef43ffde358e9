// SPDX-License-Identifier: Apache-2.0
// Pull, removal, prune and build at once, each in a process of its own: nothing that is needed is
// lost, and the store verifies.
#include <fcntl.h>
#include <unistd.h>

#include "integration/images_fixture.h"
#include "support/busybox_image.h"

namespace minibox::testing {
namespace {

class ImagesStressTest : public ImagesFixture {
 protected:
  static std::string ReadAll(const core::Fd& fd) {
    std::string text;
    char buffer[256];
    for (ssize_t count; (count = read(fd.get(), buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(count));
    }
    return text;
  }
};

TEST_F(ImagesStressTest, FourProcessesLoseNothing) {
  {
    Store store = *Store::Open({.root = RootPath()});
    ASSERT_TRUE(AddBusyboxImage(store).ok());
  }
  const unsigned seed = Seed();
  const int seconds = FromEnvironment("MINIBOX_STRESS_SECONDS", 60);
  std::vector<Child> children;
  unsigned number = 0;
  for (const char* kind : {"pull", "remove", "prune", "build"}) {
    children.push_back(
        Start({"work", RootPath(), registry_.host(), ContextPath(), std::to_string(seconds * 1000),
               std::to_string(seed + number++), kind}));
  }
  for (Child& child : children) {
    std::printf("%s", ReadAll(child.out).c_str());
    const auto exit = *core::WaitPidfd(child.process.pidfd.get());
    EXPECT_EQ(exit.code, 0);
  }
  ExpectSound("after the stress");
  Store store = *Store::Open({.root = RootPath()});
  ASSERT_TRUE(store.Prune({.build_cache = true}).ok());
  ExpectSound("after the last prune");
  // What nobody removed is there, to the last byte.
  for (const std::string& name :
       {registry_.host() + "/own:1", std::string("own-built"), std::string("busybox")}) {
    const core::Fd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
    EXPECT_TRUE(store.Save({name}, null.get()).ok()) << name;
  }
}

}  // namespace
}  // namespace minibox::testing
