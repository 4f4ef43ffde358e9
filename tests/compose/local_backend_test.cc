// SPDX-License-Identifier: Apache-2.0
// A project on the engine in this process, with real containers on a network of their own.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "minibox/compose.h"
#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

class LocalCompose : public RuntimeNetworkTest {
 protected:
  void SetUp() override {
    RuntimeNetworkTest::SetUp();
    if (HasFatalFailure()) return;
    // Health checks and restarts need somebody who acts on them.
    options_.supervise = true;
    Reopen();
    auto network = Network::Open(network_options_);
    ASSERT_TRUE(network.ok()) << network.status().ToString();
    auto builder = ImageBuilder::Create(store(), runtime());
    ASSERT_TRUE(builder.ok()) << builder.status().ToString();
    backend_ = LocalComposeBackend(store(), *network, runtime(), *builder);
    where_.directory = root_ + "/shop";
    where_.lock_dir = root_ + "/locks";
    std::filesystem::create_directories(where_.directory);
  }
  void TearDown() override {
    backend_ = nullptr;
    RuntimeNetworkTest::TearDown();
  }
  StatusOr<Compose> Load(const std::string& text) {
    std::ofstream(where_.directory / "compose.yaml") << text;
    return Compose::Load(where_, backend_);
  }

  std::shared_ptr<ComposeBackend> backend_;
  ComposeOptions where_{};
};

constexpr char kShop[] = R"(
services:
  web:
    image: busybox
    command: sh -c 'nslookup db 2>&1; echo web of $$SHOP; exec sleep 1000'
    environment: {SHOP: books}
    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
  migrate: {image: busybox, command: touch /state/done, volumes: [state:/state], depends_on: [db]}
  db:
    image: busybox
    command: sh -c 'touch /tmp/ready; echo db is up; exec sleep 1000'
    volumes: [state:/state]
    healthcheck: {test: test -e /tmp/ready, interval: 100ms}
volumes: {state: }
)";

TEST_F(LocalCompose, UpLogsAndDown) {
  auto project = Load(kShop);
  ASSERT_TRUE(project.ok()) << project.status().ToString();
  const Status up = project->Up();
  ASSERT_TRUE(up.ok()) << up.ToString();
  const auto services = project->Ps();
  ASSERT_TRUE(services.ok());
  ASSERT_EQ(services->size(), 3u);
  EXPECT_EQ((*services)[0].container.health, Health::kHealthy);
  EXPECT_EQ((*services)[1].container.exit->code, 0);
  EXPECT_TRUE(std::filesystem::exists(DataPath("volumes/shop-state/done")));
  const ContainerId web = (*services)[2].container.id;
  AwaitLog(web, "web of books");
  EXPECT_NE(Log(web).find((*services)[0].container.ip), std::string::npos) << Log(web);

  std::vector<std::string> lines;
  ASSERT_TRUE(project
                  ->ReadLogs({},
                             [&](const ComposeLogLine& line) {
                               lines.push_back(std::string(line.service) + ": " +
                                               std::string(line.text));
                               return Status();
                             })
                  .ok());
  EXPECT_EQ(lines.front(), "db: db is up");
  EXPECT_EQ(lines.back(), "web: web of books");

  std::vector<ComposeEvent::Kind> kinds;
  ASSERT_TRUE(
      project->Up({}, [&](const ComposeEvent& event) { kinds.push_back(event.kind); }).ok());
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), ComposeEvent::Kind::kUnchanged), 3);

  const Status down = project->Down({.volumes = true, .stop_timeout = std::chrono::seconds(0)});
  ASSERT_TRUE(down.ok()) << down.ToString();
  EXPECT_TRUE(runtime().List()->empty());
  EXPECT_TRUE(store().ListVolumes()->empty());
  ExpectNothingLeft();
}

TEST_F(LocalCompose, AReplacedContainerHandsItsAnonymousVolumeOn) {
  const std::string head = "services:\n  s:\n    image: busybox\n    network_mode: none\n";
  auto project = Load(head +
                      "    command: sh -c 'echo kept >/mine/file; echo written; exec sleep 1000'\n"
                      "    volumes: [/mine]\n");
  ASSERT_TRUE(project.ok()) << project.status().ToString();
  ASSERT_TRUE(project->Up().ok());
  const ContainerId first = project->Ps()->front().container.id;
  AwaitLog(first, "written");
  project =
      Load(head + "    command: sh -c 'cat /mine/file; exec sleep 1000'\n    volumes: [/mine]\n");
  ASSERT_TRUE(project.ok());
  const Status up = project->Up({.stop_timeout = std::chrono::seconds(0)});
  ASSERT_TRUE(up.ok()) << up.ToString();
  const ContainerId second = project->Ps()->front().container.id;
  EXPECT_NE(first, second);
  AwaitLog(second, "kept");
  ASSERT_TRUE(project->Down({.stop_timeout = std::chrono::seconds(0)}).ok());
}

TEST_F(LocalCompose, WhatDoesNotStartLeavesTheOldOneRunning) {
  auto project = Load(
      "services: {s: {image: busybox, network_mode: none, command: sleep 1000, container_name: "
      "x}}");
  ASSERT_TRUE(project.ok());
  ASSERT_TRUE(project->Up().ok());
  const ContainerId first = project->Ps()->front().container.id;
  project = Load(
      "services: {s: {image: busybox, network_mode: none, command: /absent, "
      "container_name: x, stop_grace_period: 0s}}");
  ASSERT_TRUE(project.ok());
  EXPECT_EQ(project->Up({.stop_timeout = std::chrono::seconds(0)}).reason(), "command_not_found");
  const auto services = project->Ps();
  ASSERT_EQ(services->size(), 1u);
  EXPECT_EQ(services->front().container.id, first);
  EXPECT_EQ(services->front().container.state, ContainerState::kRunning);
  ASSERT_TRUE(project->Down({.stop_timeout = std::chrono::seconds(0)}).ok());
}

}  // namespace
}  // namespace minibox::testing
