// SPDX-License-Identifier: Apache-2.0
#include "runtime/restart_policy.h"

#include <gtest/gtest.h>

namespace minibox::testing {
namespace {

using runtime::ContainerRecord;
using runtime::Ended;
using runtime::PlanRestart;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = RestartPolicy::Kind;

const TimePoint kNow = TimePoint(seconds(1'800'000'000));

ContainerRecord Ran(RestartPolicy policy, int code, milliseconds time = seconds(1)) {
  ContainerRecord record(*ContainerId::Parse("0123abcd"));
  record.info.state = ContainerState::kExited;
  record.info.restart = policy;
  record.info.started = kNow - time;
  record.info.exit = ExitStatus{.code = code, .at = kNow};
  return record;
}

std::optional<milliseconds> Pause(ContainerRecord& record, Ended what = Ended::kRun) {
  PlanRestart(record, what, kNow);
  if (!record.info.next_restart) return std::nullopt;
  return std::chrono::duration_cast<milliseconds>(*record.info.next_restart - kNow);
}

TEST(RestartPolicy, TextsAreReadBack) {
  for (const char* text : {"no", "always", "unless-stopped", "on-failure", "on-failure:3"}) {
    const auto policy = RestartPolicy::Parse(text);
    ASSERT_TRUE(policy.ok()) << text;
    EXPECT_EQ(policy->ToString(), text);
  }
  EXPECT_EQ(RestartPolicy::Parse("")->kind, Kind::kNo);
  for (const char* text : {"yes", "Always", "on-failure:", "on-failure:0", "on-failure:-1",
                           "on-failure:x", "on-failure:1000001", "always:2", " no"}) {
    const auto policy = RestartPolicy::Parse(text);
    ASSERT_FALSE(policy.ok()) << text;
    EXPECT_EQ(policy.status().reason(), "invalid_argument");
    EXPECT_EQ(policy.status().field(), "restart");
  }
}

TEST(RestartPolicy, PausesDoubleFromATenthOfASecondToAMinute) {
  EXPECT_EQ(runtime::RestartDelay(0), milliseconds(100));
  EXPECT_EQ(runtime::RestartDelay(1), milliseconds(200));
  EXPECT_EQ(runtime::RestartDelay(9), milliseconds(51200));
  EXPECT_EQ(runtime::RestartDelay(10), seconds(60));
  EXPECT_EQ(runtime::RestartDelay(1'000'000), seconds(60));
}

TEST(RestartPolicy, WhoIsStartedAgain) {
  struct Row {
    RestartPolicy policy;
    int code;
    bool again;
  };
  for (const Row& row :
       {Row{{Kind::kNo, 0}, 1, false}, Row{{Kind::kOnFailure, 0}, 0, false},
        Row{{Kind::kOnFailure, 0}, 1, true}, Row{{Kind::kOnFailure, 0}, -1, true},
        Row{{Kind::kAlways, 0}, 0, true}, Row{{Kind::kUnlessStopped, 0}, 0, true}}) {
    ContainerRecord record = Ran(row.policy, row.code);
    EXPECT_EQ(Pause(record).has_value(), row.again) << row.policy.ToString() << row.code;
    record = Ran(row.policy, row.code);
    record.stopped = true;
    EXPECT_FALSE(Pause(record).has_value()) << row.policy.ToString();
  }
}

TEST(RestartPolicy, CountsStartsInARow) {
  ContainerRecord record = Ran({Kind::kOnFailure, 2}, 1);
  EXPECT_EQ(Pause(record), milliseconds(100));
  record.restart_row = 1;
  EXPECT_EQ(Pause(record), milliseconds(200));
  record.restart_row = 2;
  EXPECT_EQ(Pause(record), std::nullopt);
  // A run that lasted begins a new row.
  record.info.started = kNow - seconds(10);
  EXPECT_EQ(Pause(record), milliseconds(100));
  EXPECT_EQ(record.restart_row, 0);
}

TEST(RestartPolicy, AFailedStartIsAnAttemptWhateverTheLastRunWas) {
  ContainerRecord record = Ran({Kind::kOnFailure, 3}, 1, seconds(100));
  record.restart_row = 2;
  EXPECT_EQ(Pause(record, Ended::kFailedStart), milliseconds(400));
  record.restart_row = 3;
  EXPECT_EQ(Pause(record, Ended::kFailedStart), std::nullopt);
}

TEST(RestartPolicy, TheDaemonStartsOnlyAlwaysOnItsOwn) {
  for (const Kind kind : {Kind::kNo, Kind::kOnFailure, Kind::kAlways, Kind::kUnlessStopped}) {
    ContainerRecord record = Ran({kind, 0}, 1);
    record.stopped = true;
    EXPECT_EQ(runtime::StartsWithDaemon(record), kind == Kind::kAlways);
    record.info.state = ContainerState::kCreated;
    EXPECT_FALSE(runtime::StartsWithDaemon(record));
  }
}

}  // namespace
}  // namespace minibox::testing
