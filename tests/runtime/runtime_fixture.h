// SPDX-License-Identifier: Apache-2.0
// A runtime on a data root of its own, with busybox to run. Containers that a test leaves are
// removed; what they leave on the machine fails the test (tests/support/leak_check.h).
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "minibox/network.h"
#include "minibox/runtime.h"
#include "minibox/store.h"
#include "support/busybox_image.h"
#include "support/scratch.h"

namespace minibox::testing {

class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Drops this process's handles and opens others, as a restarted daemon does.
  void Reopen();
  Runtime& runtime() { return *runtime_; }
  Store& store() { return *store_; }
  // A second handle on the same directories, as another process has.
  StatusOr<Runtime> OpenAnother();

  // `sh -c script` in busybox without network.
  static ContainerSpec Shell(std::string script);
  // Runs in the foreground; fails the test unless it runs and exits with `code`.
  struct Output {
    std::string out, err;
    ExitStatus exit{};
    ContainerId id;
  };
  Output RunShell(ContainerSpec spec, int code = 0);
  std::string Stdout(std::string script, int code = 0) {
    return RunShell(Shell(std::move(script)), code).out;
  }
  // Starts it; fails the test otherwise.
  ContainerInfo Start(const ContainerSpec& spec);
  std::string Log(const ContainerId& id, const LogOptions& options = {});
  // Follows the log until it holds `text`.
  void AwaitLog(const ContainerId& id, std::string_view text);

  // Until `wanted` holds for its record; fails the test if it is removed meanwhile.
  ContainerInfo Await(const ContainerId& id,
                      const std::function<bool(const ContainerInfo&)>& wanted);

  std::string DataPath(std::string_view below) const {
    return root_ + "/data/" + std::string(below);
  }
  json::Value Record(const ContainerId& id) const;
  // containers/, RunDir, id ranges and leases hold nothing.
  void ExpectNothingLeft();
  // The content of a file of the running container's control group, whichever hierarchy has it,
  // without its last line end; "" if none does.
  std::string CgroupFile(const ContainerId& id, const std::string& name);
  // Our control groups that exist, "" if there are none.
  static std::string Cgroups();

  // The wait status of runtime_test_agent, a process that dies at the n-th failpoint (0: never).
  int Agent(int kill_nth, std::string command, std::string argument = "");
  static bool WasKilled(int status);

  Scratch scratch_;
  std::string root_;
  RuntimeOptions options_{};
  NetworkOptions network_options_{};
  std::optional<Store> store_;
  std::optional<Runtime> runtime_;
};

// The same in a network namespace of its own, so that bridges are not the machine's.
class RuntimeNetworkTest : public RuntimeTest {
 protected:
  void SetUp() override;
  void TearDown() override;
  int host_netns_ = -1;
};

}  // namespace minibox::testing
