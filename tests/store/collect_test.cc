// SPDX-License-Identifier: Apache-2.0
// Prune, disk usage and verification through the public Store.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "store/layer_store.h"
#include "store/leases.h"
#include "store/marker.h"
#include "store/snapshots.h"
#include "store/volumes.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string Key(char c) { return std::string(64, c); }

class CollectTest : public StoreFixture {
 protected:
  oci::Descriptor Add(std::string_view mark, const std::vector<ImageRef>& names, int layers = 1) {
    const oci::Descriptor entry = PutImage(blobs_, mark, layers);
    EXPECT_TRUE(references_.Register(entry, names).ok());
    return entry;
  }
  void AddContainer(std::string_view id, const Digest& manifest, std::string_view status) {
    scratch_.Write(core::StrCat("root/containers/", id, "/state.json"),
                   core::StrCat(R"({"id":")", id, R"(","status":")", status,
                                R"(","image_digest":")", manifest.ToString(), R"("})"));
  }
  void AddSnapshot(const std::string& key, const SnapshotRecord& record = {}, size_t bytes = 4096) {
    const OperationDir operation = *root_->NewOperation("test");
    ASSERT_TRUE(operation.dir().MakeDir("tree", 0755).ok());
    scratch_.Write(core::StrCat("root/", operation.path(), "/tree/file"), std::string(bytes, 'x'));
    ASSERT_TRUE(snapshots_.Publish(key, operation, "tree", record).ok());
  }
  void SetUsed(const std::string& key, time_t seconds) {
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(utimensat(dir().fd(), core::StrCat("layers/", key, ".json").c_str(), times, 0), 0);
  }
  PruneReport Prune(const PruneOptions& options = {}) {
    const auto report = store_.Prune(options);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? *report : PruneReport();
  }
  std::vector<std::string> Problems() {
    const auto report = store_.Verify();
    EXPECT_TRUE(report.ok()) << report.status().message();
    std::vector<std::string> problems;
    for (const StoreProblem& found : report->problems) {
      problems.push_back(core::StrCat(found.object, ": ", found.problem));
    }
    return problems;
  }
  std::vector<std::string> Unpack(std::string_view name) {
    std::vector<std::string> trees;
    const auto manifest =
        oci::ParseManifest(*blobs_.Read(store_.GetImage(name)->manifest, 1 << 20));
    for (const auto& layer : manifest->layers) {
      const auto diff_id = layers_.EnsureUnpacked(layer.digest, layer.digest);
      EXPECT_TRUE(diff_id.ok()) << diff_id.status().message();
      trees.emplace_back(diff_id->hex());
    }
    return trees;
  }

  LayerStore layers_{root_, blobs_};
  Leases leases_{root_};
  Snapshots snapshots_{root_};
  Store store_ = *Store::Open({.root = RootPath()});
};

TEST_F(CollectTest, NamedImagesStayAndTheRestGoes) {
  Add("a", {Ref("a")}, 2);
  const oci::Descriptor nameless = Add("n", {});
  Add("old", {Ref("x")});
  Add("new", {Ref("x")});  // "old" is nameless now
  ASSERT_TRUE(blobs_.Put("of nobody").ok());
  Unpack("a");
  const auto stray = Unpack(nameless.digest.ToString());

  const PruneReport dry = Prune({.dry_run = true});
  EXPECT_TRUE(dry.dry_run);
  EXPECT_THAT(ListDir("extracted"), Contains(stray[0]));
  const PruneReport report = Prune();
  EXPECT_FALSE(report.dry_run);
  // Three blobs each of two images, two entries of the index, one blob of nobody.
  EXPECT_EQ(report.blobs_removed, 9u);
  EXPECT_EQ(report.layers_removed, 1u);
  EXPECT_GT(report.bytes_freed, 0u);
  EXPECT_EQ(dry.blobs_removed, report.blobs_removed);
  EXPECT_EQ(dry.layers_removed, report.layers_removed);
  EXPECT_EQ(dry.bytes_freed, report.bytes_freed);
  EXPECT_THAT(Names(), ElementsAre("a", "x"));
  EXPECT_THAT(ListDir("extracted"), Not(Contains(stray[0])));
  EXPECT_EQ(ListDir("extracted").size(), 2u);
  EXPECT_EQ(ListDir("blobs/sha256").size(), 4u + 3u);
  EXPECT_THAT(Problems(), IsEmpty());
  ExpectNothingInTmp();
  const PruneReport again = Prune();
  EXPECT_EQ(again.blobs_removed + again.layers_removed + again.temp_removed + again.bytes_freed,
            0u);
}

TEST_F(CollectTest, ContainersInAnyStateKeepTheirImage) {
  std::vector<oci::Descriptor> images;
  for (const char* status : {"created", "running", "exited", "removing"}) {
    images.push_back(Add(status, {}));
    AddContainer(core::StrCat("0000000", images.size()), images.back().digest, status);
    Unpack(images.back().digest.ToString());
  }
  // Nameless, but still in the index; and one that is not.
  ASSERT_TRUE(references_
                  .Update([&](auto& entries) {
                    std::erase_if(entries,
                                  [&](const auto& e) { return e.digest == images[1].digest; });
                    return Status();
                  })
                  .ok());
  EXPECT_EQ(Prune().blobs_removed, 0u);
  EXPECT_EQ(ListDir("extracted").size(), 4u);
  EXPECT_EQ(Names().size(), 3u);
  fs::remove_all(RootPath() + "/containers/00000003");
  EXPECT_EQ(Prune().blobs_removed, 4u);
  EXPECT_EQ(ListDir("extracted").size(), 3u);
}

TEST_F(CollectTest, LeasesKeepWhatTheyNameAndWhatThatRefersTo) {
  const oci::Descriptor image = Add("leased", {}, 2);
  Unpack(image.digest.ToString());
  const Digest loose = *blobs_.Put("loose");
  AddSnapshot(Key('a'));
  AddSnapshot(Key('b'), {.parent = Key('a')});
  AddSnapshot(Key('c'));
  ASSERT_TRUE(dir().MakeDirs("cache/npm", 0755).ok());
  {
    LeaseItems items;
    items.Blob(image.digest).Blob(loose).snapshots = {Key('b')};
    Lease lease = *leases_.Acquire("test", items);
    ASSERT_TRUE(lease.AddCache("npm").ok());
    const PruneReport report = Prune({.build_cache = true});
    EXPECT_EQ(report.blobs_removed, 0u);
    EXPECT_EQ(report.layers_removed, 0u);
    EXPECT_EQ(report.build_cache_removed, 1u);
    EXPECT_TRUE(dir().Exists("cache/npm"));
    EXPECT_TRUE(snapshots_.Peek(Key('a')).has_value());
    EXPECT_THAT(Names(), ElementsAre("-"));
  }
  const PruneReport report = Prune({.build_cache = true});
  EXPECT_EQ(report.blobs_removed, 6u);
  EXPECT_EQ(report.layers_removed, 2u);
  EXPECT_EQ(report.build_cache_removed, 3u);
  EXPECT_GE(report.build_cache_bytes_freed, 2u * 4096);
  EXPECT_GE(report.bytes_freed, report.build_cache_bytes_freed);
  EXPECT_THAT(ListDir("layers"), IsEmpty());
  EXPECT_THAT(ListDir("cache"), IsEmpty());
}

TEST_F(CollectTest, ALeaseMayNameWhatIsNotThereYet) {
  const Digest missing = oci::DigestOf("not there");
  Lease lease = *leases_.Acquire("test");
  ASSERT_TRUE(lease.AddBlob(missing).ok());
  ASSERT_TRUE(lease.AddLayer(missing).ok());
  EXPECT_TRUE(store_.Prune().ok());
}

TEST_F(CollectTest, AKeptLeaseOutlivesItsOperationUnlessThatSucceeds) {
  const Digest blob = *blobs_.Put("half a pull");
  {
    Lease lease = *leases_.Acquire("pull", {}, std::chrono::hours(24));
    ASSERT_TRUE(lease.AddBlob(blob).ok());
  }
  EXPECT_EQ(*leases_.Sweep(), 0);
  EXPECT_EQ(Prune().blobs_removed, 0u);
  {
    Lease lease = *leases_.Acquire("pull", LeaseItems().Blob(blob), std::chrono::hours(24));
    lease.Complete();
  }
  // Of the first attempt it is still kept; until its time is over.
  EXPECT_TRUE(blobs_.Exists(blob));
  for (const std::string& name : ListDir("leases")) {
    if (!name.ends_with(".json")) continue;
    const std::string path = core::StrCat(RootPath(), "/leases/", name);
    std::string text = testing::ReadWholeFile(path);
    text.replace(text.find("\"expires_at\": \"") + 15, 4, "2001");
    scratch_.Write(core::StrCat("root/leases/", name), text);
  }
  EXPECT_EQ(Prune().blobs_removed, 1u);
  EXPECT_THAT(ListDir("leases"), IsEmpty());
}

TEST_F(CollectTest, TheBuildCacheKeepsItsBases) {
  const oci::Descriptor base = Add("base", {Ref("base")});
  const oci::Descriptor archive = Add("archive", {});
  Unpack("base");
  AddSnapshot(Key('a'), {.base = base.digest.ToString()});
  AddSnapshot(Key('b'), {.results = {{kManifestResult, archive.digest.ToString()}}});
  ASSERT_TRUE(store_.RemoveImage("base").ok());
  EXPECT_EQ(Prune().blobs_removed, 0u);
  EXPECT_EQ(ListDir("extracted").size(), 1u);
  const PruneReport report = Prune({.build_cache = true});
  EXPECT_EQ(report.build_cache_removed, 2u);
  EXPECT_EQ(report.layers_removed, 1u);
  EXPECT_EQ(report.blobs_removed, 7u);  // and the nameless entry
}

TEST_F(CollectTest, TheLeastRecentlyUsedOfTheBuildCacheGoesFirst) {
  const oci::Descriptor base = Add("base", {});
  AddSnapshot(Key('a'), {.base = base.digest.ToString()}, 64 << 10);
  AddSnapshot(Key('b'), {.parent = Key('a'), .base = base.digest.ToString()}, 64 << 10);
  AddSnapshot(Key('c'), {}, 64 << 10);
  SetUsed(Key('a'), 1000);  // but used through b
  SetUsed(Key('b'), 3000);
  SetUsed(Key('c'), 2000);
  EXPECT_EQ(Prune({.build_cache = true, .keep_bytes = 1 << 30}).build_cache_removed, 0u);
  EXPECT_EQ(Prune({.build_cache = true, .keep_bytes = 160 << 10}).build_cache_removed, 1u);
  EXPECT_FALSE(snapshots_.Peek(Key('c')).has_value());
  EXPECT_TRUE(blobs_.Exists(base.digest));
  // A child goes before its parent.
  EXPECT_EQ(Prune({.build_cache = true, .keep_bytes = 90 << 10}).build_cache_removed, 1u);
  EXPECT_TRUE(snapshots_.Peek(Key('a')).has_value());
  EXPECT_EQ(Prune({.build_cache = true, .keep_bytes = 0}).build_cache_removed, 1u);
  EXPECT_FALSE(blobs_.Exists(base.digest));
}

TEST_F(CollectTest, LeftoversAreTakenAlong) {
  Add("a", {Ref("a")});
  scratch_.Write("root/blobs/sha256/" + Key('0') + ".index.json", "{}");
  scratch_.Write("root/blobs/sha256/stray", "?");
  scratch_.Write("root/base_layers/x/y", "old");
  scratch_.Write("root/images/x", "old");
  fs::create_symlink("../base_layers/x", RootPath() + "/extracted/link");
  fs::create_directory(RootPath() + "/layers/" + Key('d'));  // without record
  scratch_.Write("root/layers/" + Key('e') + ".json", "{}");
  scratch_.Write("root/tmp/dead/file", "x");
  scratch_.Write("root/leases/dead.json", "no JSON either");
  scratch_.Write("root/leases/dead.lock", "");
  const PruneReport dry = Prune({.dry_run = true});
  const PruneReport report = Prune();
  EXPECT_EQ(report.blobs_removed, 2u);
  EXPECT_EQ(report.temp_removed, 7u);
  EXPECT_EQ(dry.temp_removed, report.temp_removed);
  EXPECT_EQ(dry.bytes_freed, report.bytes_freed);
  EXPECT_FALSE(dir().Exists("base_layers"));
  EXPECT_THAT(ListDir("layers"), IsEmpty());
  EXPECT_THAT(ListDir("extracted"), IsEmpty());
  EXPECT_TRUE(store_.GetImage("a").ok());
}

TEST_F(CollectTest, NothingGoesWhileSomethingCannotBeRead) {
  const oci::Descriptor image = Add("a", {Ref("a")});
  ASSERT_TRUE(blobs_.Put("garbage").ok());
  const auto refused = [&](std::string_view what) {
    const auto report = store_.Prune({.build_cache = true});
    EXPECT_EQ(report.status().code(), StatusCode::kDataLoss) << what;
    EXPECT_THAT(report.status().message(), HasSubstr(what));
    EXPECT_EQ(ListDir("blobs/sha256").size(), 4u);
    ExpectNothingInTmp();
  };
  scratch_.Write("root/containers/11111111/state.json", "\x01 encrypted?");
  refused("container 11111111");
  fs::remove_all(RootPath() + "/containers/11111111");
  const std::string index = testing::ReadWholeFile(RootPath() + "/index.json");
  scratch_.Write("root/index.json", "{");
  refused("index.json");
  scratch_.Write("root/index.json", index);
  const std::string blob = core::StrCat("root/blobs/sha256/", image.digest.hex());
  const std::string manifest = *blobs_.Read(image.digest, 1 << 20);
  scratch_.Write(blob, "damaged");
  refused("image a");
  scratch_.Write(blob, manifest);
  EXPECT_EQ(Prune().blobs_removed, 1u);
}

TEST_F(CollectTest, AnImageOfManyPlatformsKeepsThoseThatAreThere) {
  const oci::Descriptor child = PutImage(blobs_, "child");
  oci::Index index{{child, {std::string(oci::kOciManifest), oci::DigestOf("elsewhere"), 9}}};
  const std::string text = oci::SerializeIndex(index);
  const oci::Descriptor entry{std::string(oci::kOciIndex), *blobs_.Put(text), text.size()};
  ASSERT_TRUE(references_.Register(entry, {Ref("many")}).ok());
  EXPECT_EQ(Prune().blobs_removed, 0u);
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(CollectTest, EachStepMayFailAndTheStoreIsSound) {
  const oci::Descriptor kept = Add("kept", {Ref("kept")});
  for (const char* mark : {"x", "y"}) Unpack(Add(mark, {}).digest.ToString());
  const int failed = FailEachStep([&] { return store_.Prune().status(); },
                                  [&] {
                                    EXPECT_THAT(Problems(), IsEmpty());
                                    EXPECT_TRUE(store_.GetImage("kept").ok());
                                  });
  EXPECT_GE(failed, 6);
  EXPECT_EQ(ListDir("blobs/sha256").size(), 3u);
}

TEST_F(CollectTest, LegacyDiffIdsKeepTheTreeThatWasComputed) {
  // A configuration that names the compressed blob.
  const std::string tar = testing::TarBuilder().File("f", "x").Take();
  std::string packed;
  auto compressor = *archive::Compressor::Create(archive::Compression::kGzip, [&](auto bytes) {
    packed += bytes;
    return Status();
  });
  ASSERT_TRUE(compressor->Write(tar).ok() && compressor->Finish().ok());
  const Digest blob = *blobs_.Put(packed);
  oci::ImageConfig config;
  config.platform = oci::HostPlatform();
  config.diff_ids = {blob};
  const std::string config_text = oci::SerializeImageConfig(config);
  const oci::Manifest manifest{
      {std::string(oci::kOciConfig), *blobs_.Put(config_text), config_text.size()},
      {{std::string(oci::kOciLayerGzip), blob, packed.size()}}};
  const std::string text = oci::SerializeManifest(manifest);
  ASSERT_TRUE(references_
                  .Register({std::string(oci::kOciManifest), *blobs_.Put(text), text.size()},
                            {Ref("legacy")})
                  .ok());
  const Digest diff_id = *layers_.EnsureUnpacked(blob, blob);
  ASSERT_NE(diff_id, blob);
  EXPECT_EQ(Prune().layers_removed, 0u);
  EXPECT_TRUE(layers_.Exists(diff_id));
}

TEST_F(CollectTest, VerifyNamesWhatIsWrong) {
  const oci::Descriptor a = Add("a", {Ref("a")});
  const oci::Descriptor b = Add("b", {Ref("b")});
  const auto sound = *store_.Verify();
  EXPECT_THAT(sound.problems, IsEmpty());
  EXPECT_EQ(sound.blobs, 6u);
  EXPECT_EQ(sound.images, 2u);
  EXPECT_GT(sound.bytes, 0u);

  const auto manifest = *oci::ParseManifest(*blobs_.Read(a.digest, 1 << 20));
  const std::string layer(manifest.layers[0].digest.hex());
  scratch_.Write("root/blobs/sha256/" + layer, std::string(manifest.layers[0].size, 'x'));
  scratch_.Write("root/blobs/sha256/stray", "");
  fs::remove(core::StrCat(RootPath(), "/blobs/sha256/", b.digest.hex()));
  AddContainer("11111111", b.digest, "exited");
  EXPECT_THAT(Problems(),
              ElementsAre(HasSubstr(core::StrCat("blob ", layer, ": has the digest sha256:")),
                          "blob stray: is named after no digest", HasSubstr("image b: manifest"),
                          HasSubstr("container 11111111: its image:")));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(store_.Verify(stop.get_token()).status().code(), StatusCode::kCancelled);
}

TEST_F(CollectTest, DiskUsageTellsWhatEachPruneWouldFree) {
  Add("a", {Ref("a")});
  const oci::Descriptor nameless = Add("n", {});
  Unpack("a");
  Unpack(nameless.digest.ToString());
  AddContainer("11111111", store_.GetImage("a")->manifest, "running");
  AddContainer("22222222", store_.GetImage("a")->manifest, "exited");
  scratch_.Write("root/containers/22222222/container.log", std::string(5000, 'l'));
  scratch_.Write("root/containers/22222222/upper/file", std::string(9000, 'u'));
  ASSERT_TRUE(store_.CreateVolume("named").ok());
  ASSERT_TRUE(store_.CreateVolume("").ok());
  AddSnapshot(Key('a'));
  const DiskUsageReport report = *store_.GetDiskUsage(/*items=*/true);
  EXPECT_EQ(report.images.count, 2u);
  EXPECT_EQ(report.images.size, 6u * 4096);
  EXPECT_EQ(report.images.reclaimable, 3u * 4096);
  EXPECT_EQ(report.layers.count, 2u);
  EXPECT_EQ(report.layers.reclaimable, report.layers.size / 2);
  EXPECT_EQ(report.containers.count, 2u);
  EXPECT_GT(report.containers.size, report.containers.reclaimable);
  EXPECT_GE(report.containers.reclaimable, 9000u);
  EXPECT_EQ(report.logs.count, 1u);
  EXPECT_EQ(report.logs.size, 8192u);
  EXPECT_EQ(report.volumes.count, 2u);
  EXPECT_EQ(report.volumes.reclaimable, report.volumes.size / 2);
  EXPECT_EQ(report.build_cache.count, 1u);
  EXPECT_EQ(report.build_cache.reclaimable, report.build_cache.size);
  EXPECT_EQ(report.images.items.size(), 2u);
  EXPECT_THAT(store_.GetDiskUsage()->images.items, IsEmpty());
}

TEST_F(CollectTest, VolumesInUseAreNotPruned) {
  const VolumeInfo anonymous = *store_.CreateVolume("");
  const VolumeInfo used = *store_.CreateVolume("");
  ASSERT_TRUE(store_.CreateVolume("named").ok());
  scratch_.Write("root/containers/11111111/config.json",
                 core::StrCat(R"({"named_volumes":{")", used.name, R"(":"/d"}})"));
  EXPECT_THAT(store_.PruneVolumes({.dry_run = true})->removed, ElementsAre(anonymous.name));
  EXPECT_TRUE(store_.InspectVolume(anonymous.name).ok());
  {
    Lease lease = *leases_.Acquire("container");
    const VolumeInfo fresh = *Volumes(root_).Create("", {}, &lease);
    EXPECT_THAT(store_.PruneVolumes()->removed, ElementsAre(anonymous.name));
    EXPECT_TRUE(store_.InspectVolume(fresh.name).ok());
  }
  const PruneVolumesReport all = *store_.PruneVolumes({.all = true});
  EXPECT_EQ(all.removed.size(), 2u);
  EXPECT_GT(all.bytes_freed, 0u);
  const auto left = *store_.ListVolumes();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].name, used.name);
  EXPECT_THAT(left[0].containers, ElementsAre("11111111"));
  EXPECT_THAT(ListDir("volumes/.meta"), ElementsAre(used.name + ".json"));
  EXPECT_GT(*store_.InspectVolume(used.name)->size, 0u);
}

}  // namespace
}  // namespace minibox::store
