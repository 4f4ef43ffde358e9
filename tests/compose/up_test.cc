// SPDX-License-Identifier: Apache-2.0
#include "compose/compose_fixture.h"

namespace minibox::compose {
namespace {

constexpr char kThree[] = R"(
services:
  web: {image: i, depends_on: [api]}
  api: {image: i, depends_on: {db: {condition: service_healthy}}}
  db: {image: i, healthcheck: {test: [CMD, ok]}, volumes: [data:/d, /anonymous]}
volumes: {data: }
)";

TEST_F(ComposeTest, UpStartsInOrderAndASecondOneDoesNothing) {
  const Compose project = Load(kThree);
  ASSERT_TRUE(Compose(project).Up().ok());
  const auto calls = Calls();
  ExpectOrder(calls, "network p-default", "create p-db");
  ExpectOrder(calls, "volume p-data", "create p-db");
  ExpectOrder(calls, "start p-db", "wait p-db");
  ExpectOrder(calls, "wait p-db", "create p-api");
  ExpectOrder(calls, "start p-api", "create p-web");
  EXPECT_EQ(backend_->networks.at("p-default").labels.at("minibox.project"), "p");

  std::vector<ComposeEvent> events;
  ASSERT_TRUE(
      Compose(project).Up({}, [&](const ComposeEvent& event) { events.push_back(event); }).ok());
  EXPECT_EQ(Calls(), std::vector<std::string>{"wait p-db"});
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const ComposeEvent& event) {
                            return event.kind == ComposeEvent::Kind::kUnchanged;
                          }),
            3);
}

TEST_F(ComposeTest, OnlyWhatChangedIsReplaced) {
  ASSERT_TRUE(Load(kThree).Up().ok());
  const std::string old = backend_->Named("p-db")->id.ToString();
  (void)Calls();
  std::string text = kThree;
  text.replace(text.find("[CMD, ok]"), 9, "[CMD, no]");
  ASSERT_TRUE(Load(text).Up().ok());
  const auto calls = Calls();
  EXPECT_EQ(At(calls, "create p-api"), calls.size());
  ExpectOrder(calls, "create p-db", "stop p-db");
  ExpectOrder(calls, "start p-db", "remove p-db");
  // The anonymous volume is handed on.
  const auto& mounts = backend_->specs.at(backend_->Named("p-db")->id.ToString()).mounts;
  EXPECT_EQ(mounts[1].source, "anonymous-of-" + old);
}

TEST_F(ComposeTest, AnotherImageOrFileIsAnotherConfiguration) {
  Write("conf", "one");
  const char* const text = "services: {s: {image: i, configs: [c]}}\nconfigs: {c: {file: conf}}\n";
  ASSERT_TRUE(Load(text).Up().ok());
  (void)Calls();
  backend_->image_digests["i"] = "newer";
  ASSERT_TRUE(Load(text).Up().ok());
  EXPECT_LT(At(Calls(), "create p-s"), 10u);
  Write("conf", "two");
  ASSERT_TRUE(Load(text).Up().ok());
  const auto calls = Calls();
  EXPECT_LT(At(calls, "create p-s"), calls.size());
  // What only says how it comes about is not.
  ASSERT_TRUE(Load("services: {s: {image: i, configs: [c], pull_policy: never, profiles: []}}\n"
                   "configs: {c: {file: conf}}\n")
                  .Up()
                  .ok());
  EXPECT_TRUE(Calls().empty());
}

TEST_F(ComposeTest, AStoppedOneIsStarted) {
  Compose project = Load("services: {s: {image: i}}");
  ASSERT_TRUE(project.Up().ok());
  ASSERT_TRUE(project.Stop({}).ok());
  (void)Calls();
  ASSERT_TRUE(project.Up().ok());
  EXPECT_EQ(Calls(), std::vector<std::string>{"start p-s"});
  ASSERT_TRUE(project.Up({.force_recreate = true}).ok());
  const auto calls = Calls();
  ExpectOrder(calls, "stop p-s", "remove p-s");
}

TEST_F(ComposeTest, AFailingReplacementBringsTheOldOneBack) {
  Compose project = Load("services: {s: {image: i}}");
  ASSERT_TRUE(project.Up().ok());
  const std::string old = backend_->Named("p-s")->id.ToString();
  backend_->failing.insert("start p-s");
  const Status status = project.Up({.force_recreate = true});
  EXPECT_FALSE(status.ok());
  backend_->failing.clear();
  ASSERT_EQ(backend_->containers.size(), 1u);
  EXPECT_EQ(backend_->Named("p-s")->id.ToString(), old);
}

TEST_F(ComposeTest, FailuresStopOnlyWhatDependsOnThem) {
  const char* const text = R"(
services:
  db: {image: i, healthcheck: {test: [CMD, ok]}}
  api: {image: i, depends_on: {db: {condition: service_healthy}}}
  opt: {image: i, depends_on: {db: {condition: service_healthy, required: false}}}
  other: {image: i}
)";
  backend_->unhealthy.insert("p-db");
  Compose project = Load(text);
  std::vector<std::string> failures;
  const Status status = project.Up({.timeout = std::chrono::seconds(3)}, [&](const auto& event) {
    if (event.kind == ComposeEvent::Kind::kFailed) failures.push_back(event.text);
  });
  EXPECT_EQ(status.reason(), "dependency_failed");
  EXPECT_NE(status.message().find("service 'api' was not started: 'db' was not healthy within 3 s"),
            std::string::npos)
      << status.message();
  EXPECT_EQ(failures.size(), 1u);
  EXPECT_NE(backend_->Named("p-db"), nullptr);
  EXPECT_NE(backend_->Named("p-other"), nullptr);
  EXPECT_NE(backend_->Named("p-opt"), nullptr);
  EXPECT_EQ(backend_->Named("p-api"), nullptr);
  // A second `up` completes it.
  backend_->unhealthy.clear();
  EXPECT_TRUE(project.Up().ok());
  EXPECT_NE(backend_->Named("p-api"), nullptr);
}

TEST_F(ComposeTest, WaitsForCompletion) {
  const char* const text = R"(
services:
  migrate: {image: i}
  app: {image: i, depends_on: {migrate: {condition: service_completed_successfully}}}
)";
  backend_->exit_codes["p-migrate"] = 3;
  Compose project = Load(text);
  const Status status = project.Up();
  EXPECT_NE(status.message().find("'migrate' ended with status 3"), std::string::npos);
  backend_->exit_codes["p-migrate"] = 0;
  ASSERT_TRUE(project.Up().ok());
  EXPECT_NE(backend_->Named("p-app"), nullptr);
  (void)Calls();
  ASSERT_TRUE(project.Up().ok());
  EXPECT_EQ(Calls(), std::vector<std::string>{"wait p-migrate"});  // not run again
}

TEST_F(ComposeTest, ImagesAreProvidedBeforeAnythingStarts) {
  Write("MiniBox", "BASE scratch\n");
  const char* const text = R"(
services:
  a: {image: far}
  b: {image: far}
  c: {build: .}
  d: {image: i, pull_policy: always}
)";
  Compose project = Load(text);
  Status status = project.Up();
  EXPECT_EQ(status.reason(), "image_not_found") << status.ToString();
  EXPECT_TRUE(backend_->containers.empty());
  EXPECT_TRUE(backend_->networks.empty());
  backend_->pullable = {"far", "i"};
  (void)Calls();
  ASSERT_TRUE(project.Up().ok());
  const auto calls = Calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "pull far"), 1);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "pull i"), 1);
  ASSERT_TRUE(project.Up().ok());
  EXPECT_EQ(Calls(), std::vector<std::string>{"pull i"});
  ASSERT_TRUE(project.Up({.build = true}).ok());
  EXPECT_LT(At(Calls(), "build p-c"), 3u);
  backend_->failing = {"build p-c"};
  status = project.Up({.build = true});
  EXPECT_NE(status.message().find("the build of service c failed"), std::string::npos);
}

TEST_F(ComposeTest, OneServiceMayBuildTheImageOfAnother) {
  Write("MiniBox", "BASE scratch\n");
  Compose project = Load(
      "services: {job: {image: own, pull_policy: never}, web: {image: own, build: ., "
      "depends_on: [job]}}");
  ASSERT_TRUE(project.Up().ok());
  const auto calls = Calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "build own"), 1);
  ExpectOrder(calls, "build own", "create p-job");
}

TEST_F(ComposeTest, ExternalThingsMustExist) {
  Compose project = Load(R"(
services: {s: {image: i, networks: [n], volumes: [v:/v]}}
networks: {n: {external: true}}
volumes: {v: {external: true, name: real}}
)");
  EXPECT_EQ(project.Up().reason(), "network_not_found");
  backend_->networks["n"].name = "n";
  EXPECT_EQ(project.Up().reason(), "volume_not_found");
  backend_->volumes["real"].name = "real";
  ASSERT_TRUE(project.Up().ok());
  ASSERT_TRUE(project.Down({.volumes = true}).ok());
  EXPECT_EQ(backend_->networks.count("n"), 1u);
  EXPECT_EQ(backend_->volumes.count("real"), 1u);
}

TEST_F(ComposeTest, OrphansAreReportedOrRemoved) {
  ASSERT_TRUE(Load("services: {s: {image: i}, gone: {image: i}}").Up().ok());
  Compose project = Load("services: {s: {image: i}}");
  std::vector<std::string> warnings;
  const ComposeEventFn events = [&](const ComposeEvent& event) {
    if (event.kind == ComposeEvent::Kind::kWarning) warnings.push_back(event.text);
  };
  ASSERT_TRUE(project.Up({}, events).ok());
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("'gone' is not in the file"), std::string::npos);
  ASSERT_TRUE(project.Up({.remove_orphans = true}).ok());
  EXPECT_EQ(backend_->Named("p-gone"), nullptr);
}

TEST_F(ComposeTest, SharesTheNetworkOfAnotherService) {
  Compose project = Load(
      "services: {side: {image: i, network_mode: 'service:main'}, "
      "main: {image: i}}");
  ASSERT_TRUE(project.Up().ok());
  const std::string main = backend_->Named("p-main")->id.ToString();
  EXPECT_EQ(backend_->specs.at(backend_->Named("p-side")->id.ToString()).network,
            "container:" + main);
  // A new one of the one is a new one of the other.
  (void)Calls();
  ASSERT_TRUE(
      Load("services: {side: {image: i, network_mode: 'service:main'}, main: {image: i, user: u}}")
          .Up()
          .ok());
  const auto calls = Calls();
  EXPECT_LT(At(calls, "create p-side"), calls.size());
}

TEST_F(ComposeTest, NamedServicesWithOrWithoutDependencies) {
  Compose project = Load(kThree);
  ASSERT_TRUE(project.Up({.services = {"api"}}).ok());
  EXPECT_EQ(backend_->Named("p-web"), nullptr);
  EXPECT_NE(backend_->Named("p-db"), nullptr);
  ASSERT_TRUE(project.Down().ok());
  ASSERT_TRUE(project.Up({.services = {"web"}, .no_deps = true}).ok());
  EXPECT_EQ(backend_->containers.size(), 1u);
  EXPECT_EQ(project.Up({.services = {"nope"}}).reason(), "service_not_found");
}

}  // namespace
}  // namespace minibox::compose
