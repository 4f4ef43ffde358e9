// SPDX-License-Identifier: Apache-2.0
// Copies into containers and out of them, in every state, while the container does its worst.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "archive/tar_reader.h"
#include "core/fd.h"
#include "runtime/runtime_fixture.h"
#include "support/tar_builder.h"

namespace minibox::testing {
namespace {

using archive::TarEntry;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CopyTest : public RuntimeTest {
 protected:
  static core::Fd FileOf(const std::string& bytes) {
    core::Fd fd(memfd_create("tar", MFD_CLOEXEC));
    EXPECT_EQ(write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(lseek(fd.get(), 0, SEEK_SET), 0);
    return fd;
  }
  Status In(const ContainerId& id, const std::string& directory, TarBuilder tar,
            bool keep_ids = false) {
    const core::Fd file = FileOf(tar.Take());
    return runtime().CopyIn(id, directory, file.get(), {.keep_ids = keep_ids});
  }
  struct Out {
    Status status;
    PathStat stat{};
    std::string tar{};
  };
  Out CopyOut(const ContainerId& id, const std::string& path, bool follow = false) {
    Out out;
    CopyOutOptions options;
    options.follow_link = follow;
    options.found = [&](const PathStat& found) {
      out.stat = found;
      return Status();
    };
    out.status = runtime().CopyOut(
        id, path,
        [&](std::string_view bytes) {
          out.tar += bytes;
          return Status();
        },
        options);
    return out;
  }
  std::string RunExec(const ContainerId& id, const std::string& script) {
    std::string out;
    const auto exit =
        runtime().Exec(id, {.command = {"sh", "-c", script}}, [&](const OutputChunk& chunk) {
          out += chunk.bytes;
          return Status();
        });
    EXPECT_TRUE(exit.ok()) << exit.status().ToString();
    return out;
  }
  // "<path> <uid>:<gid> <mode>[ -> link][ = content]" per entry.
  static std::vector<std::string> List(const std::string& tar) {
    size_t at = 0;
    archive::TarReader reader([&](char* buffer, size_t size) -> StatusOr<size_t> {
      const size_t count = std::min(size, tar.size() - at);
      tar.copy(buffer, count, at);
      at += count;
      return count;
    });
    std::vector<std::string> entries;
    TarEntry entry;
    while (true) {
      const auto more = reader.Next(entry);
      EXPECT_TRUE(more.ok()) << more.status().ToString();
      if (!more.ok() || !*more) return entries;
      char mode[8];
      snprintf(mode, sizeof mode, "%o", entry.mode);
      std::string line = entry.path + " " + std::to_string(entry.uid) + ":" +
                         std::to_string(entry.gid) + " " + mode;
      if (!entry.link.empty()) line += " -> " + entry.link;
      std::string content;
      while (true) {
        const auto bytes = reader.ReadData();
        if (!bytes.ok() || bytes->empty()) break;
        content += *bytes;
      }
      if (!content.empty()) line += " = " + content;
      entries.push_back(std::move(line));
    }
  }
};

TEST_F(CopyTest, OutOfEveryState) {
  const auto created = runtime().Create(
      Shell("umask 022; mkdir -p /d/sub; echo text > /d/file; chown 12:34 /d/file; chmod 4750 "
            "/d/file; ln -s file /d/link; ln /d/file /d/twin; mkfifo /d/pipe; echo ready; "
            "exec sleep 1000"));
  ASSERT_TRUE(created.ok());
  const ContainerId& id = created->id;
  EXPECT_EQ(CopyOut(id, "/d").status.reason(), "path_not_found");
  EXPECT_EQ(CopyOut(id, "/bin/busybox").stat.name, "busybox");
  ASSERT_TRUE(runtime().Start(id).ok());
  AwaitLog(id, "ready");
  const auto check = [&](const char* state) {
    const Out out = CopyOut(id, "/d");
    ASSERT_TRUE(out.status.ok()) << state << ": " << out.status.ToString();
    EXPECT_TRUE(S_ISDIR(out.stat.mode));
    EXPECT_THAT(List(out.tar),
                ElementsAre("d/ 0:0 755", "d/file 12:34 4750 = text\n", "d/link 0:0 777 -> file",
                            "d/pipe 0:0 644", "d/sub/ 0:0 755", "d/twin 12:34 4750 -> d/file"))
        << state;
  };
  check("running");
  ASSERT_TRUE(runtime().Pause(id).ok());
  check("paused");
  ASSERT_TRUE(runtime().Kill(id).ok());
  check("exited");
  EXPECT_EQ(runtime().Inspect(id)->state, ContainerState::kExited);
  EXPECT_EQ(Cgroups(), "");
}

TEST_F(CopyTest, PathsOut) {
  const ContainerInfo info = Start(
      Shell("mkdir /d; echo text > /d/file; ln -s /d /to-d; ln -s /d/file /to-file; ln -s loop "
            "/loop; echo ready; exec sleep 1000"));
  AwaitLog(info.id, "ready");
  Out out = CopyOut(info.id, "/to-file");
  EXPECT_THAT(List(out.tar), ElementsAre("to-file 0:0 777 -> /d/file"));
  EXPECT_EQ(out.stat.link_target, "/d/file");
  out = CopyOut(info.id, "/to-file", /*follow=*/true);
  EXPECT_THAT(List(out.tar), ElementsAre("to-file 0:0 644 = text\n"));
  EXPECT_EQ(out.stat.size, 5u);
  for (const char* directory : {"/to-d/", "/to-d/."}) {
    EXPECT_THAT(List(CopyOut(info.id, directory).tar),
                ElementsAre("to-d/ 0:0 755", "to-d/file 0:0 644 = text\n"))
        << directory;
  }
  EXPECT_EQ(CopyOut(info.id, "/x/../d/./file").stat.name, "file");
  const auto stat = runtime().StatPath(info.id, "/d/file");
  ASSERT_TRUE(stat.ok());
  EXPECT_EQ(stat->size, 5u);
  EXPECT_EQ(runtime().StatPath(info.id, "/no").status().reason(), "path_not_found");
  const std::pair<const char*, const char*> refused[] = {
      {"/d/file/", "invalid_argument"}, {"/d/file/x", "invalid_argument"},
      {"/loop/x", "invalid_argument"},  {"d", "invalid_argument"},
      {"", "invalid_argument"},         {"/proc/1/status", "invalid_argument"},
      {"/sys", "invalid_argument"},     {"/d/none", "path_not_found"}};
  for (const auto& [path, reason] : refused) {
    const Status status = CopyOut(info.id, path).status;
    EXPECT_EQ(status.reason(), reason) << path << ": " << status.ToString();
    EXPECT_EQ(status.field(), "path") << path;
  }
  // All of it, but for what is the kernel's.
  const std::vector<std::string> all = List(CopyOut(info.id, "/").tar);
  EXPECT_THAT(all, ::testing::Contains("d/file 0:0 644 = text\n"));
  EXPECT_THAT(all, ::testing::Contains(::testing::StartsWith("proc/ ")));
  EXPECT_THAT(all, ::testing::Not(::testing::Contains(::testing::StartsWith("proc/1"))));
}

TEST_F(CopyTest, IntoEveryState) {
  const auto created = runtime().Create(Shell("ls -ln /root /data; exec sleep 1000"));
  ASSERT_TRUE(created.ok());
  const ContainerId& id = created->id;
  const auto tar = [](const std::string& name) {
    TarBuilder builder;
    builder.Dir(name + "/", 0750).File(name + "/file", name);
    builder.Symlink(name + "/link", "file").HardLink(name + "/twin", name + "/file");
    return builder;
  };
  EXPECT_EQ(In(id, "/none", tar("x")).reason(), "path_not_found");
  ASSERT_TRUE(In(id, "/root", tar("created")).ok());
  ASSERT_TRUE(runtime().Start(id).ok());
  ASSERT_TRUE(In(id, "/root", tar("running")).ok());
  ASSERT_TRUE(runtime().Pause(id).ok());
  ASSERT_TRUE(In(id, "/root", tar("paused")).ok());
  ASSERT_TRUE(runtime().Kill(id).ok());
  ASSERT_TRUE(In(id, "/root", tar("exited")).ok());
  for (const char* state : {"created", "running", "paused", "exited"}) {
    const std::string name(state);
    EXPECT_THAT(
        List(CopyOut(id, "/root/" + name).tar),
        ElementsAre(name + "/ 0:0 750", name + "/file 0:0 644 = " + name,
                    name + "/link 0:0 777 -> file", name + "/twin 0:0 644 -> " + name + "/file"));
  }
  EXPECT_EQ(Cgroups(), "");
}

TEST_F(CopyTest, OwnersAndSetIdBits) {
  const ContainerInfo info = Start(Shell("mkdir /in; echo ready; exec sleep 1000"));
  AwaitLog(info.id, "ready");
  const auto tar = [] {
    TarBuilder builder;
    builder.Add({.name = "own", .mode = 06755, .uid = 7, .gid = 8});
    builder.Add({.name = "root", .mode = 04755});
    return builder;
  };
  ASSERT_TRUE(In(info.id, "/in", tar()).ok());
  EXPECT_THAT(List(CopyOut(info.id, "/in").tar),
              ElementsAre("in/ 0:0 755", "in/own 0:0 755", "in/root 0:0 4755"));
  ASSERT_TRUE(In(info.id, "/in", tar(), /*keep_ids=*/true).ok());
  EXPECT_THAT(List(CopyOut(info.id, "/in").tar),
              ElementsAre("in/ 0:0 755", "in/own 7:8 6755", "in/root 0:0 4755"));
  // As the container sees it.
  EXPECT_THAT(RunExec(info.id, "stat -c '%u:%g %a' /in/own"), "7:8 6755\n");
  TarBuilder beyond;
  beyond.Add({.name = "far", .uid = 70000});
  const Status refused = In(info.id, "/in", std::move(beyond), true);
  EXPECT_EQ(refused.reason(), "invalid_archive") << refused.ToString();
  EXPECT_EQ(refused.field(), "far");
}

TEST_F(CopyTest, AttributesAndCapabilitiesComeThrough) {
  const ContainerInfo info = Start(Shell("mkdir /in; echo ready; exec sleep 1000"));
  AwaitLog(info.id, "ready");
  // cap_net_raw=ep
  const std::string capability("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  TarBuilder builder;
  builder.Pax(
      {{"SCHILY.xattr.security.capability", capability}, {"mtime", "1234567890.000000005"}});
  builder.Add({.name = "able", .mode = 0755});
  ASSERT_TRUE(In(info.id, "/in", std::move(builder)).ok());
  const Out out = CopyOut(info.id, "/in/able");
  EXPECT_EQ(out.stat.mtime.time_since_epoch(), std::chrono::nanoseconds(1234567890'000000005));
  EXPECT_THAT(out.tar, HasSubstr(std::string("SCHILY.xattr.security.capability=") + capability));
}

TEST_F(CopyTest, MountsAreThoseOfTheContainer) {
  Scratch host;
  ASSERT_EQ(mkdir((host / "bind").c_str(), 0755), 0);
  host.Write("single", "before");
  ContainerSpec spec = Shell("echo mem > /tmp/mem; echo ready; exec sleep 1000");
  spec.mounts = {{Mount::Kind::kBind, host / "bind", "/bind", ""},
                 {Mount::Kind::kVolume, "vol", "/vol", ""},
                 {Mount::Kind::kBind, host / "bind", "/closed", "ro"},
                 {Mount::Kind::kBind, host / "single", "/etc/single", ""},
                 {Mount::Kind::kTmpfs, "", "/tmp", ""}};
  const ContainerInfo info = Start(spec);
  AwaitLog(info.id, "ready");
  const auto file = [](const std::string& name, const std::string& text) {
    TarBuilder builder;
    builder.File(name, text);
    return builder;
  };
  const auto check = [&](const std::string& state) {
    ASSERT_TRUE(In(info.id, "/bind", file(state, "b")).ok());
    ASSERT_TRUE(In(info.id, "/vol", file(state, "v")).ok());
    EXPECT_EQ(ReadWholeFile(host / ("bind/" + state)), "b");
    EXPECT_EQ(ReadWholeFile(DataPath("volumes/vol/" + state)), "v");
    struct stat st {};
    ASSERT_EQ(stat((host / ("bind/" + state)).c_str(), &st), 0);
    EXPECT_EQ(st.st_uid, 0u);
    const Status closed = In(info.id, "/closed", file(state, "x"));
    EXPECT_EQ(closed.reason(), "read_only") << closed.ToString();
    EXPECT_EQ(closed.code(), StatusCode::kPermissionDenied);
    EXPECT_THAT(List(CopyOut(info.id, "/bind/" + state).tar), ElementsAre(state + " 0:0 644 = b"));
    ASSERT_TRUE(In(info.id, "/etc", file("single", state)).ok());
    EXPECT_EQ(ReadWholeFile(host / "single"), state);
    const Status kernels = In(info.id, "/proc/1", file("oom_score_adj", "1"));
    EXPECT_EQ(kernels.reason(), "invalid_argument") << kernels.ToString();
  };
  check("running");
  EXPECT_THAT(List(CopyOut(info.id, "/tmp/mem").tar), ElementsAre("mem 0:0 644 = mem\n"));
  ASSERT_TRUE(In(info.id, "/tmp", file("in", "memory")).ok());
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  check("exited");
  EXPECT_EQ(CopyOut(info.id, "/tmp/mem").status.reason(), "path_not_found");
  const Status gone = In(info.id, "/tmp", file("in", "memory"));
  EXPECT_EQ(gone.reason(), "container_not_running") << gone.ToString();
}

TEST_F(CopyTest, AReadOnlyRootIsReadOnly) {
  ContainerSpec spec = Shell("exec sleep 1000");
  spec.security.read_only_rootfs = true;
  spec.mounts = {{Mount::Kind::kVolume, "vol", "/vol", ""}};
  const auto created = runtime().Create(spec);
  ASSERT_TRUE(created.ok());
  for (const bool running : {false, true}) {
    if (running) {
      ASSERT_TRUE(runtime().Start(created->id).ok());
    }
    TarBuilder root, volume;
    root.File("x", "x");
    volume.File("x", "x");
    EXPECT_EQ(In(created->id, "/", std::move(root)).reason(), "read_only");
    EXPECT_TRUE(In(created->id, "/vol", std::move(volume)).ok());
  }
}

TEST_F(CopyTest, FilesAndDirectoriesDoNotReplaceEachOther) {
  const ContainerInfo info =
      Start(Shell("mkdir -p /in/dir/full; echo old > /in/file; ln -s /in/dir /in/link; echo ready; "
                  "exec sleep 1000"));
  AwaitLog(info.id, "ready");
  TarBuilder over_directory, over_file, through, beside;
  over_directory.File("dir", "x");
  over_file.Dir("file/", 0755);
  through.File("link/new", "new").File("deep/er/new", "new");
  beside.File("file", "new");
  for (TarBuilder* bad : {&over_directory, &over_file}) {
    const Status status = In(info.id, "/in", std::move(*bad));
    EXPECT_EQ(status.reason(), "invalid_archive") << status.ToString();
    EXPECT_THAT(status.message(), HasSubstr("in its place"));
  }
  ASSERT_TRUE(In(info.id, "/in", std::move(through)).ok());
  ASSERT_TRUE(In(info.id, "/in/", std::move(beside)).ok());
  EXPECT_EQ(RunExec(info.id, "cat /in/dir/new /in/file; stat -c %a /in/deep/er"), "newnew755\n");
  EXPECT_EQ(In(info.id, "/in/file", TarBuilder()).reason(), "invalid_argument");
}

TEST_F(CopyTest, WhatIsNoArchiveIsRefused) {
  const auto created = runtime().Create(Shell("true"));
  ASSERT_TRUE(created.ok());
  const core::Fd garbage = FileOf(std::string(2000, 'x'));
  EXPECT_EQ(runtime().CopyIn(created->id, "/", garbage.get()).reason(), "invalid_archive");
  TarBuilder cut;
  cut.File("big", std::string(100000, 'x'));
  const core::Fd part = FileOf(cut.Take().substr(0, 5000));
  EXPECT_EQ(runtime().CopyIn(created->id, "/", part.get()).reason(), "invalid_archive");
  for (const char* name : {"../out", "a/../../out", ""}) {
    TarBuilder escape;
    escape.File(name, "x");
    EXPECT_EQ(In(created->id, "/root", std::move(escape)).reason(), "invalid_archive") << name;
  }
  const ContainerId none = *ContainerId::Parse("00000000");
  EXPECT_EQ(In(none, "/", TarBuilder()).reason(), "container_not_found");
  EXPECT_EQ(CopyOut(none, "/").status.reason(), "container_not_found");
}

// The container swaps a directory for a link to a secret beside its root for as long as files are
// copied into and out of it.
TEST_F(CopyTest, LinksThatAreSwappedMeanwhileLeadNowhereElse) {
  Scratch host;
  host.Write("secret", "SECRET");
  const std::string up = "../../../../../../../../../../../.." + host.path();
  const ContainerInfo info = Start(
      Shell("mkdir -p /w/real/sub /w/spare; echo inside > /w/real/secret; ln -s " + up +
            " /w/evil; echo ready; cd /w; while :; do mv real hidden; mv -T evil real; mv -T real "
            "evil; mv hidden real; ln -sfn " +
            up + " sub; rm -f sub; done"));
  AwaitLog(info.id, "ready");
  int through = 0, failed = 0;
  for (int round = 0; round < 100; ++round) {
    TarBuilder tar;
    tar.Dir("real/", 0755).File("real/secret", "overwritten").File("sub/new", "new");
    tar.HardLink("real/twin", "real/secret");
    (In(info.id, "/w", std::move(tar)).ok() ? through : failed)++;
    for (const char* path : {"/w/real", "/w/real/secret", "/w"}) {
      const Out out = CopyOut(info.id, path, round % 2 == 0);
      EXPECT_EQ(out.tar.find("SECRET"), std::string::npos) << path;
      (out.status.ok() ? through : failed)++;
    }
  }
  EXPECT_GT(through, 0);
  EXPECT_EQ(ReadWholeFile(host / "secret"), "SECRET");
  for (const char* name : {"new", "twin", "sub"}) {
    EXPECT_NE(access((host / name).c_str(), F_OK), 0) << name;
  }
}

TEST_F(CopyTest, FilesThatChangeWhileTheyAreRead) {
  const ContainerInfo info =
      Start(Shell("mkdir /w; cd /w; echo ready; while :; do head -c 3000000 /dev/zero > big; "
                  "mkdir gone; touch gone/x; rm -r gone; : > big; mkfifo p; rm p; done"));
  AwaitLog(info.id, "ready");
  for (int round = 0; round < 40; ++round) {
    const Out out = CopyOut(info.id, "/w");
    ASSERT_TRUE(out.status.ok()) << out.status.ToString();
    ASSERT_FALSE(List(out.tar).empty());
  }
}

TEST_F(CopyTest, NobodyStartsAContainerThatIsBeingCopied) {
  const auto created = runtime().Create(Shell("exec sleep 1000"));
  ASSERT_TRUE(created.ok());
  std::thread starter;
  CopyOutOptions options;
  options.found = [&](const PathStat&) {
    starter = std::thread([&] { EXPECT_TRUE(runtime().Start(created->id).ok()); });
    return Status();
  };
  const Status copied = runtime().CopyOut(
      created->id, "/bin",
      [&](std::string_view) {
        EXPECT_EQ(runtime().Inspect(created->id)->state, ContainerState::kCreated);
        return Status();
      },
      options);
  EXPECT_TRUE(copied.ok()) << copied.ToString();
  starter.join();
  EXPECT_EQ(runtime().Inspect(created->id)->state, ContainerState::kRunning);
}

TEST_F(CopyTest, HostIdsAndEvents) {
  ContainerSpec spec = Shell("exec sleep 1000");
  spec.security.host_userns = true;
  const ContainerInfo info = Start(spec);
  TarBuilder tar;
  tar.Add({.name = "own", .uid = 70000, .gid = 70001});
  ASSERT_TRUE(In(info.id, "/", std::move(tar), true).ok());
  EXPECT_THAT(List(CopyOut(info.id, "/own").tar), ElementsAre("own 70000:70001 644"));
  std::vector<std::string> told;
  ASSERT_TRUE(runtime()
                  .ReadEvents({.since = TimePoint(),
                               .until = std::chrono::system_clock::now(),
                               .types = {"container.copy"}},
                              [&](const Event& event) {
                                told.push_back(event.attributes.at("direction") + " " +
                                               event.attributes.at("path"));
                                return Status();
                              })
                  .ok());
  EXPECT_THAT(told, ElementsAre("in /", "out /own"));
}

TEST_F(CopyTest, AFailedSinkEndsACopy) {
  const auto created = runtime().Create(Shell("true"));
  ASSERT_TRUE(created.ok());
  const Status copied = runtime().CopyOut(
      created->id, "/bin", [](std::string_view) { return Status(StatusCode::kAborted, "enough"); });
  EXPECT_EQ(copied.code(), StatusCode::kAborted);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(
      runtime()
          .CopyOut(
              created->id, "/", [](std::string_view) { return Status(); }, {}, stop.get_token())
          .code(),
      StatusCode::kCancelled);
  EXPECT_EQ(Cgroups(), "");
}

}  // namespace
}  // namespace minibox::testing
