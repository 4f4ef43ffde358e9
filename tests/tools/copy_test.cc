// SPDX-License-Identifier: Apache-2.0
// Copies over HTTP and through the command line.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/tar_builder.h"
#include "tools/observe_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kJson[] = "Accept: application/json\r\n";

class CopyApiTest : public ObserveTest {
 protected:
  std::string Created(const std::string& more = "") {
    const RawResponse response =
        Ask("POST", "/containers/create",
            R"({"image":"shell","network":"none","command":["sleep","1000"])" + more + "}");
    EXPECT_EQ(response.status, 200) << response.body;
    return response.body.substr(0, 8);
  }
  std::string Host(const std::string& name) { return scratch_ / name; }
  // The command's output in the container, which runs.
  std::string Exec(const std::string& id, const std::string& script) {
    const Finished done = daemon_->Cli({"exec", id, "sh", "-c", script});
    EXPECT_EQ(done.status, 0) << done.err;
    return done.out;
  }
  void Copy(const std::string& from, const std::string& to,
            const std::vector<std::string>& flags = {}) {
    const Finished done = Cp(from, to, flags);
    EXPECT_EQ(done.status, 0) << from << " to " << to << ": " << done.err;
  }
  Finished Cp(const std::string& from, const std::string& to,
              const std::vector<std::string>& flags = {}) {
    std::vector<std::string> arguments = {"cp"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    arguments.insert(arguments.end(), {from, to});
    return daemon_->Cli(arguments);
  }
};

TEST_F(CopyApiTest, OverHttp) {
  const std::string id = Created(R"(,"name":"web")");
  const std::string tar = TarBuilder().Dir("d/").File("d/file", "text").Take();
  const RawResponse in = Ask("POST", "/containers/copy?id=web&path=/root", tar);
  EXPECT_EQ(in.status, 200) << in.body;
  EXPECT_EQ(in.body, "Copied to " + id + ":/root\n");
  EXPECT_THAT(Ask("POST", "/containers/copy?id=web&path=/root&keep_ids=1", tar, kJson).body,
              HasSubstr("\"id\":\"" + id + "\""));
  const RawResponse out = Ask("GET", "/containers/copy?id=web&path=/root/d");
  EXPECT_EQ(out.status, 200);
  EXPECT_EQ(out.Header("content-type"), "application/x-tar");
  EXPECT_TRUE(out.complete);
  EXPECT_THAT(out.body, HasSubstr("d/file"));
  const RawResponse head = Ask("HEAD", "/containers/copy?id=web&path=/root/d");
  EXPECT_EQ(head.status, 200);
  EXPECT_NE(head.Header("x-minibox-path-stat"), "");
  EXPECT_EQ(head.Header("x-minibox-path-stat"), out.Header("x-minibox-path-stat"));
  EXPECT_EQ(Ask("HEAD", "/containers/copy?id=web&path=/none").status, 404);

  const struct {
    const char *method, *query;
    int status;
    const char* part;
  } refused[] = {{"GET", "id=web", 400, "\"field\":\"path\""},
                 {"GET", "path=/", 400, "\"field\":\"id\""},
                 {"GET", "id=nope&path=/", 404, "container_not_found"},
                 {"GET", "id=web&path=/none", 404, "path_not_found"},
                 {"GET", "id=web&path=none", 400, "\"field\":\"path\""},
                 {"GET", "id=web&path=/proc/1", 400, "\"field\":\"path\""},
                 {"GET", "id=web&path=/&follow_link=x", 400, "\"field\":\"follow_link\""},
                 {"POST", "id=web", 400, "\"field\":\"path\""},
                 {"POST", "id=nope&path=/", 404, "container_not_found"},
                 {"POST", "id=web&path=/none", 404, "path_not_found"},
                 {"POST", "id=web&path=/root/d/file", 400, "\"field\":\"path\""},
                 {"POST", "id=web&path=/&keep_ids=2", 400, "\"field\":\"keep_ids\""}};
  for (const auto& [method, query, status, part] : refused) {
    const RawResponse answer = Ask(method, std::string("/containers/copy?") + query,
                                   std::string(method) == "POST" ? tar : "", kJson);
    EXPECT_EQ(answer.status, status) << method << " " << query;
    EXPECT_THAT(answer.body, HasSubstr(part)) << method << " " << query;
  }
  const RawResponse garbage =
      Ask("POST", "/containers/copy?id=web&path=/", std::string(5000, 'x'), kJson);
  EXPECT_EQ(garbage.status, 400);
  EXPECT_THAT(garbage.body, HasSubstr("invalid_archive"));
  const std::string closed = Created(R"(,"read_only":true)");
  const RawResponse read_only =
      Ask("POST", "/containers/copy?id=" + closed + "&path=/", tar, kJson);
  EXPECT_EQ(read_only.status, 403);
  EXPECT_THAT(read_only.body, HasSubstr("read_only"));
  Remove(closed);
  Remove(id);
}

TEST_F(CopyApiTest, CommandLineIntoAContainer) {
  const std::string id = Detached("exec sleep 1000", R"(,"name":"web")");
  scratch_.Write("tree/sub/file", "text");
  scratch_.Write("tree/run", "", 0755);
  ASSERT_EQ(symlink("sub/file", Host("tree/link").c_str()), 0);
  // A file: over a file, into a directory, as something new.
  Copy(Host("tree/sub/file"), "web:/new");
  EXPECT_EQ(Exec(id, "cat /new; stat -c '%u:%g' /new"), "text0:0\n");
  scratch_.Write("tree/sub/file", "more");
  Copy(Host("tree/sub/file"), "web:/new");
  Copy(Host("tree/sub/file"), "web:/tmp");
  Copy(Host("tree/sub/file"), "web:root/");
  EXPECT_EQ(Exec(id, "cat /new /tmp/file /root/file"), "moremoremore");
  // Through a link to a file, which stays.
  Exec(id, "ln -s new /alias");
  scratch_.Write("tree/sub/file", "text");
  Copy(Host("tree/sub/file"), "web:/alias");
  EXPECT_EQ(Exec(id, "readlink /alias; cat /new"), "new\ntext");
  // A directory: into one, as something new, its content.
  Copy(Host("tree"), "web:/tmp");
  Copy(Host("tree"), "web:/made");
  Copy(Host("tree/."), "web:/root");
  Copy(Host("tree/."), "web:/made2");
  for (const char* where : {"/tmp/tree", "/made", "/root", "/made2"}) {
    EXPECT_EQ(Exec(id, std::string("cd ") + where +
                           " && cat sub/file && readlink link && "
                           "stat -c %a run"),
              "textsub/file\n755\n")
        << where;
  }
  // Owners, and what a link stands for.
  ASSERT_EQ(chown(Host("tree/run").c_str(), 7, 8), 0);
  Copy(Host("tree/run"), "web:/tmp/kept", {"-a"});
  EXPECT_EQ(Exec(id, "stat -c '%u:%g' /tmp/kept"), "7:8\n");
  Copy(Host("tree/link"), "web:/tmp/as-link");
  Copy(Host("tree/link"), "web:/tmp/followed", {"-L"});
  EXPECT_EQ(Exec(id, "readlink /tmp/as-link; cat /tmp/followed"), "sub/file\ntext");
  // A tar.
  scratch_.Write("in.tar", TarBuilder().File("from-tar", "tar").Take());
  const Finished tar = daemon_->Cli({"cp", "-", "web:/tmp"}, {}, Host("in.tar"));
  EXPECT_EQ(tar.status, 0) << tar.err;
  EXPECT_EQ(Exec(id, "cat /tmp/from-tar"), "tar");

  const std::tuple<std::string, std::string, int, const char*> refused[] = {
      {Host("none"), "web:/tmp", 1, "No such file"},
      {Host("tree/run/"), "web:/tmp", 1, "Not a directory"},
      {Host("tree"), "web:/new", 1, "is a file"},
      {Host("tree/run"), "web:/none/", 1, "does not exist"},
      {Host("tree/run"), "web:/no/where", 1, "does not exist"},
      {Host("tree/run"), "nobody:/tmp", 1, "nobody"},
      {Host("tree/run"), Host("x"), 2, "<container>:<path>"},
      {"web:/new", "web:/tmp", 2, "container to container"}};
  for (const auto& [from, to, status, message] : refused) {
    const Finished done = Cp(from, to);
    EXPECT_EQ(done.status, status) << from << " to " << to;
    EXPECT_THAT(done.err, HasSubstr(message)) << from << " to " << to;
  }
  Remove(id);
}

TEST_F(CopyApiTest, CommandLineOutOfAContainer) {
  std::string output;
  const std::string id = Ended(
      "mkdir -p /d/sub; echo -n text > /d/sub/file; ln -s sub/file /d/link; chmod 750 /d/sub; "
      "chown 7:8 /d/sub/file",
      R"(,"name":"web")", &output);
  ASSERT_EQ(mkdir(Host("out").c_str(), 0755), 0);
  Copy("web:/d/sub/file", Host("new"));
  EXPECT_EQ(ReadWholeFile(Host("new")), "text");
  struct stat st {};
  ASSERT_EQ(stat(Host("new").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, getuid());
  Copy("web:/d/sub/file", Host("new"), {"-a"});
  ASSERT_EQ(stat(Host("new").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 7u);
  EXPECT_EQ(st.st_gid, 8u);
  Copy("web:/d/sub/file", Host("out"));
  EXPECT_EQ(ReadWholeFile(Host("out/file")), "text");
  Copy("web:/d", Host("out"));
  Copy("web:/d", Host("made"));
  Copy("web:/d/.", Host("out"));
  Copy("web:/d/.", Host("made2"));
  for (const char* where : {"out/d", "made", "out", "made2"}) {
    EXPECT_EQ(ReadWholeFile(Host(where) + "/link"), "text") << where;
    ASSERT_EQ(stat((Host(where) + "/sub").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0750u);
  }
  Copy("web:/d/link", Host("out/l"));
  ASSERT_EQ(lstat(Host("out/l").c_str(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  Copy("web:/d/link", Host("out/f"), {"-L"});
  EXPECT_EQ(ReadWholeFile(Host("out/f")), "text");
  Copy("web:/", Host("all"));
  EXPECT_EQ(ReadWholeFile(Host("all/d/sub/file")), "text");
  const Finished tar = Cp("web:/d", "-");
  EXPECT_EQ(tar.status, 0);
  EXPECT_EQ(tar.out, Ask("GET", "/containers/copy?id=web&path=/d").body);

  const std::tuple<std::string, std::string, const char*> refused[] = {
      {"web:/none", Host("out"), "'/none' does not exist"},
      {"nobody:/d", Host("out"), "nobody"},
      {"web:/d", Host("new"), "is a file"},
      {"web:/d/sub/file", Host("missing/"), "does not exist"},
      {"web:/d/sub/file", Host("no/where"), "No such file"},
      {"web:/none", "-", "'/none' does not exist"}};
  for (const auto& [from, to, message] : refused) {
    const Finished done = Cp(from, to);
    EXPECT_EQ(done.status, 1) << from << " to " << to;
    EXPECT_THAT(done.err, HasSubstr(message)) << from << " to " << to;
  }
  Remove(id);
}

// What a hostile container sends stays below the destination.
TEST_F(CopyApiTest, ATreeFullOfLinksStaysWhereItIs) {
  ASSERT_EQ(mkdir(Host("aim").c_str(), 0755), 0);
  const std::string id = Ended("mkdir /d; ln -s " + Host("aim") + " /d/evil");
  ASSERT_EQ(mkdir(Host("out").c_str(), 0755), 0);
  Copy(id + ":/d", Host("out"));
  // A second copy goes through the link that the first one has left.
  EXPECT_EQ(Ask("POST", "/containers/start?id=" + id).status, 200);
  EXPECT_EQ(Ask("POST", "/containers/wait?id=" + id).status, 200);
  const std::string other = Ended("mkdir -p /d/evil; echo x > /d/evil/file");
  (void)Cp(other + ":/d", Host("out"));
  (void)Cp(other + ":/d/.", Host("out/d"));
  EXPECT_NE(access(Host("aim/file").c_str(), F_OK), 0);
  Remove(id);
  Remove(other);
}

}  // namespace
}  // namespace minibox::testing
