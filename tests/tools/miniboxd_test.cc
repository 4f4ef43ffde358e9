// SPDX-License-Identifier: Apache-2.0
// The daemon as a program and what it answers without any container.
#include <gtest/gtest.h>
#include <signal.h>

#include "tools/daemon.h"
#include "tools/raw_client.h"

namespace minibox::testing {
namespace {

class MiniboxdTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (HaveRoot()) EnterOwnNetwork();
  }
  void SetUp() override { MBX_REQUIRE_ROOT(); }

  static RawResponse Ask(const Daemon& daemon, const std::string& method, const std::string& target,
                         const std::string& body = "", const std::string& headers = "") {
    return RawClient::Ask(daemon.port(),
                          method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
                              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
                          method == "HEAD");
  }

  Scratch scratch_;
};

TEST_F(MiniboxdTest, ArgumentsAreNamesOfHelpOrMistakes) {
  for (const char* argument : {"--version", "version"}) {
    const Finished version = Miniboxd({argument});
    EXPECT_EQ(version.status, 0);
    EXPECT_TRUE(version.out.starts_with("miniboxd 0.")) << version.out;
  }
  const Finished help = Miniboxd({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_TRUE(help.out.starts_with("usage: miniboxd")) << help.out;
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"run"}, {"--version", "x"}, {""}}) {
    const Finished usage = Miniboxd(wrong);
    EXPECT_EQ(usage.status, 2);
    EXPECT_EQ(usage.out, "");
    EXPECT_TRUE(usage.err.starts_with("usage: miniboxd")) << usage.err;
  }
}

TEST_F(MiniboxdTest, BadConfigurationStopsTheStartBeforeAnythingIsMade) {
  const Finished finished =
      Miniboxd({}, {{"MINIBOX_DATA_ROOT", scratch_ / "data"}, {"MINIBOX_MAX_CONNECTIONS", "many"}});
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(finished.err, "miniboxd: MINIBOX_MAX_CONNECTIONS: must be 1 to 16384\n");
  EXPECT_NE(access((scratch_ / "data").c_str(), F_OK), 0);
  const Finished unix_socket =
      Miniboxd({}, {{"MINIBOX_DATA_ROOT", scratch_ / "data"}, {"MINIBOX_SOCKET", scratch_ / "s"}});
  EXPECT_EQ(unix_socket.status, 1);
  EXPECT_TRUE(unix_socket.err.starts_with("miniboxd: MINIBOX_SOCKET: ")) << unix_socket.err;
}

TEST_F(MiniboxdTest, OneDaemonPerDataRoot) {
  Daemon first(scratch_);
  const Finished second = Miniboxd(
      {}, {{"MINIBOX_DATA_ROOT", scratch_ / "data"}, {"MINIBOX_HTTP_ADDR", "127.0.0.1:0"}});
  EXPECT_EQ(second.status, 1);
  EXPECT_EQ(second.out, "");
  EXPECT_NE(second.err.find("pid " + std::to_string(first.pid())), std::string::npos) << second.err;
  // A taken port is an error of the same kind.
  const Finished taken =
      Miniboxd({}, {{"MINIBOX_DATA_ROOT", scratch_ / "other"},
                    {"MINIBOX_BRIDGE_ON_STARTUP", "0"},
                    {"MINIBOX_HTTP_ADDR", "127.0.0.1:" + std::to_string(first.port())}});
  EXPECT_EQ(taken.status, 1);
  EXPECT_NE(taken.err.find("cannot listen on"), std::string::npos) << taken.err;
}

TEST_F(MiniboxdTest, SignalsEndItWithStatusZero) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Daemon daemon(scratch_);
    EXPECT_EQ(Ask(daemon, "GET", "/ping").body, "Daemon is running");
    EXPECT_EQ(daemon.End(signal), 0);
    EXPECT_TRUE(daemon.output().ends_with("\n\n[daemon] shutdown requested\n")) << daemon.output();
  }
  Daemon killed(scratch_);
  EXPECT_EQ(killed.End(SIGKILL), 128 + SIGKILL);
  Daemon after(scratch_);
  EXPECT_EQ(Ask(after, "GET", "/ping").status, 200);
}

TEST_F(MiniboxdTest, RoutesAndMethods) {
  Daemon daemon(scratch_);
  const RawResponse ping = Ask(daemon, "GET", "/ping");
  EXPECT_EQ(ping.status, 200);
  EXPECT_EQ(ping.body, "Daemon is running");
  EXPECT_EQ(ping.Header("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(Ask(daemon, "HEAD", "/ping").Header("content-length"), "17");
  EXPECT_EQ(Ask(daemon, "GET", "/nowhere").body, "404 page not found\n");
  const RawResponse method = Ask(daemon, "DELETE", "/containers/run");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.Header("allow"), "POST");
  const RawResponse moved = Ask(daemon, "GET", "/x/..//ping?a=1");
  EXPECT_EQ(moved.status, 308);
  EXPECT_EQ(moved.Header("location"), "/ping?a=1");
  EXPECT_EQ(Ask(daemon, "GET", "/containers").body, "{}\n");
  EXPECT_EQ(Ask(daemon, "GET", "/images").body, "[]\n");
  EXPECT_EQ(Ask(daemon, "GET", "/volumes").body, "[]\n");
  EXPECT_NE(Ask(daemon, "GET", "/version").body.find("\"api_version\":\"1\""), std::string::npos);
}

TEST_F(MiniboxdTest, ChecksComeInOrder) {
  Daemon daemon(scratch_, {{"MINIBOX_API_TOKEN", "sesame"}});
  const auto ask = [&](const std::string& target, const std::string& headers) {
    return RawClient::Ask(daemon.port(), "GET " + target + " HTTP/1.1\r\n" + headers + "\r\n");
  };
  const std::string good = "Host: localhost\r\n", evil = "Host: evil.example\r\n";
  const std::string token = "Authorization: Bearer sesame\r\n";
  for (const char* target : {"/ping", "/nowhere", "//ping"}) {
    EXPECT_EQ(ask(target, evil + "Bad Header: x\r\n").status, 400) << target;
    EXPECT_EQ(ask(target, evil + token).status, 403) << target;
    const RawResponse unauthorized = ask(target, good);
    EXPECT_EQ(unauthorized.status, 401) << target;
    EXPECT_EQ(unauthorized.body, "Unauthorized\n");
    EXPECT_EQ(unauthorized.Header("www-authenticate"), "Bearer realm=\"minibox\"");
  }
  EXPECT_EQ(ask("/ping", good + token).status, 200);
  EXPECT_EQ(ask("/ping", good + "X-API-Token: sesame\r\n").status, 200);
  EXPECT_EQ(ask("/nowhere", good + token).status, 404);
  EXPECT_EQ(ask("/ping", good + token + "Origin: http://evil.example\r\n").status, 403);
  EXPECT_EQ(ask("/ping", good + token + "Sec-Fetch-Site: cross-site\r\n").status, 403);
  EXPECT_EQ(daemon.Cli({"ping"}).status, 1);
  EXPECT_EQ(daemon.Cli({"ping"}, {{"MINIBOX_API_TOKEN", "sesame"}}).out, "Daemon is running\n");
  EXPECT_EQ(daemon.Cli({"ps", "-q"}, {{"MINIBOX_API_TOKEN", "sesame"}}).status, 0);
}

TEST_F(MiniboxdTest, RunRequestsAreCheckedBeforeAnythingHappens) {
  Daemon daemon(scratch_);
  const auto run = [&](const std::string& body) {
    return Ask(daemon, "POST", "/containers/run", body);
  };
  EXPECT_EQ(run("").status, 400);
  EXPECT_EQ(run("{").status, 400);
  EXPECT_EQ(run("{}").body, "Image name is required\n");
  EXPECT_EQ(run(R"({"image":"a","image":"b"})").status, 400);
  EXPECT_EQ(run(R"({"image":"absent","memory":"1g"})").status, 400);
  EXPECT_EQ(run(R"({"image":"absent","env":["=x"]})").status, 400);
  const RawResponse missing = run(R"({"image":"absent","colour":1} trailing)");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.Header("x-minibox-exit-code"), "125");
  EXPECT_EQ(missing.Header("warning"), "199 minibox \"unknown field: colour\"");
  const RawResponse json = Ask(daemon, "POST", "/containers/run", R"({"image":"absent","cpu":-1})",
                               "Accept: application/json\r\n");
  EXPECT_TRUE(json.body.starts_with("{\"error\":{\"code\":\"invalid_argument\"")) << json.body;
  EXPECT_TRUE(json.body.ends_with("\"field\":\"cpu\"}}\n")) << json.body;
  EXPECT_EQ(run(std::string(5 << 20, ' ')).status, 413);
  EXPECT_EQ(Ask(daemon, "GET", "/containers").body, "{}\n");
}

TEST_F(MiniboxdTest, BuildRequestsAreCheckedInOrder) {
  Daemon daemon(scratch_);
  scratch_.Write("context/file", "x");
  const auto build = [&](const std::string& text, const std::string& image,
                         const std::string& context) {
    return Ask(daemon, "POST", "/containers/build",
               "{\"minibox\":\"" + text + "\",\"image\":\"" + image + "\",\"context\":\"" +
                   context + "\"}");
  };
  const std::string good = "BASE scratch\\nBLOCK a\\n  COPY file /file\\n";
  const std::string context = scratch_ / "context";
  EXPECT_EQ(build(" ", "", "").body, "MiniBox content is required\n");
  const RawResponse parse = build("RNU x\\n", "", "");
  EXPECT_EQ(parse.status, 400);
  EXPECT_NE(parse.body.find("MiniBox:1:1: "), std::string::npos) << parse.body;
  EXPECT_EQ(build(good, "", "").status, 400);
  EXPECT_EQ(build(good, "bad name", "").status, 400);
  for (const char* wrong : {"", "relative", "/absent", "/etc"}) {
    const RawResponse response = build(good, "image", wrong);
    EXPECT_EQ(response.status, 400) << wrong;
    EXPECT_TRUE(response.body.starts_with("invalid build context: ")) << response.body;
  }
  EXPECT_EQ(build(good, "image", context + "/file").status, 400);
  EXPECT_EQ(build(good, "image", scratch_ / "data/containers").status, 400);
}

TEST_F(MiniboxdTest, ImagesVolumesAndNetworks) {
  Daemon daemon(scratch_);
  EXPECT_EQ(Ask(daemon, "POST", "/images/remove?image=absent").body, "image not found\n");
  EXPECT_EQ(Ask(daemon, "POST", "/images/remove").body, "missing image\n");
  EXPECT_EQ(Ask(daemon, "POST", "/images/tag?image=absent&tag=x").status, 404);
  const RawResponse garbage = Ask(daemon, "POST", "/images/archive", std::string(4096, 'x'),
                                  "Accept: application/json\r\n");
  EXPECT_EQ(garbage.status, 400);
  EXPECT_NE(garbage.body.find("\"code\":\"invalid_archive\""), std::string::npos) << garbage.body;
  // Far more than the pipe holds: the answer comes although nobody reads the rest.
  EXPECT_EQ(Ask(daemon, "POST", "/images/archive", std::string(3 << 20, 'x')).status, 400);
  EXPECT_EQ(Ask(daemon, "POST", "/images/load?path=/etc/passwd").status, 400);
  scratch_.Write("archive.tar", "garbage");
  EXPECT_EQ(Ask(daemon, "POST", "/images/load?path=" + (scratch_ / "archive.tar")).status, 400);

  const RawResponse created =
      Ask(daemon, "POST", "/volumes/create", R"({"name":"data","labels":{"a":"b"}})");
  EXPECT_EQ(created.status, 200) << created.body;
  EXPECT_EQ(Ask(daemon, "POST", "/volumes/create", R"({"nam":"data"})").status, 400);
  EXPECT_NE(Ask(daemon, "GET", "/volumes?label=a=b").body, "[]\n");
  EXPECT_EQ(Ask(daemon, "GET", "/volumes?label=a=c").body, "[]\n");
  EXPECT_EQ(Ask(daemon, "POST", "/volumes/remove?name=data").body, "Volume data removed\n");
  EXPECT_EQ(Ask(daemon, "POST", "/volumes/remove?name=data").status, 404);
  EXPECT_EQ(Ask(daemon, "POST", "/networks/remove?name=absent").status, 404);
}

TEST_F(MiniboxdTest, ContainersThatAreNotThere) {
  Daemon daemon(scratch_);
  EXPECT_EQ(Ask(daemon, "GET", "/containers/logs").body, "missing id\n");
  EXPECT_EQ(Ask(daemon, "GET", "/containers/logs?id=ffffffff").status, 404);
  EXPECT_EQ(Ask(daemon, "GET", "/containers/logs?id=ffffffff&tail=-1").status, 400);
  EXPECT_EQ(Ask(daemon, "GET", "/containers/logs?id=ffffffff&since=x").status, 400);
  for (const char* verb : {"stop", "kill", "remove"}) {
    const std::string path = std::string("/containers/") + verb;
    EXPECT_EQ(Ask(daemon, "POST", path).status, 400) << verb;
    EXPECT_EQ(Ask(daemon, "POST", path + "?id=ffffffff").status, 404) << verb;
    EXPECT_EQ(Ask(daemon, "POST", path, R"({"id":"ffffffff"})").status, 404) << verb;
    EXPECT_EQ(Ask(daemon, "POST", path + "?id=a%20b").status, 400) << verb;
  }
  EXPECT_EQ(Ask(daemon, "POST", "/containers/start?id=ffffffff").body, "container not found\n");
  EXPECT_EQ(Ask(daemon, "POST", "/containers/stop?id=ffffffff&t=601").status, 400);
  EXPECT_EQ(Ask(daemon, "POST", "/containers/kill?id=ffffffff&signal=NONE").status, 400);
}

TEST_F(MiniboxdTest, TheCommandLineReportsWhatItIsTold) {
  Daemon daemon(scratch_);
  EXPECT_EQ(daemon.Cli({"ping"}).out, "Daemon is running\n");
  EXPECT_TRUE(daemon.Cli({"version"}).out.starts_with("minibox 0."));
  const Finished empty = daemon.Cli({"ps"});
  EXPECT_EQ(empty.out,
            "CONTAINER ID   IMAGE   COMMAND   CREATED   STATUS   HEALTH   EXIT   PORTS\n");
  EXPECT_TRUE(empty.err.starts_with("..  ")) << empty.err;
  EXPECT_EQ(daemon.Cli({"ps", "--json"}).out, "[]\n");
  EXPECT_EQ(daemon.Cli({"ps", "-q"}).out, "");
  EXPECT_EQ(daemon.Cli({"images"}).out, "REPOSITORY   TAG   IMAGE ID   SIZE\n");
  const Finished missing = daemon.Cli({"run", "--pull", "never", "absent"});
  EXPECT_EQ(missing.status, 125);
  EXPECT_EQ(missing.out, "");
  EXPECT_NE(missing.err.find("[error] image not found"), std::string::npos) << missing.err;
  const Finished both = daemon.Cli({"rm", "ffffffff", "eeeeeeee"});
  EXPECT_EQ(both.status, 1);
  EXPECT_NE(both.err.find("ffffffff"), std::string::npos) << both.err;
  EXPECT_NE(both.err.find("eeeeeeee"), std::string::npos) << both.err;
  EXPECT_EQ(daemon.Cli({"volume", "create", "-l", "a=b", "data"}).out, "data\n");
  EXPECT_EQ(daemon.Cli({"volume", "ls", "-q"}).out, "data\n");
  EXPECT_EQ(daemon.Cli({"volume", "rm", "data"}).out, "Volume data removed\n");
  EXPECT_EQ(daemon.Cli({"network", "rm", "absent"}).status, 1);
  EXPECT_EQ(daemon.Cli({"build", "-t", "x", scratch_ / "absent"}).status, 2);
  scratch_.Write("tar", "garbage");
  EXPECT_EQ(daemon.Cli({"load", scratch_ / "tar"}).status, 1);
  EXPECT_EQ(daemon.Cli({"load"}, {}, scratch_ / "tar").status, 1);
  EXPECT_EQ(daemon.Cli({"load", scratch_ / "absent"}).status, 1);
}

}  // namespace
}  // namespace minibox::testing
