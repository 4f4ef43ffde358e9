// SPDX-License-Identifier: Apache-2.0
#include "runtime/health_log.h"

#include <gtest/gtest.h>

#include "runtime/spec_resolve.h"

namespace minibox::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kNow = TimePoint(seconds(1'800'000'000));

HealthProbe Probe(int code, std::string output = "") {
  return {kNow, kNow + seconds(1), code, std::move(output)};
}

TEST(HealthLog, IsReadBack) {
  HealthLog log;
  runtime::AddProbe(Probe(1, "no\x01\xff"), true, log);
  const auto read = runtime::ParseHealthLog(runtime::SerializeHealthLog(log));
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->failing_streak, 1);
  ASSERT_EQ(read->probes.size(), 1u);
  EXPECT_EQ(read->probes[0].start, kNow);
  EXPECT_EQ(read->probes[0].end, kNow + seconds(1));
  EXPECT_EQ(read->probes[0].exit_code, 1);
  EXPECT_EQ(read->probes[0].output, "no\x01\xef\xbf\xbd");
  EXPECT_FALSE(runtime::ParseHealthLog("{}").ok());
}

TEST(HealthLog, KeepsFiveProbesOfFourKilobytes) {
  HealthLog log;
  for (int i = 0; i < 7; ++i) runtime::AddProbe(Probe(i, std::string(5000, 'x')), true, log);
  ASSERT_EQ(log.probes.size(), 5u);
  EXPECT_EQ(log.probes.front().exit_code, 2);
  EXPECT_EQ(log.probes.back().exit_code, 6);
  EXPECT_EQ(log.probes.back().output.size(), 4096u);
  EXPECT_EQ(log.failing_streak, 6);
}

TEST(HealthLog, HealthFollowsFailuresInARow) {
  HealthLog log;
  Health health = Health::kStarting;
  const auto probe = [&](int code, bool counts = true) {
    runtime::AddProbe(Probe(code), counts, log);
    return health = runtime::NextHealth(health, log, 2);
  };
  EXPECT_EQ(probe(1, /*counts=*/false), Health::kStarting);
  EXPECT_EQ(probe(1, /*counts=*/false), Health::kStarting);
  EXPECT_EQ(probe(1), Health::kStarting);
  EXPECT_EQ(probe(0), Health::kHealthy);
  EXPECT_EQ(probe(1), Health::kHealthy);
  EXPECT_EQ(probe(-1), Health::kUnhealthy);
  EXPECT_EQ(probe(0), Health::kHealthy);
}

TEST(HealthLog, ProbesAreFrequentUntilTheFirstSuccessOfTheStartPeriod) {
  HealthCheck check;
  check.interval = seconds(30);
  check.start_period = seconds(60);
  const auto pause = [&](Health health, seconds after) {
    return runtime::ProbePause(check, health, kNow, kNow + after);
  };
  EXPECT_EQ(pause(Health::kStarting, seconds(0)), seconds(5));
  EXPECT_EQ(pause(Health::kStarting, seconds(59)), seconds(5));
  EXPECT_EQ(pause(Health::kStarting, seconds(60)), seconds(30));
  EXPECT_EQ(pause(Health::kHealthy, seconds(1)), seconds(30));
  check.interval = milliseconds(20);
  EXPECT_EQ(pause(Health::kStarting, seconds(0)), milliseconds(20));
}

class HealthSource : public ::testing::Test {
 protected:
  std::optional<HealthCheck> Resolve() { return runtime::ResolveHealthcheck(spec_, image_); }
  ContainerSpec spec_;
  oci::ImageConfig image_;
};

using Words = std::vector<std::string>;

TEST_F(HealthSource, NoneWithoutRequestImageOrLabel) { EXPECT_EQ(Resolve(), std::nullopt); }

TEST_F(HealthSource, RequestIsFilledUpFromTheImage) {
  image_.healthcheck = oci::Healthcheck{{"CMD-SHELL", "check a"}, 5'000'000'000, 0, 0, 7};
  image_.shell = {"/bin/ash", "-ec"};
  auto check = Resolve();
  ASSERT_TRUE(check.has_value());
  EXPECT_EQ(check->test, (Words{"CMD", "/bin/ash", "-ec", "check a"}));
  EXPECT_EQ(check->interval, seconds(5));
  EXPECT_EQ(check->timeout, seconds(30));
  EXPECT_EQ(check->start_period, seconds(0));
  EXPECT_EQ(check->retries, 7);
  spec_.healthcheck = HealthCheck{{"/probe", "now"}, {}, {}, {}, 2};
  check = Resolve();
  EXPECT_EQ(check->test, (Words{"CMD", "/probe", "now"}));
  EXPECT_EQ(check->interval, seconds(5));
  EXPECT_EQ(check->retries, 2);
}

TEST_F(HealthSource, NoneSwitchesOff) {
  image_.healthcheck = oci::Healthcheck{{"CMD", "x"}, 0, 0, 0, 0};
  spec_.healthcheck = HealthCheck{{"NONE"}, {}, {}, {}, {}};
  EXPECT_EQ(Resolve(), std::nullopt);
  spec_.healthcheck.reset();
  image_.healthcheck = oci::Healthcheck{{"NONE"}, 0, 0, 0, 0};
  image_.labels["mini.healthcheck.cmd"] = "x";
  EXPECT_EQ(Resolve(), std::nullopt);
}

TEST_F(HealthSource, LabelsStandInForAnImageWithoutHealthcheck) {
  image_.labels = {{"mini.healthcheck.cmd", "test\x1f-e\x1f/ok"},
                   {"mini.healthcheck.interval", "20"}};
  const auto check = Resolve();
  ASSERT_TRUE(check.has_value());
  EXPECT_EQ(check->test, (Words{"CMD", "/bin/sh", "-c", "test -e /ok"}));
  EXPECT_EQ(check->interval, seconds(20));
  EXPECT_EQ(check->retries, 3);
}

}  // namespace
}  // namespace minibox::testing
