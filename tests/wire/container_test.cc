// SPDX-License-Identifier: Apache-2.0
#include "wire/container.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

using std::chrono::milliseconds;

ContainerInfo Full() {
  ContainerInfo info{.id = *ContainerId::Parse("0123abcd")};
  info.image = "web";
  info.reference = "docker.io/library/web:latest";
  info.image_digest = "sha256:00";
  info.name = "front";
  info.project = "shop";
  info.command = {"sh", "-c", "echo \"hi\""};
  info.state = ContainerState::kExited;
  info.created = TimePoint(milliseconds(1700000000123));
  info.started = TimePoint(milliseconds(1700000001000));
  info.exit = ExitStatus{.code = 137,
                         .signal = 9,
                         .oom_killed = true,
                         .error = "timeout",
                         .at = TimePoint(milliseconds(1700000002000))};
  info.ports = {{.host_port = 8080, .container_port = 80},
                {.host_ip = "127.0.0.1",
                 .host_port = 53,
                 .container_port = 53,
                 .protocol = PortMapping::Protocol::kUdp}};
  info.ip = "172.19.0.2";
  info.mac = "02:4d:ac:13:00:02";
  info.gateway = "172.19.0.1";
  info.networks = {{"bridge", info.ip, info.mac, info.gateway}};
  info.labels = {{"k", "v"}};
  info.warnings = {"w"};
  info.health = Health::kUnhealthy;
  info.restart = {RestartPolicy::Kind::kOnFailure, 5};
  info.restart_count = 3;
  info.next_restart = TimePoint(milliseconds(1700000003000));
  return info;
}

TEST(ContainerJson, EveryMemberSurvivesTheRoundTrip) {
  const ContainerInfo before = Full();
  const auto after = ParseContainer(ToJson(before));
  ASSERT_TRUE(after.ok()) << after.status().ToString();
  EXPECT_EQ(ToJson(*after), ToJson(before));
  EXPECT_EQ(after->exit->code, 137);
  EXPECT_EQ(after->exit->signal, 9);
  EXPECT_TRUE(after->exit->oom_killed);
  EXPECT_EQ(after->exit->at, before.exit->at);
  EXPECT_EQ(after->ports.size(), 2u);
  EXPECT_EQ(after->gateway, before.gateway);
  EXPECT_EQ(after->command, before.command);
  EXPECT_EQ(after->health, before.health);
  EXPECT_EQ(after->restart, before.restart);
  EXPECT_EQ(after->restart_count, 3);
  EXPECT_EQ(after->next_restart, before.next_restart);
}

TEST(ContainerJson, EmptyMembersAreLeftOut) {
  ContainerInfo info{.id = *ContainerId::Parse("0123abcd")};
  info.image = "a";
  info.created = TimePoint(milliseconds(1700000000000));
  EXPECT_EQ(ToJson(info),
            R"({"id":"0123abcd","image":"a","command":[],"pid":0,"status":"created",)"
            R"("health":"none","created_at":"2023-11-14T22:13:20.000000000Z","exit_code":0,)"
            R"("reference":"","image_digest":""})");
}

TEST(ContainerJson, TheListIsAnObjectSortedById) {
  ContainerInfo a = Full(), b = Full();
  b.id = *ContainerId::Parse("00000001");
  const std::string text = ToJson(std::vector{a, b});
  EXPECT_TRUE(text.starts_with(R"({"00000001":{)"));
  const auto parsed = ParseContainers(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->at(0).id.ToString(), "00000001");
  EXPECT_EQ(ToJson(std::vector<ContainerInfo>()), "{}");
  EXPECT_FALSE(ParseContainers("[]").ok());
  EXPECT_FALSE(ParseContainer(R"({"id":"0123abcd","status":"odd"})").ok());
}

TEST(ContainerJson, ExitReasonsAreThoseOfTheTrailer) {
  EXPECT_EQ(ExitReason({.code = 3}), "exited");
  EXPECT_EQ(ExitReason({.code = 143, .signal = 15}), "signal");
  EXPECT_EQ(ExitReason({.code = 137, .signal = 9, .oom_killed = true}), "oom");
  EXPECT_EQ(ExitReason({.code = 137, .signal = 9, .error = "timeout"}), "timeout");
  EXPECT_EQ(ExitReason({.code = -1}), "");
}

}  // namespace
}  // namespace minibox::wire
