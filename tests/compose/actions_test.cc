// SPDX-License-Identifier: Apache-2.0
#include "compose/compose_fixture.h"
#include "compose/yaml.h"

namespace minibox::compose {
namespace {

constexpr char kTwo[] = R"(
services:
  web: {image: i, depends_on: [db]}
  db: {image: i, volumes: [data:/d]}
volumes: {data: }
)";

TEST_F(ComposeTest, DownTakesAllInReverse) {
  Compose project = Load(kTwo);
  ASSERT_TRUE(project.Up().ok());
  (void)Calls();
  ASSERT_TRUE(project.Down().ok());
  const auto calls = Calls();
  ExpectOrder(calls, "stop p-web", "stop p-db");
  ExpectOrder(calls, "remove p-web", "remove p-db");
  ExpectOrder(calls, "remove p-db", "remove network p-default");
  EXPECT_TRUE(backend_->containers.empty());
  EXPECT_EQ(backend_->volumes.size(), 1u);
  ASSERT_TRUE(project.Down({.volumes = true}).ok());
  EXPECT_TRUE(backend_->volumes.empty());
}

TEST_F(ComposeTest, DownWithoutTheFile) {
  ASSERT_TRUE(Load(kTwo).Up().ok());
  ASSERT_TRUE(Attach().Down({.volumes = true}).ok());
  EXPECT_TRUE(backend_->containers.empty());
  EXPECT_TRUE(backend_->networks.empty());
  EXPECT_TRUE(backend_->volumes.empty());
}

TEST_F(ComposeTest, StartStopRestartKillRemove) {
  Compose project = Load(kTwo);
  ASSERT_TRUE(project.Up().ok());
  (void)Calls();
  ASSERT_TRUE(project.Stop({"web"}).ok());
  EXPECT_EQ(Calls(), std::vector<std::string>{"stop p-web"});
  ASSERT_TRUE(project.Stop({"web"}).ok());
  EXPECT_TRUE(Calls().empty());
  ASSERT_TRUE(project.Start({}).ok());
  EXPECT_EQ(Calls(), std::vector<std::string>{"start p-web"});
  ASSERT_TRUE(project.Restart({}).ok());
  const auto calls = Calls();
  ExpectOrder(calls, "stop p-web", "stop p-db");
  ExpectOrder(calls, "start p-db", "start p-web");
  ASSERT_TRUE(project.Kill({"db"}, SIGHUP).ok());
  EXPECT_EQ(Calls(), std::vector<std::string>{"kill 1 p-db"});
  ASSERT_TRUE(project.Remove({}, false).ok());
  EXPECT_EQ(backend_->containers.size(), 2u);
  ASSERT_TRUE(project.Remove({"web"}, true).ok());
  EXPECT_EQ(backend_->containers.size(), 1u);
  EXPECT_EQ(project.Stop({"nope"}).reason(), "service_not_found");
}

TEST_F(ComposeTest, AllAreTriedAndTheFirstErrorIsReported) {
  Compose project = Load("services: {a: {image: i}, b: {image: i}}");
  ASSERT_TRUE(project.Up().ok());
  backend_->failing = {"stop p-a"};
  std::vector<std::string> failed;
  const Status status = project.Stop({}, {}, [&](const ComposeEvent& event) {
    if (event.kind == ComposeEvent::Kind::kFailed) failed.push_back(event.service);
  });
  EXPECT_NE(status.message().find("service a: stop p-a fails"), std::string::npos);
  EXPECT_EQ(failed, std::vector<std::string>{"a"});
  EXPECT_EQ(backend_->Named("p-b")->state, ContainerState::kExited);
}

TEST_F(ComposeTest, TheResolvedFileIsTheSameProject) {
  options_.environment = {{"USER_ID", "7"}};
  const Compose project =
      Load("services: {s: {image: i, user: \"$USER_ID\", command: [echo, \"$$HOME\", \"yes\"]}}\n");
  const std::string yaml = project.ConfigYaml();
  EXPECT_NE(yaml.find("name: p\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("user: \"7\"\n"), std::string::npos) << yaml;
  const auto hashes = project.ConfigHashes();
  ASSERT_TRUE(hashes.ok());
  options_.environment.clear();
  const auto again = Load(yaml).ConfigHashes();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, *hashes);
}

TEST_F(ComposeTest, OneOffContainersAreBesideTheService) {
  Compose project = Load("services: {s: {image: i, ports: ['80:80'], container_name: own}}");
  ASSERT_TRUE(project.Up().ok());
  const auto spec = project.OneOff("s");
  ASSERT_TRUE(spec.ok());
  EXPECT_TRUE(spec->ports.empty());
  EXPECT_TRUE(spec->remove_on_exit);
  EXPECT_EQ(spec->name.rfind("p-s-run-", 0), 0u);
  ASSERT_TRUE(backend_->CreateContainer(*spec).ok());
  (void)Calls();
  ASSERT_TRUE(project.Up().ok());
  EXPECT_TRUE(Calls().empty());
  EXPECT_EQ(project.Ps()->size(), 2u);
  ASSERT_TRUE(project.Down().ok());
  EXPECT_TRUE(backend_->containers.empty());
  EXPECT_EQ(project.OneOff("nope").status().reason(), "service_not_found");
}

TEST_F(ComposeTest, BuildAndPullTakeTheirOwn) {
  Write("MiniBox", "BASE scratch\n");
  backend_->pullable = {"i"};
  Compose project = Load("services: {a: {build: .}, b: {image: i}}");
  ASSERT_TRUE(project.Build({}, false).ok());
  EXPECT_EQ(Calls(), std::vector<std::string>{"build p-a"});
  ASSERT_TRUE(project.Pull({}).ok());
  EXPECT_EQ(Calls(), std::vector<std::string>{"pull i"});
}

TEST_F(ComposeTest, StopsWhenItIsAskedTo) {
  std::stop_source stop;
  Compose project = Load("services: {a: {image: i}, b: {image: i, depends_on: [a]}}");
  const Status status = project.Up(
      {},
      [&](const ComposeEvent& event) {
        if (event.kind == ComposeEvent::Kind::kStarted) stop.request_stop();
      },
      stop.get_token());
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_NE(backend_->Named("p-a"), nullptr);
  EXPECT_EQ(backend_->Named("p-b"), nullptr);
}

}  // namespace
}  // namespace minibox::compose
