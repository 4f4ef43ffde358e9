// SPDX-License-Identifier: Apache-2.0
#include "launch_fixture.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>

#include <filesystem>

#include "kernel/capabilities.h"
#include "kernel/seccomp.h"

namespace minibox::init {
namespace {

namespace fs = std::filesystem;

constexpr char kBusybox[] = "/bin/busybox";
constexpr char kCgroupParent[] = "mbxtest-init";

MountOp KernelMount(MountOp::Kind kind, std::string target, uint64_t attributes,
                    std::string data = "") {
  MountOp mount;
  mount.kind = kind;
  mount.target = std::move(target);
  mount.attributes = attributes;
  mount.data = std::move(data);
  return mount;
}

void MakeLayer(const std::string& layer) {
  fs::create_directories(layer + "/bin");
  fs::create_directories(layer + "/etc");
  fs::create_directories(layer + "/tmp");
  fs::copy(kBusybox, layer + "/bin/busybox");
  for (const char* name :
       {"cat",  "dd",   "echo",  "env",   "find",   "grep",  "head", "hostname",
        "id",   "kill", "ls",    "mkdir", "mknod",  "mount", "ps",   "pwd",
        "rm",   "sh",   "seq",   "sleep", "stat",   "sync",  "tail", "touch",
        "sort", "true", "false", "tr",    "umount", "wc",    "yes",  "readlink"}) {
    fs::create_symlink("busybox", layer + "/bin/" + name);
  }
}

}  // namespace

void LaunchTest::SetUp() {
  MBX_REQUIRE_ROOT();
  ASSERT_TRUE(fs::exists(kBusybox)) << "scripts/setup installs busybox-static";
  MakeLayer(Path("layer"));
  scratch_.Write("layer/etc/passwd",
                 "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/web:/bin/sh\n");
  scratch_.Write("layer/etc/group", "root:x:0:\nwww:x:34:\nadm:x:4:web\n");
  for (const char* name : {"upper", "work", "container", "run"}) fs::create_directory(Path(name));
  chmod(Path("upper").c_str(), 0755);
  data_root_ = OpenDir("");
  container_dir_ = OpenDir("container");
  run_dir_ = OpenDir("run");
  fds_.data_root = data_root_.get();
  fds_.container_dir = container_dir_.get();
  fds_.run_dir = run_dir_.get();

  auto launcher = runtime::Launcher::Create();
  ASSERT_TRUE(launcher.ok()) << launcher.status().ToString();
  launcher_ = std::move(*launcher);
  auto driver = kernel::CgroupDriver::Detect(kCgroupParent);
  ASSERT_TRUE(driver.ok()) << driver.status().ToString();
  driver_ = std::move(*driver);
  auto cgroup = driver_->Create("launch", {});
  ASSERT_TRUE(cgroup.ok()) << cgroup.status().ToString();
  cgroup_ = std::move(*cgroup);
}

void LaunchTest::TearDown() {
  if (!cgroup_) return;
  const Status killed = cgroup_->KillAll();
  EXPECT_TRUE(killed.ok()) << killed.ToString();
  const Status removed = cgroup_->Remove();
  EXPECT_TRUE(removed.ok()) << removed.ToString();
}

core::Fd LaunchTest::OpenDir(std::string_view name) const {
  core::Fd fd(open(Path(name).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(fd.valid()) << name;
  return fd;
}

LaunchSpec LaunchTest::Spec(std::vector<std::string> argv) const {
  using Kind = MountOp::Kind;
  constexpr uint64_t kSafe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  LaunchSpec spec;
  spec.id = "launch";
  spec.hostname = "box";
  spec.lowers = {"layer"};
  spec.upper = "upper";
  spec.work = "work";
  spec.mounts = {
      KernelMount(Kind::kProc, "/proc", kSafe),
      KernelMount(Kind::kSysfs, "/sys", kSafe | MOUNT_ATTR_RDONLY),
      KernelMount(Kind::kCgroup, "/sys/fs/cgroup", kSafe | MOUNT_ATTR_RDONLY),
      KernelMount(Kind::kDev, "/dev",
                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_STRICTATIME),
      KernelMount(Kind::kDevpts, "/dev/pts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
      KernelMount(Kind::kTmpfs, "/dev/shm", kSafe, "mode=1777,size=1m"),
      KernelMount(Kind::kMqueue, "/dev/mqueue", kSafe),
  };
  spec.masked_paths = {"/proc/kcore", "/proc/keys",    "/proc/timer_list",
                       "/proc/acpi",  "/sys/firmware", "/proc/no-such-file"};
  spec.read_only_paths = {"/proc/sys", "/proc/bus", "/proc/irq", "/proc/sysrq-trigger"};
  spec.sysctls = {{"net/ipv4/ip_unprivileged_port_start", "0"}};
  spec.argv = std::move(argv);
  spec.env = {"PATH=/bin"};
  spec.capabilities = kernel::DefaultCapabilities();
  const auto seccomp = kernel::DefaultSeccompProgram(spec.capabilities);
  EXPECT_TRUE(seccomp.ok()) << seccomp.status().ToString();
  if (seccomp.ok()) spec.seccomp_program = *seccomp;
  return spec;
}

LaunchSpec LaunchTest::Script(std::string script) const {
  return Spec({"sh", "-c", std::move(script)});
}

StatusOr<runtime::Launched> LaunchTest::Launch(const LaunchSpec& spec, bool capture,
                                               const runtime::LaunchHooks& hooks) {
  return launcher_->Launch(spec, fds_, *cgroup_, capture, hooks);
}

Outcome LaunchTest::Run(const LaunchSpec& spec) {
  Outcome outcome;
  auto launched = Launch(spec, true);
  EXPECT_TRUE(launched.ok()) << launched.status().ToString();
  if (!launched.ok()) return outcome;
  const Status read = runtime::ReadOutput(launched->output.get(), [&](const OutputChunk& chunk) {
    (chunk.stream == Stream::kStdout ? outcome.out : outcome.err).append(chunk.bytes);
    return Status();
  });
  EXPECT_TRUE(read.ok()) << read.ToString();
  const auto exit = launched->connection.WaitExit();
  EXPECT_TRUE(exit.ok()) << exit.status().ToString();
  if (exit.ok()) outcome.exit = *exit;
  return outcome;
}

std::string LaunchTest::OutputOf(const LaunchSpec& spec) {
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.exit.code, 0) << outcome.err;
  return outcome.out;
}

Status LaunchTest::FailureOf(const LaunchSpec& spec, const runtime::LaunchHooks& hooks) {
  const auto launched = Launch(spec, false, hooks);
  EXPECT_FALSE(launched.ok());
  // At once, not some time later.
  EXPECT_FALSE(fs::exists(Path("run/monitor.sock")));
  const auto pids = cgroup_->Pids();
  EXPECT_TRUE(pids.ok() && pids->empty());
  return launched.status();
}

std::string StatusField(const std::string& status, std::string_view name) {
  const std::string label = std::string(name) + ":\t";
  const size_t begin = status.find(label);
  if (begin == std::string::npos) return "none";
  const size_t start = begin + label.size();
  return status.substr(start, status.find('\n', start) - start);
}

}  // namespace minibox::init
