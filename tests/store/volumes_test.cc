// SPDX-License-Identifier: Apache-2.0
#include "store/volumes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VolumesTest : public StoreFixture {
 protected:
  std::vector<std::string> VolumeNames() const {
    std::vector<std::string> names;
    const std::vector<VolumeInfo> volumes = *volumes_.List();
    for (const VolumeInfo& volume : volumes) names.push_back(volume.name);
    return names;
  }
  Volumes volumes_{root_};
};

TEST_F(VolumesTest, CreatesInspectsListsAndRemoves) {
  const auto before = std::chrono::system_clock::now();
  const VolumeInfo made = *volumes_.Create("data", {{"app", "x"}});
  EXPECT_EQ(made.path, RootPath() + "/volumes/data");
  EXPECT_EQ(access(made.path.c_str(), W_OK), 0);
  const VolumeInfo seen = *volumes_.Inspect("data");
  EXPECT_EQ(seen.name, "data");
  EXPECT_EQ(seen.path, made.path);
  EXPECT_EQ(seen.labels, (Labels{{"app", "x"}}));
  EXPECT_EQ(seen.created, made.created);
  EXPECT_GE(seen.created, before);
  EXPECT_FALSE(seen.anonymous);
  ASSERT_TRUE(volumes_.Create("a.b", {}).ok());
  EXPECT_THAT(VolumeNames(), ElementsAre("a.b", "data"));
  scratch_.Write("root/volumes/data/deep/file", "x");
  ASSERT_TRUE(volumes_.Remove("data").ok());
  EXPECT_THAT(VolumeNames(), ElementsAre("a.b"));
  EXPECT_THAT(*dir().List("volumes/.meta"), ElementsAre("a.b.json"));
  ExpectNothingInTmp();
}

TEST_F(VolumesTest, CreatingOneThatExistsReturnsIt) {
  const VolumeInfo first = *volumes_.Create("data", {{"a", "1"}});
  scratch_.Write("root/volumes/data/file", "kept");
  const VolumeInfo second = *volumes_.Create("data", {{"b", "2"}});
  EXPECT_EQ(second.labels, first.labels);
  EXPECT_EQ(second.created, first.created);
  EXPECT_EQ(*dir().ReadFile("volumes/data/file", 10), "kept");
}

TEST_F(VolumesTest, AnonymousOnesGetAName) {
  const VolumeInfo a = *volumes_.Create("", {}), b = *volumes_.Create("", {});
  EXPECT_TRUE(IsValidVolumeName(a.name));
  EXPECT_NE(a.name, b.name);
  EXPECT_TRUE(volumes_.Inspect(a.name)->anonymous);
}

TEST_F(VolumesTest, NamesAreChecked) {
  for (const char* name : {"a", "A9", "a_b.c-d", "0"}) EXPECT_TRUE(IsValidVolumeName(name));
  EXPECT_TRUE(IsValidVolumeName(std::string(64, 'a')));
  for (const std::string name :
       {"", ".", "..", ".meta", "-a", "_a", "a/b", "a b", "\xc3\xa4", "a\n"}) {
    EXPECT_FALSE(IsValidVolumeName(name)) << name;
    // No name at all asks for an anonymous one.
    EXPECT_TRUE(name.empty() || volumes_.Create(name, {}).status().field() == "name");
    EXPECT_EQ(volumes_.Inspect(name).status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(volumes_.Remove(name).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(volumes_.Open(name).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(IsValidVolumeName(std::string(65, 'a')));
}

TEST_F(VolumesTest, LabelsAreLimited) {
  Labels many;
  for (int i = 0; i < 1001; ++i) many[core::StrCat("k", i)];
  for (const Labels& labels : {many, Labels{{"", "x"}}, Labels{{std::string(257, 'k'), "x"}},
                               Labels{{"k", std::string((64 << 10) + 1, 'v')}}}) {
    EXPECT_EQ(volumes_.Create("v", labels).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_THAT(VolumeNames(), IsEmpty());
}

TEST_F(VolumesTest, MissingIsNotFound) {
  EXPECT_EQ(volumes_.Inspect("none").status().reason(), "volume_not_found");
  EXPECT_EQ(volumes_.Remove("none").reason(), "volume_not_found");
  EXPECT_EQ(volumes_.Open("none").status().reason(), "volume_not_found");
}

TEST_F(VolumesTest, DirectoryWithoutRecordIsAVolume) {
  ASSERT_TRUE(dir().MakeDir("volumes/old", 0755).ok());
  scratch_.Write("root/volumes/.meta/damaged.json", "{");
  ASSERT_TRUE(dir().MakeDir("volumes/damaged", 0755).ok());
  scratch_.Write("root/volumes/a-file", "");
  scratch_.Write("root/volumes/.meta/gone.json", "{}");
  EXPECT_THAT(VolumeNames(), ElementsAre("damaged", "old"));
  EXPECT_GT(volumes_.Inspect("old")->created, TimePoint());
  EXPECT_EQ(volumes_.Inspect("gone").status().reason(), "volume_not_found");
  EXPECT_TRUE(volumes_.Create("old", {})->labels.empty());
}

TEST_F(VolumesTest, OpenNeverFollowsALink) {
  ASSERT_TRUE(dir().Symlink("../blobs", "volumes/link").ok());
  EXPECT_FALSE(volumes_.Open("link").ok());
  EXPECT_EQ(volumes_.Inspect("link").status().reason(), "volume_not_found");
  ASSERT_TRUE(volumes_.Create("real", {}).ok());
  EXPECT_TRUE(volumes_.Open("real").ok());
}

TEST_F(VolumesTest, RemovalRespectsContainers) {
  Store store = *Store::Open({.root = RootPath()});
  ASSERT_TRUE(store.CreateVolume("named").ok());
  ASSERT_TRUE(store.CreateVolume("own").ok());
  scratch_.Write("root/containers/11111111/config.json",
                 R"({"named_volumes":{"named":"/n","own":"/o"},"anonymous_volumes":["own"]})");
  scratch_.Write("root/containers/11111111/state.json", R"({"status":"exited"})");
  for (const char* name : {"named", "own"}) {
    const Status status = store.RemoveVolume(name);
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(status.reason(), "volume_in_use");
    EXPECT_THAT(status.message(), HasSubstr("11111111"));
  }
  // The container's own removal takes along what was made with it, and no more.
  EXPECT_EQ(volumes_.Remove("named").reason(), "volume_in_use");
  EXPECT_TRUE(volumes_.Remove("own").ok());
  ASSERT_TRUE(dir().RemoveAll("containers/11111111").ok());
  EXPECT_TRUE(store.RemoveVolume("named").ok());
  EXPECT_EQ(store.RemoveVolume("named").reason(), "volume_not_found");
  EXPECT_THAT(*store.ListVolumes(), IsEmpty());
}

TEST_F(VolumesTest, FailureAtAnyStepLeavesNoVolume) {
  const int failures = FailEachStep([&] { return volumes_.Create("v", {}).status(); },
                                    [&] {
                                      EXPECT_THAT(VolumeNames(), IsEmpty());
                                      EXPECT_THAT(*dir().List("volumes/.meta"), IsEmpty());
                                    });
  EXPECT_GE(failures, 5);
  scratch_.Write("root/volumes/v/file", "x");
  const int removals = FailEachStep([&] { return volumes_.Remove("v"); },
                                    [&] { EXPECT_EQ(*dir().ReadFile("volumes/v/file", 10), "x"); });
  EXPECT_GE(removals, 2);
  EXPECT_THAT(*dir().List("volumes"), ElementsAre(".meta"));
}

TEST_F(VolumesTest, CreateFromManyHandlesMakesOne) {
  std::vector<std::thread> threads;
  std::vector<TimePoint> created(6);
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      const Volumes own(*DataRoot::Open(RootPath(), false));
      created[static_cast<size_t>(t)] = own.Create("v", {})->created;
    });
  }
  for (auto& thread : threads) thread.join();
  for (const TimePoint time : created) EXPECT_EQ(time, created[0]);
}

}  // namespace
}  // namespace minibox::store
