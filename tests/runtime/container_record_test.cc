// SPDX-License-Identifier: Apache-2.0
#include "runtime/container_record.h"

#include <gtest/gtest.h>

namespace minibox::runtime {
namespace {

ContainerConfig FullConfig() {
  ContainerConfig config;
  config.reference = "docker.io/library/busybox:latest";
  config.image_digest = "sha256:" + std::string(64, 'a');
  config.anonymous_volumes = {std::string(32, 'b')};
  config.warnings = {"careful"};
  ContainerSpec& spec = config.spec;
  spec.image = "busybox";
  spec.name = "web";
  spec.project = "shop";
  spec.entrypoint = {{"/entry"}};
  spec.command = {"a", "b \"c\"\n"};
  spec.env = {"A=1", "B=\xc3\xa4"};
  spec.working_dir = "/srv";
  spec.user = "1:2";
  spec.hostname = "h";
  spec.mounts = {{Mount::Kind::kBind, "/srv/x", "/x", "ro"},
                 {Mount::Kind::kBind, "/srv/x", "/y", ""},
                 {Mount::Kind::kVolume, "data", "/data", "nocopy,ro"},
                 {Mount::Kind::kTmpfs, "", "/tmp", "size=1m"}};
  spec.network = "bridge";
  spec.ports = {{"", 0, 80, PortMapping::Protocol::kTcp},
                {"", 0, 81, PortMapping::Protocol::kTcp},
                {"::1", 53, 53, PortMapping::Protocol::kUdp}};
  spec.dns = {"1.1.1.1"};
  spec.extra_hosts = {"a:1.2.3.4"};
  spec.resources.memory_bytes = (5 << 20) + 1;
  spec.resources.memory_swap_bytes = -1;
  spec.resources.cpu_quota_us = 50000;
  spec.resources.cpuset = "0";
  spec.resources.pids = 5;
  spec.resources.io_weight = 7;
  spec.resources.oom_score_adj = 0;
  spec.ulimits = {{"nofile", "1:2"}};
  spec.sysctls = {{"net.core.somaxconn", "5"}};
  spec.shm_bytes = 64u << 20;
  spec.security.cap_add = {"NET_ADMIN"};
  spec.security.cap_drop = {"ALL"};
  spec.security.seccomp = Security::Seccomp::kUnconfined;
  spec.security.read_only_rootfs = true;
  spec.security.host_userns = true;
  spec.stop_signal = "SIGQUIT";
  spec.stop_timeout = std::chrono::milliseconds(1500);
  spec.timeout = std::chrono::milliseconds(90001);
  spec.init = false;
  spec.remove_on_exit = true;
  spec.labels = {{"k", "v"}};
  spec.restart = {RestartPolicy::Kind::kOnFailure, 3};
  spec.healthcheck = HealthCheck{{"CMD", "true"},
                                 std::chrono::milliseconds(1500),
                                 std::chrono::milliseconds(2000),
                                 std::chrono::milliseconds(0),
                                 4};
  spec.publish_all = true;
  spec.devices = {"/dev/fuse:/dev/fuse:rw"};
  spec.db_mode = true;
  spec.log_max_bytes = (1 << 20) + 7;
  spec.log_max_files = 9;
  spec.log_timestamps = true;
  return config;
}

TEST(ContainerConfig, SurvivesARoundTrip) {
  const ContainerConfig config = FullConfig();
  const std::string text = SerializeConfig(config);
  const auto again = ParseConfig(text);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(SerializeConfig(*again), text);
  const ContainerSpec& spec = again->spec;
  EXPECT_EQ(spec.resources.memory_bytes, (5 << 20) + 1);
  EXPECT_EQ(spec.resources.memory_swap_bytes, -1);
  EXPECT_EQ(spec.resources.pids, 5);
  EXPECT_EQ(spec.restart, config.spec.restart);
  EXPECT_EQ(spec.healthcheck, config.spec.healthcheck);
  EXPECT_EQ(spec.devices, config.spec.devices);
  EXPECT_TRUE(spec.publish_all && spec.db_mode && spec.log_timestamps);
  EXPECT_EQ(spec.log_max_bytes, config.spec.log_max_bytes);
  EXPECT_EQ(spec.log_max_files, 9);
  EXPECT_EQ(spec.mounts.size(), 4u);
  EXPECT_EQ(spec.mounts[1].source, "/srv/x");
  EXPECT_EQ(spec.mounts[1].target, "/y");
  EXPECT_EQ(spec.ports.size(), 3u);
  EXPECT_EQ(spec.ports[2].host_ip, "::1");
  EXPECT_EQ(spec.ports[2].protocol, PortMapping::Protocol::kUdp);
  EXPECT_EQ(spec.stop_timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(spec.timeout, std::chrono::milliseconds(90001));
}

TEST(ContainerConfig, IsARunRequestInItsOwnUnits) {
  const auto root = json::Parse(SerializeConfig(FullConfig()));
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(*root->GetInt("version"), 1);
  EXPECT_EQ(*root->GetInt("memory"), 5);
  EXPECT_EQ(*root->GetInt("shm_size"), 64);
  EXPECT_EQ(*root->GetString("userns"), "host");
  EXPECT_EQ(*root->Get("named_volumes").GetString("data"), "/data:nocopy,ro");
  EXPECT_EQ(root->Get("volumes").Get("/srv/x").size(), 2u);
  EXPECT_EQ(root->Get("ports").Get("0").size(), 2u);
}

TEST(ContainerConfig, DefaultsStayDefaults) {
  ContainerConfig config;
  config.spec.image = "x";
  config.spec.command = {"c"};
  config.image_digest = "sha256:0";
  const auto again = ParseConfig(SerializeConfig(config));
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_FALSE(again->spec.resources.pids.has_value());
  EXPECT_TRUE(again->spec.entrypoint->empty());
  EXPECT_TRUE(again->spec.init);
}

TEST(ContainerConfig, IgnoresUnknownKeysAndRefusesWrongTypes) {
  EXPECT_TRUE(ParseConfig(R"({"image":"x","image_digest":"d","future":[1]})").ok());
  EXPECT_FALSE(ParseConfig(R"({"image":5,"image_digest":"d"})").ok());
  EXPECT_FALSE(ParseConfig(R"({"image":"x","image_digest":"d","ports":{"99999":"1"}})").ok());
  EXPECT_FALSE(ParseConfig("{").ok());
}

TEST(ContainerRecord, SurvivesARoundTrip) {
  ContainerRecord record(*ContainerId::Parse("0a1b2c3d"));
  ContainerInfo& info = record.info;
  info.image = "busybox";
  info.reference = "docker.io/library/busybox:latest";
  info.image_digest = "sha256:x";
  info.name = "n";
  info.project = "p";
  info.command = {"a", "b"};
  info.state = ContainerState::kExited;
  info.created = TimePoint(std::chrono::nanoseconds(1'700'000'000'123'456'789));
  info.started = info.created + std::chrono::seconds(1);
  info.exit = ExitStatus{137, 9, true, "timeout", info.created + std::chrono::seconds(2)};
  info.error = "port taken";
  info.ports = {{"", 8080, 80}};
  info.ip = "172.19.0.2";
  info.mac = "02:4d:ac:13:00:02";
  info.gateway = "172.19.0.1";
  info.labels = {{"k", "v"}};
  info.warnings = {"w"};
  record.monitor = {77, 12345};
  record.boot_id = "boot";
  record.ids = {100000, 65536, false};
  record.starting = true;
  record.provisional = true;
  const std::string text = SerializeRecord(record);
  const auto again = ParseRecord(text);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(SerializeRecord(*again), text);
  EXPECT_EQ(again->info.exit->error, "timeout");
  EXPECT_EQ(again->info.error, "port taken");
  EXPECT_EQ(again->monitor.start_time, 12345u);
  EXPECT_EQ(again->info.created, info.created);
  EXPECT_TRUE(again->provisional);
}

TEST(ContainerRecord, ReadsACommandOfOneString) {
  const auto record = ParseRecord(
      R"({"id":"0a1b2c3d","image":"x","command":"sleep 1","status":"exited","exit_code":0})");
  ASSERT_TRUE(record.ok()) << record.status().ToString();
  EXPECT_EQ(record->info.command, std::vector<std::string>{"sleep 1"});
}

TEST(ContainerRecord, RefusesWhatItCannotTrust) {
  EXPECT_FALSE(ParseRecord(R"({"id":"../../x","image":"x","status":"exited"})").ok());
  EXPECT_FALSE(ParseRecord(R"({"id":"0a1b2c3d","image":"x","status":"asleep"})").ok());
  EXPECT_FALSE(ParseRecord("").ok());
}

}  // namespace
}  // namespace minibox::runtime
