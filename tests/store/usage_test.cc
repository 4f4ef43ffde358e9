// SPDX-License-Identifier: Apache-2.0
#include "store/usage.h"

#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class UsageTest : public StoreFixture {
 protected:
  void Container(std::string_view id, std::string_view state, std::string_view config) {
    scratch_.Write(core::StrCat("root/containers/", id, "/state.json"), state);
    scratch_.Write(core::StrCat("root/containers/", id, "/config.json"), config);
  }
};

TEST_F(UsageTest, ContainersInAnyStateUseTheirImage) {
  Container("11111111", R"({"status":"running","image_digest":"sha256:a"})", "{}");
  Container("22222222", R"({"status":"exited","image_digest":"sha256:a"})", "{}");
  Container("33333333", R"({"status":"created","image_digest":"sha256:b"})", "{}");
  Container("44444444", R"({"status":"removing","image_digest":"sha256:c"})", "{}");
  EXPECT_THAT(*ContainersByImage(*root_),
              ElementsAre(Pair("sha256:a", ElementsAre("11111111", "22222222")),
                          Pair("sha256:b", ElementsAre("33333333"))));
}

TEST_F(UsageTest, ConfigStandsInForAStateThatSaysNothing) {
  Container("11111111", "{", R"({"image_digest":"sha256:a"})");
  scratch_.Write("root/containers/22222222/config.json", R"({"image_digest":"sha256:a"})");
  Container("33333333", R"({"image_digest":5})", "[]");
  Container("44444444", "\x01\x02 encrypted", "\x01\x02");
  scratch_.Write("root/containers/.names", "");
  scratch_.Write("root/containers/a-file", "");
  EXPECT_THAT(*ContainersByImage(*root_),
              ElementsAre(Pair("sha256:a", ElementsAre("11111111", "22222222"))));
}

TEST_F(UsageTest, VolumeUsersAreOwnersOrOthers) {
  Container("11111111", R"({"status":"running"})",
            R"({"named_volumes":{"data":"/d:ro","x":["/x"]}})");
  Container("22222222", R"({"status":"exited"})",
            R"({"named_volumes":{"anon":"/a"},"anonymous_volumes":["anon"]})");
  Container("33333333", R"({"status":"exited"})", R"({"named_volumes":{"anon":"/a"}})");
  Container("44444444", R"({"status":"removing"})", R"({"named_volumes":{"data":"/d"}})");
  EXPECT_THAT(FindVolumeUsers(*root_, "data")->others, ElementsAre("11111111"));
  EXPECT_THAT(FindVolumeUsers(*root_, "x")->others, ElementsAre("11111111"));
  EXPECT_THAT(FindVolumeUsers(*root_, "anon")->owners, ElementsAre("22222222"));
  EXPECT_THAT(FindVolumeUsers(*root_, "anon")->others, ElementsAre("33333333"));
  EXPECT_THAT(FindVolumeUsers(*root_, "none")->others, IsEmpty());
}

}  // namespace
}  // namespace minibox::store
