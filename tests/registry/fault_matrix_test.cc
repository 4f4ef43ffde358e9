// SPDX-License-Identifier: Apache-2.0
// Every fault of the proxy at each object of a pull by digest: it ends, in success where nothing
// is wrong after all, else in an error that names the object; the store is sound, and the next pull
// succeeds.
#include "registry/registry_fixture.h"

namespace minibox::registry {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = Fault::Kind;

constexpr char kZstdMagic[] = "\x28\xb5\x2f\xfd";

struct FaultCase {
  std::string name;
  Fault fault;
  int times = -1;
  bool harmless = false;
};

std::vector<FaultCase> Faults() {
  const auto status = [](int code) {
    return Fault{.kind = Kind::kStatus, .status = code, .headers = {{"Retry-After", "0"}}};
  };
  return {
      {"cut at once", {.kind = Kind::kCut}},
      {"cut in the middle", {.kind = Kind::kCut, .bytes = 40}, 1, true},
      {"stall at once", {.kind = Kind::kStall}},
      {"stall in the middle", {.kind = Kind::kStall, .bytes = 40}, 1, true},
      {"404", status(404)},
      {"408", status(408)},
      {"429", status(429)},
      {"429 once", status(429), 1, true},
      {"500", status(500)},
      {"503 twice", status(503), 2, true},
      {"403", status(403)},
      {"418", status(418)},
      {"204", status(204)},
      {"wrong bytes", {.kind = Kind::kWrongBytes, .bytes = 60}},
      {"wrong length", {.kind = Kind::kWrongLength, .bytes = 7}},
      {"too long", {.kind = Kind::kTooLong, .bytes = 7}},
      {"redirect loop", {.kind = Kind::kRedirectLoop}},
      {"slow", {.kind = Kind::kSlow}, -1, true},
      {"no ranges", {.kind = Kind::kNoRange}, -1, true},
      {"nothing", {.kind = Kind::kBody}},
      {"a page", {.kind = Kind::kBody, .body = "<html>please log in</html>"}},
      {"gzip of nothing", {.kind = Kind::kBody, .body = std::string("\x1f\x8b\x08\0\0\0\0\0", 8)}},
      {"zstd of nothing", {.kind = Kind::kBody, .body = kZstdMagic}},
      {"zeros", {.kind = Kind::kBody, .body = std::string(5 << 20, '\0')}},
      {"redirect nowhere",
       {.kind = Kind::kStatus, .status = 307, .headers = {{"Location", "http://127.0.0.1:1/"}}}},
      {"redirect to a file",
       {.kind = Kind::kStatus, .status = 307, .headers = {{"Location", "file:///etc/passwd"}}}},
      {"redirect without end", {.kind = Kind::kStatus, .status = 307}},
  };
}

class FaultMatrixTest : public RegistryFixture {
 protected:
  void SetUp() override {
    RegistryFixture::SetUp();
    fake_.AddImage("app", "1", image_);
  }

  void RunAll(const std::string& object) {
    const std::string name = "app@" + testing::DigestText(image_.manifest);
    for (const FaultCase& broken : Faults()) {
      SCOPED_TRACE(broken.name);
      RegistryOptions options = Options();
      // Elsewhere a busy machine must not look like a stall.
      if (broken.fault.kind == Kind::kStall) {
        options.idle_timeout = std::chrono::milliseconds(300);
      }
      proxy_.Clear();
      proxy_.Add({.method = "GET", .path = object, .times = broken.times, .fault = broken.fault});
      const auto pulled = Pull(Open(options), Ref(name));
      EXPECT_EQ(pulled.ok(), broken.harmless) << pulled.status().ToString();
      if (!pulled.ok()) {
        EXPECT_EQ(pulled.status().reason(),
                  pulled.status().code() == StatusCode::kNotFound && object == Manifest()
                      ? "image_not_found"
                      : "registry_error")
            << pulled.status().ToString();
        EXPECT_THAT(pulled.status().message(),
                    AnyOf(HasSubstr(object.substr(7, 12)), HasSubstr("app@")));
        EXPECT_EQ(lines_.back().find("[error] pull failed: "), 0u) << lines_.back();
        EXPECT_THAT(*store_.ListImages(), IsEmpty());
      }
      ExpectSoundStore();
      proxy_.Clear();
      ASSERT_TRUE(Pull(name).ok());
      EXPECT_TRUE(store_.Verify()->problems.empty());
      EXPECT_THAT(List("partial"), IsEmpty());
      EXPECT_THAT(List("leases"), IsEmpty());
      ASSERT_TRUE(store_.RemoveImage(Ref(name).ToString()).ok());
      ASSERT_TRUE(store_.Prune().ok());
      EXPECT_THAT(List("blobs/sha256"), IsEmpty());
    }
  }
  std::string Manifest() const { return testing::DigestText(image_.manifest); }

  const TestImage image_ = testing::MakeImage({Tar("dir/first", Noise(20'000, 7))});
};

TEST_F(FaultMatrixTest, OfTheManifest) { RunAll(Manifest()); }
TEST_F(FaultMatrixTest, OfTheConfig) { RunAll(testing::DigestText(image_.config)); }
TEST_F(FaultMatrixTest, OfALayer) { RunAll(testing::DigestText(image_.layers[0])); }

// What a failed pull has fetched is there for the next one, whatever is pruned meanwhile, but not
// for ever.
TEST_F(FaultMatrixTest, CompleteLayersOfAFailedPullOutliveAPrune) {
  const TestImage two = testing::MakeImage({Tar("a", "one"), Tar("b", Noise(20'000, 9))});
  fake_.AddImage("app", "2", two);
  const std::string first = testing::DigestText(two.layers[0]);
  const std::string second = testing::DigestText(two.layers[1]);
  proxy_.Add({.path = second, .times = -1, .fault = {.kind = Kind::kStatus, .status = 403}});
  RegistryOptions options = Options();
  options.max_parallel_layers = 1;
  ASSERT_FALSE(Pull(Open(options), Ref("app:2")).ok());
  // Opening sweeps, and so does a prune.
  const Store other = *Store::Open({.root = scratch_ / "root"});
  ASSERT_TRUE(store_.Prune({.build_cache = true}).ok());
  EXPECT_TRUE(root_->dir().Exists("blobs/sha256/" + first.substr(7)));
  EXPECT_TRUE(root_->dir().Exists("extracted/" + two.diff_ids[0].substr(7)));
  proxy_.Clear();
  ASSERT_TRUE(Pull("app:2").ok());
  EXPECT_EQ(proxy_.Count(first), 1u);
  // With success nothing is kept any more, of the failed attempt neither.
  EXPECT_THAT(List("leases"), IsEmpty());
  ASSERT_TRUE(store_.RemoveImage(Ref("app:2").ToString()).ok());
  ASSERT_TRUE(store_.Prune().ok());
  EXPECT_THAT(List("blobs/sha256"), IsEmpty());
  EXPECT_THAT(List("extracted"), IsEmpty());
}

TEST_F(FaultMatrixTest, APullThatFoundNothingKeepsNothing) {
  EXPECT_EQ(Pull("app:absent").status().reason(), "image_not_found");
  EXPECT_THAT(List("leases"), IsEmpty());
}

}  // namespace
}  // namespace minibox::registry
