// SPDX-License-Identifier: Apache-2.0
#include "core/event_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "core/file.h"
#include "core/root_dir.h"
#include "support/scratch.h"

namespace minibox::core {
namespace {

using Reader = EventLog::Reader;

class EventLogTest : public ::testing::Test {
 protected:
  EventLogTest() : dir_(*RootDir::Open(scratch_.path())), log_(*EventLog::Open(dir_.fd())) {}

  // Everything a reader has now: "seq type", an overflow without number.
  static std::vector<std::string> Drain(Reader& reader) {
    std::vector<std::string> events;
    while (true) {
      auto event = reader.Next();
      EXPECT_TRUE(event.ok()) << event.status().ToString();
      if (!event.ok() || !*event) return events;
      events.push_back((*event)->type == Event::kOverflow
                           ? "overflow"
                           : std::to_string((*event)->seq) + " " + (*event)->type);
    }
  }
  Reader Open(Reader::From from) { return *log_.Read(from); }
  std::string Text() { return *dir_.ReadFile(kEventsFile, 64u << 20); }
  void Append(std::string_view bytes) {
    const auto fd = dir_.OpenAt(kEventsFile, O_WRONLY | O_APPEND | O_CREAT, 0600);
    ASSERT_TRUE(fd.ok());
    ASSERT_TRUE(WriteAll(fd->get(), bytes).ok());
  }
  // A log that has grown to its limit but for one.
  void AppendMany(uint64_t first, uint64_t last) {
    std::string text;
    for (uint64_t seq = first; seq <= last; ++seq) {
      Event event;
      event.seq = seq;
      event.type = "a.b";
      text += SerializeEvent(event) + "\n";
    }
    Append(text);
  }

  testing::Scratch scratch_;
  RootDir dir_;
  EventLog log_;
};

using Strings = std::vector<std::string>;

TEST_F(EventLogTest, ALineIsAnEvent) {
  const TimePoint time = TimePoint(std::chrono::nanoseconds(1'700'000'000'123'456'789));
  log_.Emit("container.die", "0123abcd", {{"exit_code", "3"}, {"name", ""}, {"image", "a\"b\n"}},
            time);
  EXPECT_EQ(Text(), R"({"seq":1,"time":"2023-11-14T22:13:20.123456789Z","type":"container.die",)"
                    R"("id":"0123abcd","attributes":{"exit_code":"3","image":"a\"b\n"}})"
                    "\n");
  Reader reader = Open(Reader::From::kOldest);
  const auto event = reader.Next();
  ASSERT_TRUE(event.ok() && *event);
  EXPECT_EQ((*event)->time, time);
  EXPECT_EQ((*event)->attributes.at("image"), "a\"b\n");
  struct stat st {};
  ASSERT_EQ(fstatat(dir_.fd(), "events.jsonl", &st, 0), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
}

TEST_F(EventLogTest, ReadersBeginAtTheEndOrAtTheBeginning) {
  Reader early = Open(Reader::From::kNow);
  EXPECT_EQ(Drain(early), Strings());
  log_.Emit("a.one", "");
  Reader late = Open(Reader::From::kNow);
  log_.Emit("a.two", "");
  Reader all = Open(Reader::From::kOldest);
  EXPECT_EQ(Drain(early), (Strings{"1 a.one", "2 a.two"}));
  EXPECT_EQ(Drain(late), Strings{"2 a.two"});
  EXPECT_EQ(Drain(all), (Strings{"1 a.one", "2 a.two"}));
  log_.Emit("a.three", "");
  EXPECT_EQ(Drain(all), Strings{"3 a.three"});
  EXPECT_EQ(*late.Behind(), 1u);
}

TEST_F(EventLogTest, HalfALineIsCutOff) {
  log_.Emit("a.one", "");
  Append(R"({"seq":2,"time":"20)");
  Reader reader = Open(Reader::From::kNow);
  EXPECT_EQ(Drain(reader), Strings());
  log_.Emit("a.two", "");
  EXPECT_EQ(Drain(reader), Strings{"2 a.two"});
  Reader all = Open(Reader::From::kOldest);
  EXPECT_EQ(Drain(all), (Strings{"1 a.one", "2 a.two"}));
}

TEST_F(EventLogTest, LinesThatAreNoEventsArePassedOver) {
  log_.Emit("a.one", "");
  Append(std::string(100 << 10, '\0') + "\nnonsense\n");
  log_.Emit("a.two", "");
  Reader all = Open(Reader::From::kOldest);
  EXPECT_EQ(Drain(all), (Strings{"1 a.one", "2 a.two"}));
}

TEST_F(EventLogTest, AttributesThatAreTooLongAreLeftOut) {
  Labels attributes{{"name", "web"}, {"long", std::string(9000, 'x')}};
  log_.Emit("container.start", "00000000", attributes);
  Reader reader = Open(Reader::From::kOldest);
  const auto event = reader.Next();
  ASSERT_TRUE(event.ok() && *event);
  EXPECT_EQ((*event)->attributes, (Labels{{"name", "web"}}));
}

TEST_F(EventLogTest, KeepsTheNewestAndReadersGoOnByNumber) {
  AppendMany(1, 2 * kKeptEvents);
  Reader first = Open(Reader::From::kOldest), last = Open(Reader::From::kNow),
         slow = Open(Reader::From::kOldest);
  EXPECT_EQ(Drain(first).size(), 2 * kKeptEvents);
  ASSERT_TRUE(slow.Next().ok());
  // It has read a block and will find the rest trimmed away.
  for (int i = 0; i < 256; ++i) log_.Emit("a.new", "");
  Reader all = Open(Reader::From::kOldest);
  const Strings kept = Drain(all);
  EXPECT_GE(kept.size(), kKeptEvents);
  EXPECT_LT(kept.size(), kKeptEvents + 256);
  EXPECT_EQ(kept.back(), std::to_string(2 * kKeptEvents + 256) + " a.new");
  EXPECT_EQ(Drain(first).size(), 256u);
  EXPECT_EQ(Drain(last).size(), 256u);
  // The old file is still open: nothing is missed.
  EXPECT_EQ(Drain(slow).size(), 2 * kKeptEvents + 255);
}

TEST_F(EventLogTest, AReaderThatMissesEventsIsTold) {
  log_.Emit("a.one", "");
  Reader reader = Open(Reader::From::kOldest);
  EXPECT_EQ(Drain(reader), Strings{"1 a.one"});
  std::string text;
  for (uint64_t seq = 500; seq < 502; ++seq) {
    Event event;
    event.seq = seq;
    event.type = "a.b";
    text += SerializeEvent(event) + "\n";
  }
  ASSERT_TRUE(ReplaceFileAt(dir_.fd(), kEventsFile, text).ok());
  EXPECT_EQ(Drain(reader), (Strings{"overflow", "500 a.b", "501 a.b"}));
}

TEST_F(EventLogTest, AFileThatSomebodyRemovedBeginsAnew) {
  log_.Emit("a.one", "");
  log_.Emit("a.two", "");
  Reader reader = Open(Reader::From::kOldest);
  EXPECT_EQ(Drain(reader).size(), 2u);
  ASSERT_TRUE(dir_.Unlink(kEventsFile).ok());
  EXPECT_EQ(Drain(reader), Strings());
  log_.Emit("a.three", "");
  EXPECT_EQ(Drain(reader), Strings{"1 a.three"});
}

TEST_F(EventLogTest, WritersTakeTurns) {
  constexpr int kThreads = 4, kEach = 300;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        const EventLog own = *EventLog::Open(dir_.fd());
        for (int n = 0; n < kEach; ++n) own.Emit("a.b", "");
      });
    }
  }
  Reader reader = Open(Reader::From::kOldest);
  const Strings events = Drain(reader);
  ASSERT_EQ(events.size(), size_t{kThreads * kEach});
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i], std::to_string(i + 1) + " a.b");
}

}  // namespace
}  // namespace minibox::core
