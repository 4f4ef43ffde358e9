// SPDX-License-Identifier: Apache-2.0
// Every endpoint over a real socket: one success and one error at least, and none that is not
// documented. What each does in detail is tested where it belongs.
#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "support/tar_builder.h"
#include "tools/observe_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;

// The rows of the table in docs/http-api.md: `/a`, `/b` behind one method, /c/{d,e}.
std::set<std::string> DocumentedEndpoints() {
  std::set<std::string> endpoints;
  const std::string text = ReadWholeFile(MBX_HTTP_API);
  const std::regex row("\\n\\| (GET|POST) ((?:`/[^`]+`(?:, )?)+) \\|");
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it) {
    const std::string method = (*it)[1], paths = (*it)[2];
    const std::regex one("`([^`{]+)(?:\\{([^}]+)\\})?`");
    for (std::sregex_iterator path(paths.begin(), paths.end(), one); path != end; ++path) {
      std::istringstream names((*path)[2].matched ? (*path)[2].str() : std::string(" "));
      for (std::string name; std::getline(names, name, ',');) {
        endpoints.insert(method + " " + (*path)[1].str() + (name == " " ? "" : name));
      }
    }
  }
  return endpoints;
}

class EndpointsTest : public ObserveTest {
 protected:
  void SetUp() override {
    ObserveTest::SetUp();
    ASSERT_GT(DocumentedEndpoints().size(), 50u);
  }

  // `call` is "POST /path?query". A success is text that holds `expected`.
  std::string Works(const std::string& call, const std::string& expected,
                    const std::string& body = "") {
    const RawResponse answer = Call(call, body, "");
    worked_.insert(EndpointOf(call));
    EXPECT_EQ(answer.status, 200) << call << ": " << answer.body;
    EXPECT_TRUE(answer.complete) << call;
    EXPECT_THAT(answer.body, HasSubstr(expected)) << call;
    return answer.body;
  }
  void Fails(const std::string& call, int status, const std::string& code,
             const std::string& body = "") {
    const RawResponse answer = Call(call, body, "Accept: application/json\r\n");
    EXPECT_EQ(answer.status, status) << call << ": " << answer.body;
    EXPECT_THAT(answer.body, HasSubstr("{\"error\":{\"code\":\"" + code + "\"")) << call;
    failed_.insert(EndpointOf(call));
  }
  void ExpectAllCalled() {
    // A stream (stream_test.cc), and what takes a registry (tests/e2e/registry.bats).
    worked_.insert({"POST /containers/attach", "POST /images/pull", "POST /images/push"});
    // Nothing can be wrong about a call of these but its method.
    failed_.insert(
        {"GET /ping", "GET /version", "GET /metrics", "GET /system/info", "POST /system/verify"});
    for (const std::string& endpoint : DocumentedEndpoints()) {
      EXPECT_TRUE(worked_.contains(endpoint)) << "no success of " << endpoint;
      EXPECT_TRUE(failed_.contains(endpoint)) << "no error of " << endpoint;
    }
  }

 private:
  static std::string EndpointOf(const std::string& call) { return call.substr(0, call.find('?')); }
  RawResponse Call(const std::string& call, const std::string& body, const std::string& headers) {
    const size_t space = call.find(' ');
    return Ask(call.substr(0, space), call.substr(space + 1), body, headers);
  }

  std::set<std::string> worked_, failed_;
};

TEST_F(EndpointsTest, EachHasASuccessAndAnError) {
  const std::string tar = TarBuilder().Dir("d/").File("d/file", "text").Take();
  Works("GET /ping", "Daemon is running");
  Works("GET /version", "\"version\"");
  Works("GET /system/info", "\"kernel");
  Fails("GET /no-such-thing", 404, "route_not_found");
  Fails("POST /ping", 405, "method_not_allowed");

  // Containers: "made" ends at once, "long" runs on, "screen" has a terminal.
  const std::string none = R"("image":"shell","network":"none")";
  const auto run = [&](const std::string& name, const std::string& more) {
    return "{" + none + R"(,"name":")" + name + "\"," + more + "}";
  };
  Works("POST /containers/create", "", run("made", R"("command":["sh","-c","echo made"])"));
  Fails("POST /containers/create", 404, "image_not_found", R"({"image":"nothing"})");
  Works("POST /containers/start?id=made", "");
  Fails("POST /containers/start?id=nobody", 404, "container_not_found");
  Works("POST /containers/wait?id=made", "\"exit_code\":0");
  Works("POST /containers/run", "", run("long", R"("detached":true,"command":["sleep","1000"])"));
  Works("POST /containers/run", "",
        run("screen", R"("detached":true,"tty":true,"command":["sleep","1000"])"));
  Fails("POST /containers/run", 404, "image_not_found", R"({"image":"nothing"})");
  Fails("POST /containers/run", 400, "invalid_request", R"({"image":"shell","memory":true})");
  Fails("POST /containers/wait?id=long&timeout=0", 408, "timeout");
  Works("GET /containers?name=long", "\"long\"");
  Fails("GET /containers?name=a&name=b", 400, "invalid_argument");
  Works("GET /containers/inspect?id=long", "\"cgroup\"");
  Fails("GET /containers/inspect?id=nobody", 404, "container_not_found");
  Works("GET /containers/logs?id=made", "made\n");
  Fails("GET /containers/logs?id=made&tail=-5", 400, "invalid_argument");
  Works("GET /containers/stats?id=long", "\"memory_usage\"");
  Fails("GET /containers/stats?id=made", 409, "container_not_running");
  Works("GET /containers/top?id=long", "sleep");
  Fails("GET /containers/top?id=made", 409, "container_not_running");
  Works("GET /containers/diff?id=long", "[");
  Fails("GET /containers/diff?id=nobody", 404, "container_not_found");
  Works("GET /containers/export?id=long", "busybox");
  Fails("GET /containers/export?id=nobody", 404, "container_not_found");
  Works("POST /containers/copy?id=long&path=/tmp", "Copied to", tar);
  Fails("POST /containers/copy?id=long&path=/tmp", 400, "invalid_archive", std::string(2000, 'x'));
  Works("GET /containers/copy?id=long&path=/tmp/d", "d/file");
  Fails("GET /containers/copy?id=long&path=/none", 404, "path_not_found");
  Works("POST /containers/exec", "said\n", R"({"id":"long","command":["echo","said"]})");
  Fails("POST /containers/exec", 404, "container_not_found",
        R"({"id":"nobody","command":["true"]})");
  Fails("POST /containers/attach?id=nobody", 404, "container_not_found");
  Works("POST /containers/resize?id=screen&rows=20&cols=70", "");
  Fails("POST /containers/resize?id=long&rows=20&cols=70", 409, "no_terminal");
  Works("POST /containers/pause?id=long", "paused");
  Fails("POST /containers/pause?id=long", 409, "container_paused");
  Works("POST /containers/unpause?id=long", "unpaused");
  Fails("POST /containers/unpause?id=made", 409, "container_not_running");
  Works("POST /containers/rename?id=long&name=renamed", "renamed to renamed");
  Fails("POST /containers/rename?id=renamed&name=made", 409, "name_in_use");
  Works("POST /containers/update?id=renamed&pids_limit=50", "updated");
  Fails("POST /containers/update?id=renamed&pids_limit=-2", 400, "invalid_argument");
  Works("POST /containers/kill?id=renamed&signal=CONT", "");
  Fails("POST /containers/kill?id=renamed&signal=NOPE", 400, "invalid_argument");
  Works("POST /containers/restart?id=renamed&t=0", "restarted");
  Fails("POST /containers/restart?id=nobody", 404, "container_not_found");
  Works("POST /containers/commit?id=made&image=committed", "committed");
  Fails("POST /containers/commit?id=made&image=A:B:C", 400, "invalid_reference");
  Works("POST /containers/stop?id=renamed&t=0", "killed (timeout)");
  Fails("POST /containers/stop?id=renamed&t=-1", 400, "invalid_argument");
  Works("POST /containers/remove?id=renamed", "removed");
  Fails("POST /containers/remove?id=screen", 409, "container_running");
  Works("POST /containers/prune?dry_run=1", "\"removed\":[");
  Fails("POST /containers/prune?until=never", 400, "invalid_argument");
  Works("POST /containers/remove?id=screen&force=1", "removed");

  // Images.
  const auto build = [&](const std::string& file) {
    return R"({"image":"built","context":")" + scratch_ / "shell" + R"(","minibox":")" + file +
           "\"}";
  };
  Works("POST /containers/build", "", build("BASE base.tar.gz\\n"));
  Fails("POST /containers/build", 400, "missing_argument", "{}");
  Works("POST /containers/build/plan", "\"blocks\"", build("BASE base.tar.gz\\n"));
  Fails("POST /containers/build/plan", 400, "invalid_build_file", build("BASIS nothing\\n"));
  Works("GET /images?name=built", "built");
  Fails("GET /images?dangling=x", 400, "invalid_argument");
  Works("GET /images/inspect?image=built", "\"layers\"");
  Fails("GET /images/inspect?image=nothing", 404, "image_not_found");
  Works("GET /images/history?image=built", "[");
  Fails("GET /images/history?image=nothing", 404, "image_not_found");
  const std::string archive = Works("GET /images/archive?image=built", "oci-layout");
  Fails("GET /images/archive?image=nothing", 404, "image_not_found");
  Works("POST /images/archive", "built", archive);
  Fails("POST /images/archive", 400, "invalid_archive", std::string(2000, 'x'));
  const std::string file = scratch_ / "saved.tar";
  Works("POST /images/save?image=built&path=" + file, "");
  Fails("POST /images/save?image=built&path=/etc/x.tar", 400, "path_not_allowed");
  Works("POST /images/load?path=" + file, "built");
  Fails("POST /images/load?path=/etc/passwd", 400, "path_not_allowed");
  Works("POST /images/import?image=imported", "imported", tar);
  Fails("POST /images/import?image=imported", 400, "invalid_archive", std::string(2000, 'x'));
  Works("POST /images/tag?image=built&tag=other", "other");
  Fails("POST /images/tag?image=built&tag=A:B:C", 400, "invalid_reference");
  Works("POST /images/remove?image=other", "");
  Fails("POST /images/remove?image=other", 404, "image_not_found");
  Fails("POST /images/push?image=nothing", 404, "image_not_found");
  Fails("POST /images/pull?image=A:B:C", 400, "invalid_reference");

  Works("POST /volumes/create?name=v", "\"v\"");
  Fails("POST /volumes/create?name=..", 400, "invalid_argument");
  Works("GET /volumes", "\"v\"");
  Fails("GET /volumes?dangling=x", 400, "invalid_argument");
  Works("GET /volumes/inspect?name=v", "\"v\"");
  Fails("GET /volumes/inspect?name=none", 404, "volume_not_found");
  Works("POST /volumes/remove?name=v", "removed");
  Fails("POST /volumes/remove?name=v", 404, "volume_not_found");
  Works("POST /volumes/prune?dry_run=1", "\"removed\":[");
  Fails("POST /volumes/prune?all=x", 400, "invalid_argument");

  Works("POST /networks/create?name=n&subnet=10.99.0.0/24", "\"n\"");
  Fails("POST /networks/create?name=n", 409, "name_in_use");
  Works("GET /networks", "\"n\"");
  Fails("GET /networks?name=a&name=b", 400, "invalid_argument");
  Works("GET /networks/inspect?name=n", "10.99.0.0/24");
  Fails("GET /networks/inspect?name=none", 404, "network_not_found");
  Works("POST /networks/remove?name=n", "removed");
  Fails("POST /networks/remove?name=n", 404, "network_not_found");

  Works("GET /events?since=1h&until=0s", "container.start");
  Fails("GET /events?since=soon", 400, "invalid_argument");
  Works("GET /system/df", "\"images\"");
  Fails("GET /system/df?verbose=x", 400, "invalid_argument");
  Works("POST /system/prune?dry_run=1", "\"bytes_freed\"");
  Fails("POST /system/prune?keep_bytes=-1", 400, "invalid_argument");
  Works("POST /system/verify", "\"ok\":true");
  Works("GET /metrics", "minibox_http_requests_total");
  Remove("made");
  ExpectAllCalled();
}

}  // namespace
}  // namespace minibox::testing
