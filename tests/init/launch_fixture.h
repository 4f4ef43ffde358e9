// SPDX-License-Identifier: Apache-2.0
// Launches of busybox in a root file system, a cgroup and a data root of the test's own.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "init/launch_spec.h"
#include "kernel/cgroup.h"
#include "runtime/launcher.h"
#include "support/scratch.h"

namespace minibox::init {

// What a workload wrote and how it ended.
struct Outcome {
  std::string out{}, err{};
  ExitStatus exit{};
};

class LaunchTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // As a container has it by default: all mounts, masks and capabilities.
  LaunchSpec Spec(std::vector<std::string> argv) const;
  // The same with "sh -c <script>".
  LaunchSpec Script(std::string script) const;
  StatusOr<runtime::Launched> Launch(const LaunchSpec& spec, bool capture = false,
                                     const runtime::LaunchHooks& hooks = {});
  // Until the end.
  Outcome Run(const LaunchSpec& spec);
  // Fails the test unless the workload ends with 0; its standard output.
  std::string OutputOf(const LaunchSpec& spec);
  // Of a launch that is to fail.
  Status FailureOf(const LaunchSpec& spec, const runtime::LaunchHooks& hooks = {});

  // Below the data root.
  std::string Path(std::string_view name) const { return scratch_ / name; }
  core::Fd OpenDir(std::string_view name) const;
  std::string ReadLog() const { return testing::ReadWholeFile(Path("container/container.log")); }

  testing::Scratch scratch_;
  std::unique_ptr<runtime::Launcher> launcher_;
  std::unique_ptr<kernel::CgroupDriver> driver_;
  std::unique_ptr<kernel::Cgroup> cgroup_;
  core::Fd data_root_, container_dir_, run_dir_;
  runtime::LaunchFds fds_;
};

// The value of "<name>:\t<value>" in /proc/<pid>/status.
std::string StatusField(const std::string& status, std::string_view name);

}  // namespace minibox::init
