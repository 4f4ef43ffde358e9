// SPDX-License-Identifier: Apache-2.0
// Bases from a registry: when it is asked, and what then becomes of them.
#include <gmock/gmock.h>

#include "archive/image_archives.h"
#include "build/build_fixture.h"
#include "minibox/registry.h"
#include "registry/fake_registry.h"
#include "support/tar_builder.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;

class BasePull : public BuildTest {
 protected:
  void SetUp() override {
    BuildTest::SetUp();
    ASSERT_TRUE(engine_.has_value());
    const auto registry = Registry::Open(*engine_->store, {});
    ASSERT_TRUE(registry.ok()) << registry.status().ToString();
    engine_->builder = *ImageBuilder::Create(*engine_->store, *engine_->runtime,
                                             {.max_parallel = 2, .registry = *registry});
    Write("file", "copied");
    name_ = registry_.host() + "/team/base:1";
  }

  // Puts an image with one file under the name.
  void Serve(const std::string& content, const ImageOptions& options = {}) {
    registry_.AddImage("team/base", "1",
                       MakeImage({TarBuilder().File("content", content).Take()}, options));
  }
  Result BuildOnBase(const std::string& pull, const std::string& base = {}) {
    BuildOptions options =
        Options("BASE " + (base.empty() ? name_ : base) + "\nBLOCK a\n  COPY file /\n");
    options.pull = pull;
    return Build(options);
  }
  std::string Content(const Result& result) const {
    return result.image.ok() ? Open(*result.image).Read("content") : result.Text();
  }

  FakeRegistry registry_;
  std::string name_;
};

TEST_F(BasePull, MissingOnesAreFetchedOnce) {
  Serve("old");
  const auto first = BuildOnBase("missing");
  EXPECT_EQ(Content(first), "old");
  EXPECT_TRUE(first.Has("[base] fetching " + name_ + " manifest...")) << first.Text();
  EXPECT_TRUE(engine_->store->GetImage(name_).ok());
  Serve("new");
  const size_t asked = registry_.Seen().size();
  const auto second = BuildOnBase("missing");
  EXPECT_EQ(Content(second), "old");
  EXPECT_TRUE(second.Has("[base] " + name_ + ": using local image"));
  EXPECT_EQ(registry_.Seen().size(), asked);
}

TEST_F(BasePull, AlwaysTakesWhatTheRegistryHasNow) {
  Serve("old");
  const auto first = BuildOnBase("always");
  EXPECT_EQ(Content(first), "old");
  const auto same = BuildOnBase("always");
  EXPECT_TRUE(same.Has("[base] " + name_ + ": already cached")) << same.Text();
  EXPECT_TRUE(same.Has("[a] CACHED (<d>)"));
  Serve("new");
  EXPECT_EQ(Content(BuildOnBase("always")), "new");
  EXPECT_EQ(Content(BuildOnBase("missing")), "new");
  // Of a digest there is nothing newer, of what no registry has neither.
  const std::string manifest = engine_->store->GetImage(name_)->manifest.ToString();
  const size_t asked = registry_.Seen().size();
  EXPECT_EQ(Content(BuildOnBase("always", registry_.host() + "/team/base@" + manifest)), "new");
  EXPECT_EQ(registry_.Seen().size(), asked);
}

TEST_F(BasePull, AlwaysFailsIfTheRegistryDoesAndKeepsWhatIsHere) {
  Serve("old");
  EXPECT_EQ(Content(BuildOnBase("missing")), "old");
  registry_.RequireAuth(FakeRegistry::Auth::kBasic);
  const auto refused = BuildOnBase("always");
  ASSERT_FALSE(refused.image.ok());
  EXPECT_THAT(refused.image.status().message(), HasSubstr("base '" + name_ + "'"));
  EXPECT_EQ(Content(BuildOnBase("missing")), "old");
}

TEST_F(BasePull, NeverFetchesNothing) {
  Serve("old");
  const auto missing = BuildOnBase("never");
  ASSERT_FALSE(missing.image.ok());
  EXPECT_EQ(missing.image.status().reason(), "image_not_found");
  EXPECT_TRUE(registry_.Seen().empty());
  EXPECT_EQ(Content(BuildOnBase("missing")), "old");
  EXPECT_EQ(Content(BuildOnBase("never")), "old");
}

TEST_F(BasePull, AnotherPlatformIsFetchedAndNeverTakenInstead) {
  ImageOptions arm;
  arm.architecture = "arm64";
  Serve("arm", arm);
  const auto wrong = BuildOnBase("missing");
  ASSERT_FALSE(wrong.image.ok());
  EXPECT_THAT(wrong.image.status().message(), HasSubstr("there is linux/arm64"));
  BuildOptions options = Options("BASE " + name_ + "\n");
  options.platform = {"linux", "arm64", ""};
  EXPECT_EQ(Content(Build(options)), "arm");
  // Now the name stands for that here, so for this host the registry is asked, if it may be.
  const auto never = BuildOnBase("never");
  EXPECT_EQ(never.image.status().code(), StatusCode::kFailedPrecondition) << never.Text();
  Serve("host");
  EXPECT_EQ(Content(BuildOnBase("missing")), "host");
}

TEST_F(BasePull, WithoutARegistryItMayNotBeAskedFor) {
  engine_->builder = *ImageBuilder::Create(*engine_->store, *engine_->runtime, {});
  BuildOptions options = Options("BASE busybox\n");
  options.pull = "always";
  EXPECT_EQ(engine_->builder->Validate(options).field(), "pull");
  options.pull = "sometimes";
  EXPECT_EQ(engine_->builder->Validate(options).field(), "pull");
  options.pull = "never";
  EXPECT_TRUE(Build(options).image.ok());
}

}  // namespace
}  // namespace minibox::testing
