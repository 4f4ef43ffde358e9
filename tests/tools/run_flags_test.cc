// SPDX-License-Identifier: Apache-2.0
#include "run_flags.h"

#include <gtest/gtest.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "support/scratch.h"

namespace minibox::cli {
namespace {

constexpr int64_t kMib = 1 << 20;

StatusOr<wire::RunRequest> Parse(std::vector<std::string> arguments) {
  CLI::App app;
  RunFlags flags;
  flags.AddTo(app, /*run=*/true);
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return Status(StatusCode::kInvalidArgument, error.what());
  }
  return flags.Request(app.remaining());
}

wire::RunRequest Good(std::vector<std::string> arguments) {
  auto request = Parse(std::move(arguments));
  EXPECT_TRUE(request.ok()) << request.status().ToString();
  return request.ok() ? *request : wire::RunRequest();
}

TEST(RunFlags, OptionsEndAtTheImage) {
  const auto request = Good({"-d", "--name", "web", "busybox", "httpd", "-f", "--name", "x", "--"});
  EXPECT_TRUE(request.detached);
  EXPECT_EQ(request.spec.image, "busybox");
  EXPECT_EQ(request.spec.name, "web");
  EXPECT_TRUE(request.spec.unique_name);
  EXPECT_EQ(request.spec.command, (std::vector<std::string>{"httpd", "-f", "--name", "x", "--"}));
  EXPECT_EQ(Good({"--", "busybox", "-d"}).spec.command, std::vector<std::string>{"-d"});
  EXPECT_FALSE(Good({"busybox"}).detached);
}

TEST(RunFlags, EveryFlagReachesItsField) {
  const auto request = Good({"--rm",
                             "--on-disconnect=keep",
                             "-m",
                             "1g",
                             "--memory-swap",
                             "-1",
                             "--cpus",
                             "1.5",
                             "--cpuset",
                             "0",
                             "--io-weight",
                             "9",
                             "--pids-limit",
                             "-1",
                             "--oom-score-adj",
                             "-5",
                             "--ulimit",
                             "nofile=1:2",
                             "-p",
                             "8080:80",
                             "-p",
                             "127.0.0.1:53:53/udp",
                             "-p",
                             "9",
                             "--network",
                             "none",
                             "--dns",
                             "1.1.1.1",
                             "--add-host",
                             "a:1.2.3.4",
                             "-v",
                             "/a:/b:ro",
                             "-v",
                             "data:/d",
                             "--mount",
                             "type=tmpfs,target=/t,size=1m",
                             "--tmpfs",
                             "/u:mode=700",
                             "--shm-size",
                             "64",
                             "-e",
                             "A=1",
                             "-e",
                             "B",
                             "-u",
                             "1:2",
                             "-w",
                             "/w",
                             "--entrypoint",
                             "",
                             "--hostname",
                             "h",
                             "--project",
                             "p",
                             "-l",
                             "k=v",
                             "-l",
                             "bare",
                             "--stop-signal",
                             "INT",
                             "--stop-timeout",
                             "0",
                             "--timeout",
                             "1m",
                             "--init=false",
                             "--cap-add",
                             "ALL",
                             "--cap-drop",
                             "CHOWN",
                             "--seccomp",
                             "unconfined",
                             "--privileged",
                             "--read-only",
                             "--userns",
                             "auto",
                             "--sysctl",
                             "net.core.somaxconn=9",
                             "image"});
  const ContainerSpec& spec = request.spec;
  EXPECT_EQ(spec.image, "image");
  EXPECT_TRUE(spec.remove_on_exit);
  EXPECT_EQ(request.on_disconnect, OnDisconnect::kKeep);
  EXPECT_EQ(spec.resources.memory_bytes, 1024 * kMib);
  EXPECT_EQ(spec.resources.memory_swap_bytes, -1);
  EXPECT_EQ(spec.resources.cpu_quota_us, 150000);
  EXPECT_EQ(spec.resources.cpuset, "0");
  EXPECT_EQ(spec.resources.io_weight, 9);
  EXPECT_EQ(spec.resources.pids, -1);
  EXPECT_EQ(spec.resources.oom_score_adj, -5);
  EXPECT_EQ(spec.ulimits.at("nofile"), "1:2");
  ASSERT_EQ(spec.ports.size(), 3u);
  EXPECT_EQ(spec.ports[0].host_port, 8080);
  EXPECT_EQ(spec.ports[1].protocol, PortMapping::Protocol::kUdp);
  EXPECT_EQ(spec.ports[1].host_ip, "127.0.0.1");
  EXPECT_EQ(spec.ports[2].host_port, 0);
  EXPECT_EQ(spec.network, "none");
  EXPECT_EQ(spec.dns.size(), 1u);
  EXPECT_EQ(spec.extra_hosts.size(), 1u);
  ASSERT_EQ(spec.mounts.size(), 4u);
  EXPECT_EQ(spec.mounts[0].kind, Mount::Kind::kBind);
  EXPECT_EQ(spec.mounts[0].options, "ro");
  EXPECT_EQ(spec.mounts[1].kind, Mount::Kind::kVolume);
  EXPECT_EQ(spec.mounts[2].options, "size=1m");
  EXPECT_EQ(spec.mounts[3].options, "mode=700");
  EXPECT_EQ(spec.shm_bytes, static_cast<uint64_t>(64 * kMib));
  EXPECT_EQ(spec.env, (std::vector<std::string>{"A=1", "B"}));
  EXPECT_EQ(spec.user, "1:2");
  EXPECT_EQ(spec.working_dir, "/w");
  ASSERT_TRUE(spec.entrypoint.has_value());
  EXPECT_EQ(*spec.entrypoint, std::vector<std::string>{""});
  EXPECT_EQ(spec.hostname, "h");
  EXPECT_EQ(spec.project, "p");
  EXPECT_EQ(spec.labels, (Labels{{"k", "v"}, {"bare", ""}}));
  EXPECT_EQ(spec.stop_signal, "INT");
  EXPECT_EQ(spec.stop_timeout, std::chrono::seconds(0));
  EXPECT_EQ(spec.timeout, std::chrono::minutes(1));
  EXPECT_FALSE(spec.init);
  EXPECT_EQ(spec.security.cap_add, std::vector<std::string>{"ALL"});
  EXPECT_EQ(spec.security.cap_drop, std::vector<std::string>{"CHOWN"});
  EXPECT_EQ(spec.security.seccomp, Security::Seccomp::kUnconfined);
  EXPECT_TRUE(spec.security.privileged);
  EXPECT_FALSE(spec.security.host_userns);
  EXPECT_TRUE(spec.security.read_only_rootfs);
  EXPECT_EQ(spec.sysctls.size(), 1u);
  // What is sent says the same.
  const auto sent = wire::ParseRunRequest(wire::ToJson(request));
  ASSERT_TRUE(sent.ok()) << sent.status().ToString();
  EXPECT_EQ(wire::ToJson(*sent), wire::ToJson(request));
}

TEST(RunFlags, WrongUsageIsRefused) {
  const std::vector<std::string> kWrong[] = {
      {},
      {"--bogus", "image"},
      {"-m", "many", "image"},
      {"-m", "0", "image"},
      {"--cpus", "x", "image"},
      {"--cpus", "0", "image"},
      {"--cpus", "1", "--cpu", "5", "image"},
      {"--cpu", "x", "image"},
      {"--io-weight", "1001", "image"},
      {"-p", "80:x", "image"},
      {"-p", "", "image"},
      {"-v", "/only", "image"},
      {"-v", ":/x", "image"},
      {"--mount", "type=odd,target=/x", "image"},
      {"--mount", "type=bind,target=/x", "image"},
      {"--mount", "type=volume,source=x", "image"},
      {"--mount", "type=tmpfs,source=x,target=/x", "image"},
      {"--env-file", "/absent/file", "image"},
      {"-l", "=x", "image"},
      {"--ulimit", "nofile", "image"},
      {"--sysctl", "x", "image"},
      {"--stop-timeout", "601", "image"},
      {"--timeout", "soon", "image"},
      {"--seccomp", "profile.json", "image"},
      {"--userns", "own", "image"},
      {"--on-disconnect", "maybe", "image"},
  };
  for (const auto& arguments : kWrong) {
    EXPECT_FALSE(Parse(arguments).ok()) << ::testing::PrintToString(arguments);
  }
}

TEST(RunFlags, MemoryIsRoundedUpToMebibytes) {
  EXPECT_EQ(*ParseMemory("512"), 512 * kMib);
  EXPECT_EQ(*ParseMemory("512m"), 512 * kMib);
  EXPECT_EQ(*ParseMemory("512MB"), 512 * kMib);
  EXPECT_EQ(*ParseMemory("2g"), 2048 * kMib);
  EXPECT_EQ(*ParseMemory("1k"), kMib);
  EXPECT_EQ(*ParseMemory("1048577b"), 2 * kMib);
  for (const char* bad : {"", "m", "-1", "1.5g", "0", "0m", "1x", "1mm", "99999999999999999999",
                          "9999999999999t", "b", " 1"}) {
    EXPECT_FALSE(ParseMemory(bad).ok()) << bad;
  }
}

TEST(RunFlags, HostPathsAreMadeAbsolute) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(ParseVolume("./a/../b:/x")->source, here == "/" ? "/b" : here + "/b");
  EXPECT_EQ(ParseVolume(".:/x")->source, here);
  EXPECT_EQ(ParseVolume("/a/:/x")->source, "/a");
  EXPECT_EQ(ParseVolume("~/a:/x")->source, std::string(getenv("HOME")) + "/a");
  EXPECT_EQ(ParseVolume("a:/x:ro,noexec")->options, "ro,noexec");
}

TEST(RunFlags, EnvironmentFilesComeBeforeFlags) {
  const testing::Scratch scratch;
  const std::string file = scratch.Write("env", "# comment\n\nA=1\n  B=two words \r\nC\n");
  EXPECT_EQ(Good({"-e", "A=2", "--env-file", file, "image"}).spec.env,
            (std::vector<std::string>{"A=1", "B=two words", "C", "A=2"}));
}

}  // namespace
}  // namespace minibox::cli
