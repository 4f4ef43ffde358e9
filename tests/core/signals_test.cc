// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <csignal>

#include "core/strings.h"

namespace minibox::core {
namespace {

TEST(Signals, ParsesNamesAndNumbers) {
  EXPECT_EQ(ParseSignal("TERM"), SIGTERM);
  EXPECT_EQ(ParseSignal("SIGTERM"), SIGTERM);
  EXPECT_EQ(ParseSignal("sigkill"), SIGKILL);
  EXPECT_EQ(ParseSignal("15"), SIGTERM);
  EXPECT_EQ(ParseSignal("64"), 64);
  EXPECT_EQ(ParseSignal("RTMIN"), 34);
  EXPECT_EQ(ParseSignal("SIGRTMIN+3"), 37);
  EXPECT_EQ(ParseSignal("rtmin+30"), 64);
  EXPECT_EQ(ParseSignal("RTMAX-1"), 63);
  EXPECT_EQ(ParseSignal("IOT"), SIGABRT);
}

TEST(Signals, RefusesTheRest) {
  for (const char* text : {"", "0", "65", "-1", "+9", "9x", "SIG", "TERMX", "RTMIN+31", "RTMIN-1",
                           "RTMIN+", "RTMAX+1", "SIGSIGTERM", "999999999999999999999", " 9"}) {
    EXPECT_EQ(ParseSignal(text), std::nullopt) << text;
  }
}

TEST(Signals, NamesRoundTrip) {
  EXPECT_EQ(SignalName(SIGTERM), "TERM");
  EXPECT_EQ(SignalName(SIGABRT), "ABRT");
  EXPECT_EQ(SignalName(37), "RTMIN+3");
  for (int signal = 1; signal <= 64; ++signal) {
    EXPECT_EQ(ParseSignal(SignalName(signal)), signal);
  }
}

}  // namespace
}  // namespace minibox::core
