// SPDX-License-Identifier: Apache-2.0
#include "runtime/state_machine.h"

#include <gtest/gtest.h>

#include "runtime/start_failure.h"

namespace minibox::runtime {
namespace {

ContainerInfo In(ContainerState state) {
  ContainerInfo info{.id = *ContainerId::Parse("0a1b2c3d")};
  info.state = state;
  return info;
}

TEST(StateMachine, AllowsWhatTheTableSays) {
  struct Row {
    ContainerState state;
    const char *start, *signal, *remove, *force;  // reasons; "" is allowed
  };
  const Row rows[] = {
      {ContainerState::kCreated, "", "container_not_running", "", ""},
      {ContainerState::kRunning, "container_running", "", "container_running", ""},
      {ContainerState::kPaused, "container_running", "", "container_running", ""},
      {ContainerState::kExited, "", "container_not_running", "", ""},
      {ContainerState::kRemoving, "container_not_found", "container_not_running", "", ""},
  };
  for (const Row& row : rows) {
    const ContainerInfo info = In(row.state);
    EXPECT_EQ(CheckCanStart(info).reason(), row.start);
    EXPECT_EQ(CheckCanSignal(info).reason(), row.signal);
    EXPECT_EQ(CheckCanRemove(info, false).reason(), row.remove);
    EXPECT_EQ(CheckCanRemove(info, true).reason(), row.force);
  }
}

TEST(StartFailure, BecomesAnExitCodeOfTheCommandLine) {
  const auto code = [](const char* reason) {
    return StartFailureExitCode(Status(StatusCode::kInvalidArgument, "m", {.reason = reason}));
  };
  EXPECT_EQ(StartFailureExitCode(Status()), 0);
  EXPECT_EQ(code("command_not_found"), 127);
  EXPECT_EQ(code("command_not_executable"), 126);
  EXPECT_EQ(code("image_not_found"), 125);
  EXPECT_EQ(code(""), 125);
}

TEST(StartFailure, KeepsWhatSaysWhatToDo) {
  const Status port(StatusCode::kFailedPrecondition, "m", {.reason = "port_in_use"});
  EXPECT_EQ(AsStartFailure(port).reason(), "port_in_use");
  EXPECT_EQ(AsStartFailure(Status(StatusCode::kCancelled, "m")).code(), StatusCode::kCancelled);
  EXPECT_TRUE(AsStartFailure(Status()).ok());
  const Status other = AsStartFailure(Status(StatusCode::kNotFound, "gone", {.sys_errno = 2}));
  EXPECT_EQ(other.code(), StatusCode::kInternal);
  EXPECT_EQ(other.reason(), "start_failed");
  EXPECT_EQ(other.message(), "gone");
  EXPECT_EQ(other.sys_errno(), 2);
}

}  // namespace
}  // namespace minibox::runtime
