// SPDX-License-Identifier: Apache-2.0
// A launch that fails, at whatever stage, says why and leaves nothing: the leak check after each
// test looks for processes, mounts, cgroups and descriptors, FailureOf for the socket.
#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "core/errors.h"
#include "launch_fixture.h"

namespace minibox::init {
namespace {

using ::testing::HasSubstr;

class LaunchFailure : public LaunchTest {
 protected:
  MountOp Tmpfs(std::string target, std::string data = "") const {
    MountOp mount;
    mount.kind = MountOp::Kind::kTmpfs;
    mount.target = std::move(target);
    mount.data = std::move(data);
    return mount;
  }
  void ExpectInvalid(const LaunchSpec& spec, std::string_view field, std::string_view text) {
    const Status status = FailureOf(spec);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    EXPECT_EQ(status.reason(), "invalid_argument");
    EXPECT_EQ(status.field(), field);
    EXPECT_THAT(status.message(), HasSubstr(text));
  }
};

TEST_F(LaunchFailure, MissingLayer) {
  LaunchSpec spec = Spec({"true"});
  spec.lowers.push_back("no-such-layer");
  const Status status = FailureOf(spec);
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_EQ(status.reason(), "start_failed");
  EXPECT_THAT(status.message(), HasSubstr("no-such-layer: No such file or directory"));
}

TEST_F(LaunchFailure, LayerOutsideTheDataRoot) {
  LaunchSpec spec = Spec({"true"});
  for (const char* lower : {"../layer", "/etc"}) {
    spec.lowers = {lower};
    EXPECT_EQ(FailureOf(spec).reason(), "start_failed");
  }
}

TEST_F(LaunchFailure, MissingUpperOrWork) {
  LaunchSpec spec = Spec({"true"});
  spec.upper = "no-such-upper";
  EXPECT_THAT(FailureOf(spec).message(), HasSubstr("no-such-upper"));
  spec = Spec({"true"});
  spec.work = "no-such-work";
  EXPECT_THAT(FailureOf(spec).message(), HasSubstr("no-such-work"));
  spec.work = "layer/bin/busybox";
  EXPECT_THAT(FailureOf(spec).message(), HasSubstr("Not a directory"));
}

TEST_F(LaunchFailure, BadMountTargets) {
  std::filesystem::create_symlink("loop", Path("layer/loop"));
  for (const char* target : {"/etc/passwd", "/etc/passwd/x", "/loop/x", "/proc/self/fd/3/x"}) {
    LaunchSpec spec = Spec({"true"});
    spec.mounts.push_back(Tmpfs(target));
    ExpectInvalid(spec, "volumes", target);
  }
  LaunchSpec spec = Spec({"true"});
  spec.mounts.push_back(Tmpfs("/" + std::string(300, 'x')));
  ExpectInvalid(spec, "volumes", "File name too long");
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "/x";
  spec.mounts.back() = Tmpfs(deep);
  ExpectInvalid(spec, "volumes", "x/x");
}

TEST_F(LaunchFailure, BadTmpfsOptions) {
  LaunchSpec spec = Spec({"true"});
  spec.mounts.push_back(Tmpfs("/t", "size=1m,nonsense=1"));
  ExpectInvalid(spec, "volumes", "/t");
}

TEST_F(LaunchFailure, DirectoryOnAFile) {
  LaunchSpec spec = Spec({"true"});
  MountOp mount;
  mount.target = "/etc/passwd";
  mount.fd_index = 0;
  fds_.binds = {container_dir_.get()};
  spec.mounts.push_back(mount);
  ExpectInvalid(spec, "volumes", "Not a directory");
}

TEST_F(LaunchFailure, SourceThatCannotBeIdMapped) {
  const core::Fd proc(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  LaunchSpec spec = Spec({"true"});
  MountOp mount;
  mount.target = "/host-proc";
  mount.fd_index = 0;
  mount.id_mapped = true;
  fds_.binds = {proc.get()};
  spec.mounts.push_back(mount);
  const Status status = FailureOf(spec);
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_EQ(status.reason(), "unsupported_by_host");
  EXPECT_EQ(status.field(), "userns");
  EXPECT_THAT(status.message(), HasSubstr("/host-proc"));
}

TEST_F(LaunchFailure, BadIdRange) {
  LaunchSpec spec = Spec({"true"});
  spec.id_count = 0;
  EXPECT_EQ(FailureOf(spec).field(), "userns");
  spec.id_base = UINT32_MAX;
  spec.id_count = 10;
  EXPECT_EQ(FailureOf(spec).field(), "userns");
}

TEST_F(LaunchFailure, BadSysctls) {
  LaunchSpec spec = Spec({"true"});
  spec.sysctls = {{"net/ipv4/no_such_key", "1"}};
  ExpectInvalid(spec, "sysctls[\"net.ipv4.no_such_key\"]", "net.ipv4.no_such_key");
  spec.sysctls = {{"net/ipv4/ip_forward", "nonsense"}};
  ExpectInvalid(spec, "sysctls[\"net.ipv4.ip_forward\"]", "Invalid argument");
  spec.sysctls = {{"kernel/panic", "1"}};  // not the container's
  ExpectInvalid(spec, "sysctls[\"kernel.panic\"]", "kernel.panic");
  spec.sysctls = {{"../../etc/passwd", "x"}};
  ExpectInvalid(spec, "sysctls[\"......etc.passwd\"]", "sysctl");
}

TEST_F(LaunchFailure, BadLimits) {
  LaunchSpec spec = Spec({"true"});
  spec.rlimits = {{.resource = 99, .soft = 1, .hard = 1}};
  EXPECT_EQ(FailureOf(spec).reason(), "invalid_argument");
  spec.rlimits = {{.resource = 7, .soft = 10, .hard = 5}};
  EXPECT_FALSE(FailureOf(spec).ok());
}

TEST_F(LaunchFailure, OomScoreOutOfRange) {
  LaunchSpec spec = Spec({"true"});
  spec.oom_score_adj = 1001;
  const Status status = FailureOf(spec);
  EXPECT_EQ(status.reason(), "unsupported_by_host");
  EXPECT_EQ(status.field(), "oom_score_adj");
}

TEST_F(LaunchFailure, BadSeccompProgram) {
  LaunchSpec spec = Spec({"true"});
  spec.seccomp_program = "odd";
  EXPECT_THAT(FailureOf(spec).message(), HasSubstr("seccomp"));
  spec.seccomp_program = std::string(8, '\xff');
  EXPECT_THAT(FailureOf(spec).message(), HasSubstr("seccomp"));
  spec.init = false;
  EXPECT_THAT(FailureOf(spec).message(), HasSubstr("seccomp"));
}

TEST_F(LaunchFailure, UnknownCapability) {
  LaunchSpec spec = Spec({"true"});
  spec.capabilities |= uint64_t{1} << 60;
  const Status status = FailureOf(spec);
  EXPECT_EQ(status.reason(), "unsupported_by_host") << status.ToString();
  EXPECT_EQ(status.field(), "cap_add");
}

TEST_F(LaunchFailure, HostNameTooLong) {
  LaunchSpec spec = Spec({"true"});
  spec.hostname = std::string(65, 'x');
  EXPECT_THAT(FailureOf(spec).message(), HasSubstr("sethostname"));
}

TEST_F(LaunchFailure, LivingMonitorInTheRunDirectory) {
  auto first = Launch(Spec({"sleep", "1000"}));
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  const auto second = Launch(Spec({"true"}));
  EXPECT_THAT(second.status().message(), HasSubstr("monitor.sock"));
  // The first has not noticed.
  auto connection = runtime::ConnectMonitor(run_dir_.get());
  ASSERT_TRUE(connection.ok()) << connection.status().ToString();
  ASSERT_TRUE(connection->Signal(SIGKILL).ok());
  EXPECT_TRUE(first->connection.WaitExit().ok());
}

TEST_F(LaunchFailure, RefusedByTheCaller) {
  bool called = false;
  const Status status =
      FailureOf(Script("echo ran > /ran"), {.configure = [&](const runtime::SetUp& set_up) {
                  called = true;
                  EXPECT_GT(set_up.pid, 0);
                  EXPECT_TRUE(set_up.pidfd.valid());
                  EXPECT_TRUE(set_up.netns.valid());
                  EXPECT_TRUE(set_up.rtnetlink.valid());
                  EXPECT_TRUE(std::filesystem::exists(Path("run/monitor.sock")));
                  return core::FailedPrecondition("port_in_use", "port 80 is taken");
                }});
  EXPECT_TRUE(called);
  EXPECT_EQ(status.reason(), "port_in_use");
  EXPECT_FALSE(std::filesystem::exists(Path("upper/ran")));
  EXPECT_FALSE(std::filesystem::exists(Path("container/exit.json")));
}

TEST_F(LaunchFailure, Cancelled) {
  std::stop_source stop;
  const Status early = [&] {
    std::stop_source stopped;
    stopped.request_stop();
    return launcher_->Launch(Spec({"true"}), fds_, *cgroup_, false, {}, stopped.get_token())
        .status();
  }();
  EXPECT_EQ(early.code(), StatusCode::kCancelled);
  const Status late = launcher_
                          ->Launch(Spec({"sleep", "1000"}), fds_, *cgroup_, false,
                                   {.configure =
                                        [&](const runtime::SetUp&) {
                                          stop.request_stop();
                                          return Status();
                                        }},
                                   stop.get_token())
                          .status();
  EXPECT_EQ(late.code(), StatusCode::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(Path("run/monitor.sock")));
}

TEST_F(LaunchFailure, Pid1KilledWhileItWaits) {
  const Status status = FailureOf(Spec({"true"}), {.configure = [](const runtime::SetUp& set_up) {
                                    EXPECT_EQ(kill(set_up.pid, SIGKILL), 0);
                                    return Status();
                                  }});
  EXPECT_EQ(status.reason(), "start_failed");
  EXPECT_THAT(status.message(), HasSubstr("PID 1 ended unexpectedly"));
}

TEST_F(LaunchFailure, EverythingElseIsAnError) {
  fds_.data_root = -1;
  EXPECT_EQ(FailureOf(Spec({"true"})).code(), StatusCode::kInvalidArgument);
  fds_.data_root = data_root_.get();
  fds_.binds = {-1};
  EXPECT_EQ(FailureOf(Spec({"true"})).code(), StatusCode::kInvalidArgument);
  fds_.binds.clear();
  EXPECT_EQ(FailureOf(Spec({})).reason(), "command_missing");
}

}  // namespace
}  // namespace minibox::init
