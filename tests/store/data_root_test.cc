// SPDX-License-Identifier: Apache-2.0
#include "store/data_root.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "core/json.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DataRootTest : public StoreFixture {};

TEST_F(DataRootTest, CreatesTheTree) {
  EXPECT_THAT(
      *dir().List(""),
      ElementsAre("blobs", "cache", "containers", "extracted", "index.json", "layers", "lazy",
                  "leases", "networks", "oci-layout", "partial", "store.lock", "tmp", "volumes"));
  for (const char* name : {"", "blobs", "blobs/sha256", "containers", "volumes", "volumes/.meta"}) {
    EXPECT_EQ(dir().Stat(name)->st_mode & 07777, 0700u) << name;
  }
  EXPECT_EQ(*dir().ReadFile("oci-layout", 100), R"({"imageLayoutVersion":"1.0.0"})");
  EXPECT_EQ(*dir().ReadFile("index.json", 1000),
            "{\n  \"schemaVersion\": 2,\n"
            "  \"mediaType\": \"application/vnd.oci.image.index.v1+json\",\n"
            "  \"manifests\": []\n}");
  EXPECT_EQ(root_->path(), RootPath());
}

TEST_F(DataRootTest, OpensWhatExistsAndMakesWhatIsMissing) {
  ASSERT_TRUE(references_.Register(PutImage(blobs_, "a"), {Ref("a")}).ok());
  ASSERT_TRUE(dir().RemoveAll("lazy").ok());
  ASSERT_EQ(chmod(RootPath().c_str(), 0755), 0);
  ASSERT_TRUE(DataRoot::Open(RootPath() + "//", /*create=*/false).ok());
  EXPECT_TRUE(dir().Exists("lazy"));
  EXPECT_EQ(dir().Stat("")->st_mode & 07777, 0700u);
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(DataRootTest, MissingIsAnErrorUnlessItMayBeCreated) {
  EXPECT_EQ(DataRoot::Open(scratch_ / "none", false).status().code(), StatusCode::kNotFound);
  ASSERT_EQ(mkdir((scratch_ / "empty").c_str(), 0700), 0);
  EXPECT_EQ(DataRoot::Open(scratch_ / "empty", false).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_TRUE(DataRoot::Open(scratch_ / "a/b/c", true).ok());
  EXPECT_EQ(DataRoot::Open("", true).status().code(), StatusCode::kInvalidArgument);
  scratch_.Write("file", "x");
  EXPECT_EQ(DataRoot::Open(scratch_ / "file", true).status().sys_errno(), ENOTDIR);
}

TEST_F(DataRootTest, SomebodysDirectoryIsRefusedAndUntouched) {
  scratch_.Write("home/thesis.tex", "x");
  ASSERT_EQ(chmod((scratch_ / "home").c_str(), 0755), 0);
  const Status status = DataRoot::Open(scratch_ / "home", true).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("thesis.tex"));
  EXPECT_THAT(*core::RootDir::Open(scratch_ / "home")->List(""), ElementsAre("thesis.tex"));
  EXPECT_EQ(core::RootDir::Open(scratch_ / "home")->Stat("")->st_mode & 0777, 0755u);
}

TEST_F(DataRootTest, DataOfOlderVersionsIsAccepted) {
  scratch_.Write("old/state.json", "{}");
  scratch_.Write("old/base_layers/x", "");
  scratch_.Write("old/containers/x/upper/f", "");
  EXPECT_TRUE(DataRoot::Open(scratch_ / "old", true).ok());
}

TEST_F(DataRootTest, UnknownLayoutVersionIsRefused) {
  scratch_.Write("new/oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
  EXPECT_THAT(DataRoot::Open(scratch_ / "new", true).status().message(), HasSubstr("2.0.0"));
  scratch_.Write("bad/oci-layout", "{");
  EXPECT_FALSE(DataRoot::Open(scratch_ / "bad", true).ok());
}

TEST_F(DataRootTest, LinksInThePathAreResolvedOnce) {
  ASSERT_EQ(symlink("root", (scratch_ / "link").c_str()), 0);
  EXPECT_EQ((*DataRoot::Open(scratch_ / "link", true))->path(), RootPath());
}

TEST_F(DataRootTest, InterruptedCreationIsFinishedByTheNextOpen) {
  for (int n = 1;; ++n) {
    const std::string path = scratch_ / core::StrCat("n", n);
    core::SetFailNth(n);
    const bool created = DataRoot::Open(path, true).ok();
    core::ClearFailpoints();
    const auto again = DataRoot::Open(path, true);
    ASSERT_TRUE(again.ok()) << n << ": " << again.status().message();
    EXPECT_EQ(*(*again)->dir().List(""), *dir().List("")) << n;
    if (created) {
      EXPECT_GT(n, 10);
      break;
    }
  }
}

TEST_F(DataRootTest, OperationsEndWithTheirContent) {
  std::string path;
  {
    const OperationDir operation = *root_->NewOperation("test");
    path = operation.path();
    EXPECT_EQ(path.find("tmp/test-"), 0u);
    ASSERT_TRUE(operation.dir().MakeDirs("a/b", 0700).ok());
    EXPECT_TRUE(dir().Exists(path + "/a/b"));
    ASSERT_TRUE(root_->SweepTemporary().ok());
    EXPECT_TRUE(dir().Exists(path + "/a/b"));
    auto other = root_->NewOperation("test");
    EXPECT_NE(other->path(), path);
    OperationDir moved(std::move(*other));
    EXPECT_TRUE(dir().Exists(moved.path()));
  }
  EXPECT_THAT(*dir().List("tmp"), IsEmpty());
}

TEST_F(DataRootTest, OperationKeepsTheRootOpen) {
  std::optional<OperationDir> operation(*root_->NewOperation("test"));
  root_.reset();
  operation.reset();
  root_ = *DataRoot::Open(RootPath(), false);
  EXPECT_THAT(*dir().List("tmp"), IsEmpty());
}

TEST_F(DataRootTest, SweepRemovesWhatNobodyOwns) {
  scratch_.Write("root/tmp/dead-1/deep/file", "x");
  scratch_.Write("root/tmp/dead-2/file", "x");
  scratch_.Write("root/tmp/dead-2.lock", "");
  scratch_.Write("root/tmp/lonely.lock", "");
  scratch_.Write("root/tmp/stray", "x");
  ASSERT_EQ(symlink("../blobs", (scratch_ / "root/tmp/link").c_str()), 0);
  { const auto key = *root_->LockKey("k"); }
  ASSERT_TRUE(root_->SweepTemporary().ok());
  EXPECT_THAT(*dir().List("tmp"), IsEmpty());
  EXPECT_TRUE(dir().Exists("blobs/sha256"));
}

TEST_F(DataRootTest, SweepTakesTemporaryRecordsOfDeadWriters) {
  const std::string leftovers[] = {".index.json.00000000.tmp", ".oci-layout.00000000.tmp",
                                   "volumes/.meta/.v.json.00000000.tmp",
                                   "layers/.k.json.00000000.tmp"};
  for (const std::string& name : leftovers) scratch_.Write("root/" + name, "x");
  {
    const auto volume = *root_->LockKey("store/volume/v");
    const auto snapshot = *root_->LockKey("store/snapshot/k");
    ASSERT_TRUE(root_->SweepTemporary().ok());
    EXPECT_TRUE(dir().Exists(leftovers[2]));
    EXPECT_TRUE(dir().Exists(leftovers[3]));
  }
  ASSERT_TRUE(root_->SweepTemporary().ok());
  for (const std::string& name : leftovers) EXPECT_FALSE(dir().Exists(name)) << name;
}

TEST_F(DataRootTest, SweepTakesOthersTemporaryFilesOnlyWhenTheyAreOld) {
  for (const char* name : {".state.json.00000000.tmp", ".state.json.11111111.tmp"}) {
    scratch_.Write(core::StrCat("root/", name), "x");
  }
  const struct timespec hour_ago[2] = {{time(nullptr) - 3600, 0}, {time(nullptr) - 3600, 0}};
  ASSERT_EQ(utimensat(dir().fd(), ".state.json.00000000.tmp", hour_ago, 0), 0);
  ASSERT_TRUE(root_->SweepTemporary().ok());
  EXPECT_FALSE(dir().Exists(".state.json.00000000.tmp"));
  EXPECT_TRUE(dir().Exists(".state.json.11111111.tmp"));
}

TEST_F(DataRootTest, KeysExcludeEachOnlyItself) {
  std::optional<core::FileLock> lock = *root_->LockKey("sha256:abc");
  EXPECT_TRUE(root_->LockKey("sha256:abd").ok());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(root_->LockKey("sha256:abc", stop.get_token()).status().code(), StatusCode::kCancelled);
  // Any text: it never becomes a path.
  EXPECT_TRUE(root_->LockKey("../../x\n" + std::string(1000, 'y')).ok());
  ASSERT_TRUE(root_->SweepTemporary().ok());
  const auto other = *DataRoot::Open(RootPath(), false);
  EXPECT_EQ(other->LockKey("sha256:abc", stop.get_token()).status().code(), StatusCode::kCancelled);
  lock.reset();
  EXPECT_TRUE(other->LockKey("sha256:abc").ok());
}

}  // namespace
}  // namespace minibox::store
