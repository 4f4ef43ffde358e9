// SPDX-License-Identifier: Apache-2.0
#include "wire/run_request.h"

#include <gtest/gtest.h>

#include <functional>

namespace minibox::wire {
namespace {

using std::chrono::milliseconds;

// A request with `field`, itself JSON `"name":value`, besides the image.
StatusOr<RunRequest> With(const std::string& field) {
  return ParseRunRequest(R"({"image":"busybox",)" + field + "}");
}

struct Accepted {
  const char* field;
  std::function<bool(const RunRequest&)> holds;
};

TEST(RunRequest, EveryFieldReachesItsMember) {
  using R = RunRequest;
  const Accepted kAccepted[] = {
      {R"("command":["sh","-c","a\nb"])", [](const R& r) { return r.spec.command[2] == "a\nb"; }},
      {R"("command":[])", [](const R& r) { return r.spec.command.empty(); }},
      {R"("entrypoint":["/x"])", [](const R& r) { return r.spec.entrypoint->at(0) == "/x"; }},
      {R"("entrypoint":[""])", [](const R& r) { return r.spec.entrypoint->at(0).empty(); }},
      {R"("entrypoint":[])", [](const R& r) { return !r.spec.entrypoint.has_value(); }},
      {R"("detached":true)", [](const R& r) { return r.detached; }},
      {R"("memory":512)", [](const R& r) { return r.spec.resources.memory_bytes == 512 << 20; }},
      {R"("memory":512,"memory_swap":1024)",
       [](const R& r) { return r.spec.resources.memory_swap_bytes == 1024 << 20; }},
      {R"("memory":512,"memory_swap":-1)",
       [](const R& r) { return r.spec.resources.memory_swap_bytes == -1; }},
      {R"("cpu":50)", [](const R& r) { return r.spec.resources.cpu_quota_us == 50000; }},
      {R"("cpu":1000)", [](const R& r) { return r.spec.resources.cpu_quota_us == 1000; }},
      {R"("cpu":0)", [](const R& r) { return !r.spec.resources.cpu_quota_us.has_value(); }},
      {R"("cpuset":"0,2-3")", [](const R& r) { return r.spec.resources.cpuset == "0,2-3"; }},
      {R"("io_weight":800)", [](const R& r) { return r.spec.resources.io_weight == 800; }},
      {R"("pids_limit":-1)", [](const R& r) { return r.spec.resources.pids == -1; }},
      {R"("pids_limit":7)", [](const R& r) { return r.spec.resources.pids == 7; }},
      {R"("oom_score_adj":-900)",
       [](const R& r) { return r.spec.resources.oom_score_adj == -900; }},
      {R"("ulimits":{"nofile":"10:20"})",
       [](const R& r) { return r.spec.ulimits.at("nofile") == "10:20"; }},
      {R"("sysctls":{"net.core.somaxconn":"9"})",
       [](const R& r) { return r.spec.sysctls.at("net.core.somaxconn") == "9"; }},
      {R"("ports":{"8080":"80"})", [](const R& r) { return r.spec.ports.at(0).host_port == 8080; }},
      {R"("ports":{"53":["53/tcp","53/udp"]})",
       [](const R& r) { return r.spec.ports.size() == 2; }},
      {R"("env":["A=1","B"])", [](const R& r) { return r.spec.env.size() == 2; }},
      {R"("env":["A=x\ny"])", [](const R& r) { return r.spec.env[0] == "A=x\ny"; }},
      {R"("volumes":{"/src":"/dst:ro,noexec"})",
       [](const R& r) {
         const Mount& m = r.spec.mounts.at(0);
         return m.kind == Mount::Kind::kBind && m.source == "/src" && m.target == "/dst" &&
                m.options == "ro,noexec";
       }},
      {R"("volumes":{"/src":["/a","/b:ro"]})",
       [](const R& r) { return r.spec.mounts.size() == 2 && r.spec.mounts[1].options == "ro"; }},
      {R"("named_volumes":{"data":"/data"})",
       [](const R& r) { return r.spec.mounts.at(0).kind == Mount::Kind::kVolume; }},
      {R"("tmpfs":{"/run":"size=1m"})",
       [](const R& r) {
         return r.spec.mounts.at(0).kind == Mount::Kind::kTmpfs &&
                r.spec.mounts[0].options == "size=1m" && r.spec.mounts[0].target == "/run";
       }},
      {R"("shm_size":64)", [](const R& r) { return r.spec.shm_bytes == 64u << 20; }},
      {R"("shm_size":0)", [](const R& r) { return r.spec.shm_bytes == 256u << 20; }},
      {R"("user":"1000:1000")", [](const R& r) { return r.spec.user == "1000:1000"; }},
      {R"("workdir":"/w")", [](const R& r) { return r.spec.working_dir == "/w"; }},
      {R"("name":"n","unique_name":true)", [](const R& r) { return r.spec.unique_name; }},
      {R"("project":"p")", [](const R& r) { return r.spec.project == "p"; }},
      {R"("hostname":"h")", [](const R& r) { return r.spec.hostname == "h"; }},
      {R"("labels":{"a":"b"})", [](const R& r) { return r.spec.labels.at("a") == "b"; }},
      {R"("network":"none")", [](const R& r) { return r.spec.network == "none"; }},
      {R"("network":"")", [](const R& r) { return r.spec.network == "bridge"; }},
      {R"("dns":["1.1.1.1"])", [](const R& r) { return r.spec.dns.size() == 1; }},
      {R"("extra_hosts":["a:1.2.3.4"])", [](const R& r) { return r.spec.extra_hosts.size() == 1; }},
      {R"("rm":true)", [](const R& r) { return r.spec.remove_on_exit; }},
      {R"("stop_signal":"SIGINT")", [](const R& r) { return r.spec.stop_signal == "SIGINT"; }},
      {R"("stop_signal":2)", [](const R& r) { return r.spec.stop_signal == "2"; }},
      {R"("stop_timeout":0)", [](const R& r) { return r.spec.stop_timeout == milliseconds(0); }},
      {R"("stop_timeout":null)", [](const R& r) { return !r.spec.stop_timeout.has_value(); }},
      {R"("timeout":"1m30s")", [](const R& r) { return r.spec.timeout == milliseconds(90000); }},
      {R"("timeout":5)", [](const R& r) { return r.spec.timeout == milliseconds(5000); }},
      {R"("timeout":0.25)", [](const R& r) { return r.spec.timeout == milliseconds(250); }},
      {R"("timeout":"1ns")", [](const R& r) { return r.spec.timeout == milliseconds(1); }},
      {R"("on_disconnect":"keep")",
       [](const R& r) { return r.on_disconnect == OnDisconnect::kKeep; }},
      {R"("cap_add":["NET_ADMIN"])",
       [](const R& r) { return r.spec.security.cap_add.size() == 1; }},
      {R"("cap_drop":["ALL"])", [](const R& r) { return r.spec.security.cap_drop.size() == 1; }},
      {R"("seccomp":"unconfined")",
       [](const R& r) { return r.spec.security.seccomp == Security::Seccomp::kUnconfined; }},
      {R"("seccomp":{})",
       [](const R& r) { return r.spec.security.seccomp == Security::Seccomp::kDefault; }},
      {R"("privileged":true)",
       [](const R& r) { return r.spec.security.privileged && r.spec.security.host_userns; }},
      {R"("privileged":true,"userns":"auto")",
       [](const R& r) { return !r.spec.security.host_userns; }},
      {R"("userns":"host")", [](const R& r) { return r.spec.security.host_userns; }},
      {R"("read_only":true)", [](const R& r) { return r.spec.security.read_only_rootfs; }},
      {R"("publish_all":true)", [](const R& r) { return r.spec.publish_all; }},
      {R"("devices":["/dev/fuse"])",
       [](const R& r) { return r.spec.devices == std::vector<std::string>{"/dev/fuse"}; }},
      {R"("db_mode":true)", [](const R& r) { return r.spec.db_mode; }},
      {R"("restart":"on-failure:4")",
       [](const R& r) {
         return r.spec.restart == RestartPolicy{RestartPolicy::Kind::kOnFailure, 4};
       }},
      {R"("healthcheck":{"test":["CMD","true"],"interval":1.5,"timeout":"2s","retries":4,
          "start_period":"1m"})",
       [](const R& r) {
         return r.spec.healthcheck == HealthCheck{{"CMD", "true"},
                                                  milliseconds(1500),
                                                  milliseconds(2000),
                                                  milliseconds(60000),
                                                  4};
       }},
      {R"("healthcheck":{})", [](const R& r) { return !r.spec.healthcheck.has_value(); }},
      {R"("healthcheck":{"interval":"10s"})",
       [](const R& r) { return r.spec.healthcheck->interval == milliseconds(10000); }},
      {R"("seccomp":{"defaultAction":"SCMP_ACT_ALLOW"})",
       [](const R& r) {
         return r.spec.security.seccomp == Security::Seccomp::kProfile &&
                r.spec.security.seccomp_profile == R"({"defaultAction":"SCMP_ACT_ALLOW"})";
       }},
      {R"("log_max_size":0)", [](const R& r) { return r.spec.log_max_bytes == 0; }},
      {R"("log_max_size":1)", [](const R& r) { return r.spec.log_max_bytes == 1u << 20; }},
      {R"("log_max_files":5)", [](const R& r) { return r.spec.log_max_files == 5; }},
      {R"("log_timestamps":true)", [](const R& r) { return r.spec.log_timestamps; }},
      {R"("init":false)", [](const R& r) { return !r.spec.init; }},
      {R"("init":null)", [](const R& r) { return r.spec.init; }},
  };
  for (const Accepted& accepted : kAccepted) {
    const auto request = With(accepted.field);
    ASSERT_TRUE(request.ok()) << accepted.field << ": " << request.status().ToString();
    EXPECT_TRUE(accepted.holds(*request)) << accepted.field;
    EXPECT_TRUE(request->unknown_fields.empty()) << accepted.field;
    // The command line sends what it parsed in the same form.
    const auto again = ParseRunRequest(ToJson(*request));
    ASSERT_TRUE(again.ok()) << accepted.field << " -> " << ToJson(*request);
    EXPECT_TRUE(accepted.holds(*again)) << accepted.field << " -> " << ToJson(*request);
  }
}

TEST(RunRequest, InteractiveMeansATerminalAndIsKeptUnlessSaidOtherwise) {
  auto request = With(R"("interactive":true)");
  ASSERT_TRUE(request.ok());
  EXPECT_TRUE(request->spec.open_stdin && request->spec.tty);
  EXPECT_EQ(request->on_disconnect, OnDisconnect::kKeep);
  EXPECT_EQ(ParseRunRequest(ToJson(*request))->on_disconnect, OnDisconnect::kKeep);
  request = With(R"("interactive":true,"tty":false,"rm":true)");
  EXPECT_TRUE(request->spec.open_stdin && !request->spec.tty);
  EXPECT_EQ(request->on_disconnect, OnDisconnect::kKill);
  const auto again = ParseRunRequest(ToJson(*request));
  EXPECT_TRUE(again->spec.open_stdin && !again->spec.tty);
  EXPECT_EQ(With(R"("interactive":true,"on_disconnect":"kill")")->on_disconnect,
            OnDisconnect::kKill);
  request = With(R"("tty":true)");
  EXPECT_TRUE(!request->spec.open_stdin && request->spec.tty);
}

TEST(RunRequest, WhatHasNoPlaceYetPassesWithItsDefault) {
  EXPECT_TRUE(With(R"("publish_all":false,"devices":[],"ip":"",
                      "mac":null,"db_mode":false,"restart":"no","healthcheck":{},"seccomp":null,
                      "log_max_size":64,"log_max_files":3,"log_timestamps":false)")
                  .ok());
}

TEST(RunRequest, WrongValuesNameTheField) {
  const std::pair<const char*, const char*> kWrong[] = {
      {R"("command":"ls")", "command"},
      {R"("command":["ls",1])", "command[1]"},
      {R"("command":["l\u0000s"])", "command[0]"},
      {R"("detached":1)", "detached"},
      {R"("memory":-1)", "memory"},
      {R"("memory":16777217)", "memory"},
      {R"("memory":"512m")", "memory"},
      {R"("cpu":102400001)", "cpu"},
      {R"("cpu":-5)", "cpu"},
      {R"("cpu":1.5)", "cpu"},
      {R"("io_weight":1001)", "io_weight"},
      {R"("pids_limit":-2)", "pids_limit"},
      {R"("oom_score_adj":1001)", "oom_score_adj"},
      {R"("ulimits":{"nofile":1})", "ulimits[\"nofile\"]"},
      {R"("ports":{"8080":"70000"})", "ports[\"8080\"]"},
      {R"("ports":{"x":"80"})", "ports[\"x\"]"},
      {R"("ports":["80"])", "ports"},
      {R"("ports":{"80":80})", "ports[\"80\"]"},
      {R"("env":{"A":"1"})", "env"},
      {R"("volumes":{"":"/x"})", "volumes[\"\"]"},
      {R"("volumes":{"/x":{}})", "volumes[\"/x\"]"},
      {R"("tmpfs":{"/x":1})", "tmpfs[\"/x\"]"},
      {R"("shm_size":1048577)", "shm_size"},
      {R"("user":7)", "user"},
      {R"("name":"a\nb")", "name"},
      {R"("labels":{"a":null})", "labels[\"a\"]"},
      {R"("stop_signal":true)", "stop_signal"},
      {R"("memory_swap":-2)", "memory_swap"},
      {R"("stop_timeout":601)", "stop_timeout"},
      {R"("stop_timeout":-1)", "stop_timeout"},
      {R"("timeout":"soon")", "timeout"},
      {R"("timeout":-1)", "timeout"},
      {R"("timeout":true)", "timeout"},
      {R"("on_disconnect":"pause")", "on_disconnect"},
      {R"("seccomp":"odd")", "seccomp"},
      {R"("seccomp":7)", "seccomp"},
      {R"("userns":"own")", "userns"},
      {R"("init":"no")", "init"},
      {R"("healthcheck":"x")", "healthcheck"},
      {R"("healthcheck":{"test":"x"})", "healthcheck.test"},
      {R"("healthcheck":{"interval":"soon"})", "healthcheck.interval"},
      {R"("healthcheck":{"timeout":true})", "healthcheck.timeout"},
      {R"("healthcheck":{"retries":1001})", "healthcheck.retries"},
      {R"("healthcheck":{"retries":"3"})", "healthcheck.retries"},
      {R"("healthcheck":{"period":1})", "healthcheck.period"},
      {R"("restart":"sometimes")", "restart"},
      {R"("restart":"on-failure:0")", "restart"},
      {R"("log_max_size":-1)", "log_max_size"},
      {R"("log_timestamps":"yes")", "log_timestamps"},
      {R"("publish_all":1)", "publish_all"},
      {R"("devices":"/dev/null")", "devices"},
      {R"("devices":[1])", "devices[0]"},
      {R"("db_mode":"on")", "db_mode"},
      {R"("restart":1)", "restart"},
      {R"("log_max_files":101)", "log_max_files"},
  };
  for (const auto& [body, field] : kWrong) {
    const auto request = With(body);
    ASSERT_FALSE(request.ok()) << body;
    EXPECT_EQ(request.status().code(), StatusCode::kInvalidArgument) << body;
    EXPECT_EQ(request.status().field(), field) << body;
    EXPECT_NE(request.status().message().find(field), std::string::npos) << body;
  }
}

TEST(RunRequest, TheImageComesFirst) {
  for (const char* body : {"{}", R"({"image":""})", R"({"image":"  ","cpu":-5})"}) {
    const auto request = ParseRunRequest(body);
    ASSERT_FALSE(request.ok()) << body;
    EXPECT_EQ(request.status().message(), "Image name is required");
    EXPECT_EQ(request.status().field(), "image");
  }
}

TEST(RunRequest, UnknownFieldsAndTrailingBytesAreReportedOrIgnored) {
  const auto request = ParseRunRequest(R"({"image":"a","colour":"red","Size":1} trailing)");
  ASSERT_TRUE(request.ok()) << request.status().ToString();
  EXPECT_EQ(request->unknown_fields, (std::vector<std::string>{"colour", "Size"}));
}

}  // namespace
}  // namespace minibox::wire
