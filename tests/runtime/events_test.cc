// SPDX-License-Identifier: Apache-2.0
// What is told of operations, to whom, and when it happened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <future>
#include <thread>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using std::chrono::system_clock;
using ::testing::ElementsAre;

class EventsTest : public RuntimeTest {
 protected:
  // Everything so far.
  std::vector<Event> Past(EventOptions options = {}) {
    if (!options.since) options.since = TimePoint();
    if (!options.until) options.until = system_clock::now();
    std::vector<Event> events;
    const Status read = runtime().ReadEvents(options, [&](const Event& event) {
      events.push_back(event);
      return Status();
    });
    EXPECT_TRUE(read.ok()) << read.ToString();
    return events;
  }
  static std::vector<std::string> Types(const std::vector<Event>& events) {
    std::vector<std::string> types;
    for (const Event& event : events) types.push_back(event.type);
    return types;
  }
  // As many events as another process might write meanwhile.
  void WriteMany(uint64_t seq) {
    std::ofstream file(DataPath("events.jsonl"), std::ios::app);
    for (const uint64_t end = seq + 11000; seq < end; ++seq) {
      file << "{\"seq\":" << seq
           << ",\"time\":\"2026-01-02T03:04:05Z\",\"type\":\"daemon.many\",\"id\":\"\","
              "\"attributes\":{}}\n";
    }
  }
  static EventOptions Of(const ContainerId& id) { return {.containers = {id.ToString()}}; }
};

TEST_F(EventsTest, ALifeIsTold) {
  ContainerSpec spec = Shell("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done");
  spec.name = "web";
  spec.project = "shop";
  spec.labels = {{"tier", "front"}};
  const ContainerInfo info = Start(spec);
  AwaitLog(info.id, "ready");
  ASSERT_TRUE(runtime().Stop(info.id).ok());
  ASSERT_TRUE(runtime().Start(info.id).ok());
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  const auto record = runtime().Inspect(info.id);
  ASSERT_TRUE(runtime().Remove(info.id).ok());

  const std::vector<Event> events = Past(Of(info.id));
  ASSERT_THAT(Types(events), ElementsAre("container.create", "container.start", "container.die",
                                         "container.stop", "container.start", "container.kill",
                                         "container.die", "container.remove"));
  for (size_t i = 1; i < events.size(); ++i) EXPECT_EQ(events[i].seq, events[i - 1].seq + 1);
  EXPECT_EQ(events[0].time, info.created);
  EXPECT_EQ(events[1].time, *info.started);
  EXPECT_EQ(
      events[1].attributes,
      (Labels{{"name", "web"}, {"image", "busybox"}, {"project", "shop"}, {"tier", "front"}}));
  EXPECT_EQ(events[2].attributes.at("exit_code"), "3");
  EXPECT_EQ(events[3].attributes.at("signal"), "TERM");
  EXPECT_EQ(events[5].attributes.at("signal"), "KILL");
  EXPECT_EQ(events[6].attributes.at("exit_code"), "137");
  EXPECT_EQ(events[6].attributes.at("signal"), "KILL");
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(events[6].time, record->exit->at);
}

TEST_F(EventsTest, ExecsAttachmentsAndUpdatesAreTold) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  ExecSpec exec;
  exec.command = {"sh", "-c", "exit 3"};
  ASSERT_TRUE(runtime().Exec(info.id, exec, [](const OutputChunk&) { return Status(); }).ok());
  exec.command = {"sleep", "1000"};
  { ASSERT_TRUE(runtime().StartExec(info.id, exec).ok()); }  // whose end is the client's
  exec.command = {"/no/such"};
  ASSERT_FALSE(runtime().StartExec(info.id, exec).ok());
  { ASSERT_TRUE(runtime().Attach(info.id).ok()); }
  ContainerUpdate update;
  update.pids = 77;
  ASSERT_TRUE(runtime().Update(info.id, update).ok());
  update.pids = 0;
  ASSERT_FALSE(runtime().Update(info.id, update).ok());
  const std::vector<Event> events = Past(Of(info.id));
  ASSERT_THAT(Types(events),
              ElementsAre("container.create", "container.start", "container.exec_start",
                          "container.exec_die", "container.exec_start", "container.exec_die",
                          "container.attach", "container.update"));
  EXPECT_EQ(events[3].attributes.at("exit_code"), "3");
  EXPECT_EQ(events[3].attributes.at("exec"), events[2].attributes.at("exec"));
  EXPECT_EQ(events[5].attributes.at("exit_code"), "137");
  EXPECT_EQ(events[5].attributes.at("signal"), "KILL");
  EXPECT_NE(events[5].attributes.at("exec"), events[2].attributes.at("exec"));
}

TEST_F(EventsTest, WhatNobodySawHasItsTime) {
  const ContainerInfo info = Start(Shell("sleep 0.2; exit 7"));
  // No runtime is there when it exits; its own clock says when that was.
  runtime_.reset();
  const std::string exit_file = DataPath("containers/" + info.id.ToString() + "/exit.json");
  while (access(exit_file.c_str(), F_OK) != 0) std::this_thread::yield();
  const TimePoint absent = system_clock::now();
  ASSERT_NO_FATAL_FAILURE(Reopen());
  const auto exit = runtime().Wait(info.id);
  ASSERT_TRUE(exit.ok());
  const std::vector<Event> events = Past(Of(info.id));
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().type, "container.die");
  EXPECT_EQ(events.back().time, exit->at);
  EXPECT_LE(events.back().time, absent);
}

TEST_F(EventsTest, AFailedRunIsNoEvent) {
  ContainerSpec spec = Shell("");
  spec.command = {"/no/such"};
  spec.name = "never";
  ASSERT_FALSE(runtime().Run(spec).ok());
  EXPECT_THAT(Past({.containers = {"never"}}), ElementsAre());
}

TEST_F(EventsTest, ReadersFollowUntilTheyAreStopped) {
  auto other = OpenAnother();
  ASSERT_TRUE(other.ok());
  std::stop_source stop;
  std::promise<void> reading;
  std::vector<std::string> seen;
  auto follower = std::async(std::launch::async, [&] {
    EventOptions options;
    options.types = {"volume"};
    options.ready = [&] { reading.set_value(); };
    return other->ReadEvents(
        options,
        [&](const Event& event) {
          seen.push_back(event.type + " " + event.id);
          if (event.type == "volume.remove") stop.request_stop();
          return Status();
        },
        stop.get_token());
  });
  reading.get_future().wait();
  ASSERT_TRUE(store().CreateVolume("data").ok());
  ASSERT_TRUE(store().CreateVolume("data").ok());
  ASSERT_TRUE(store().RemoveVolume("data").ok());
  EXPECT_EQ(follower.get().code(), StatusCode::kCancelled);
  EXPECT_THAT(seen, ElementsAre("volume.create data", "volume.remove data"));
}

TEST_F(EventsTest, SinceAndUntilAreTimes) {
  ASSERT_TRUE(runtime().Announce("daemon.one").ok());
  const TimePoint between = system_clock::now();
  ASSERT_TRUE(runtime().Announce("daemon.two").ok());
  EXPECT_THAT(Types(Past({.until = between, .types = {"daemon"}})), ElementsAre("daemon.one"));
  EXPECT_THAT(Types(Past({.since = between, .types = {"daemon"}})), ElementsAre("daemon.two"));
  // Without a beginning only what is to come.
  int told = 0;
  const Status read = runtime().ReadEvents({.until = system_clock::now()}, [&](const Event&) {
    ++told;
    return Status();
  });
  EXPECT_TRUE(read.ok());
  EXPECT_EQ(told, 0);
}

TEST_F(EventsTest, ImagesAreTold) {
  ASSERT_TRUE(store().TagImage("busybox", "other:1").ok());
  ASSERT_TRUE(store().RemoveImage("other:1").ok());
  const std::vector<Event> events = Past({.images = {"other:1"}});
  ASSERT_THAT(Types(events), ElementsAre("image.tag", "image.remove"));
  EXPECT_EQ(events[0].id, store().GetImage("busybox")->manifest.ToString());
}

TEST_F(EventsTest, AReaderThatIsTooSlowIsTold) {
  int told = 0;
  std::string last;
  EventOptions options;
  options.types = {"daemon"};
  std::promise<void> live;
  options.ready = [&] { live.set_value(); };
  auto reader = std::async(std::launch::async, [&] {
    return runtime().ReadEvents(options, [&](const Event& event) {
      last = event.type;
      // Somebody writes much while it does nothing.
      if (++told == 2) WriteMany(event.seq + 1);
      return Status();
    });
  });
  live.get_future().wait();
  ASSERT_TRUE(runtime().Announce("daemon.first").ok());
  ASSERT_TRUE(runtime().Announce("daemon.second").ok());
  const Status read = reader.get();
  EXPECT_TRUE(read.ok()) << read.ToString();
  EXPECT_EQ(last, Event::kOverflow);
  EXPECT_LT(told, 11000);
}

TEST_F(EventsTest, AnEventHasAType) {
  for (const char* bad : {"", "daemon", "daemon.", ".x", "daemon.UP", "a b.c"}) {
    const Status announced = runtime().Announce(bad);
    EXPECT_EQ(announced.code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(announced.field(), "type");
  }
}

}  // namespace
}  // namespace minibox::testing
