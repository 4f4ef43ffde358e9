// SPDX-License-Identifier: Apache-2.0
#include "runtime/runtime_fixture.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <sstream>

#include "core/root_dir.h"
#include "runtime/dir_watch.h"

extern char** environ;

namespace minibox::testing {

namespace fs = std::filesystem;

namespace {

constexpr const char* kCgroupParent = "mbxtest-runtime";

void SetLinkUp(const char* name) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  ASSERT_EQ(ioctl(fd, SIOCGIFFLAGS, &request), 0);
  request.ifr_flags |= IFF_UP;
  ASSERT_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
  close(fd);
}

}  // namespace

void RuntimeTest::SetUp() {
  MBX_REQUIRE_ROOT();
  root_ = fs::canonical(scratch_.path());
  options_.run_dir = root_ + "/run";
  options_.cgroup_parent = kCgroupParent;
  network_options_.state_dir = root_ + "/data/networks";
  network_options_.event_dir = root_ + "/data";
  ASSERT_NO_FATAL_FAILURE(Reopen());
  const auto image = AddBusyboxImage(*store_);
  ASSERT_TRUE(image.ok()) << image.status().ToString();
}

void RuntimeTest::TearDown() {
  if (!runtime_) return;
  const auto all = runtime_->List();
  ASSERT_TRUE(all.ok()) << all.status().ToString();
  for (const ContainerInfo& info : *all) {
    const Status removed = runtime_->Remove(info.id, /*force=*/true);
    EXPECT_TRUE(removed.ok() || removed.code() == StatusCode::kNotFound) << removed.ToString();
  }
  ExpectNothingLeft();
  runtime_.reset();
  store_.reset();
}

StatusOr<Runtime> RuntimeTest::OpenAnother() {
  auto network = Network::Open(network_options_);
  if (!network.ok()) return network.status();
  return Runtime::Open(*store_, *network, options_);
}

void RuntimeTest::Reopen() {
  runtime_.reset();
  store_.reset();
  auto store = Store::Open({.root = root_ + "/data"});
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  store_ = std::move(*store);
  auto runtime = OpenAnother();
  ASSERT_TRUE(runtime.ok()) << runtime.status().ToString();
  runtime_ = std::move(*runtime);
}

ContainerSpec RuntimeTest::Shell(std::string script) {
  ContainerSpec spec;
  spec.image = "busybox";
  spec.command = {"sh", "-c", std::move(script)};
  spec.network = "none";
  return spec;
}

RuntimeTest::Output RuntimeTest::RunShell(ContainerSpec spec, int code) {
  Output output{.id = *ContainerId::Parse("00000000")};
  RunOptions options;
  options.started = [&](const ContainerInfo& info) { output.id = info.id; };
  const auto exit = runtime_->RunForeground(
      spec,
      [&](const OutputChunk& chunk) {
        (chunk.stream == Stream::kStdout ? output.out : output.err) += chunk.bytes;
        return Status();
      },
      options);
  EXPECT_TRUE(exit.ok()) << exit.status().ToString();
  if (exit.ok()) output.exit = *exit;
  EXPECT_EQ(output.exit.code, code) << output.out << output.err;
  return output;
}

ContainerInfo RuntimeTest::Start(const ContainerSpec& spec) {
  auto info = runtime_->Run(spec);
  EXPECT_TRUE(info.ok()) << info.status().ToString();
  return info.ok() ? *info : ContainerInfo{.id = *ContainerId::Parse("00000000")};
}

std::string RuntimeTest::Log(const ContainerId& id, const LogOptions& options) {
  std::string text;
  const Status read = runtime_->ReadLogs(id, options, [&](const OutputChunk& chunk) {
    text += chunk.bytes;
    return Status();
  });
  EXPECT_TRUE(read.ok()) << read.ToString();
  return text;
}

void RuntimeTest::AwaitLog(const ContainerId& id, std::string_view text) {
  std::string seen;
  const Status found(StatusCode::kAborted, "found");
  const Status read =
      runtime_->ReadLogs(id, {.follow = true, .until_exit = true}, [&](const OutputChunk& chunk) {
        seen += chunk.bytes;
        return seen.find(text) != std::string::npos ? found : Status();
      });
  EXPECT_EQ(read.code(), StatusCode::kAborted) << "the log ended with: " << seen;
}

ContainerInfo RuntimeTest::Await(const ContainerId& id,
                                 const std::function<bool(const ContainerInfo&)>& wanted) {
  const auto dir = core::RootDir::Open(DataPath("containers/" + id.ToString()));
  auto watch =
      dir.ok() ? runtime::DirWatch::Create(dir->fd()) : StatusOr<runtime::DirWatch>(dir.status());
  EXPECT_TRUE(watch.ok()) << watch.status().ToString();
  while (true) {
    const auto info = runtime_->Inspect(id);
    EXPECT_TRUE(info.ok()) << info.status().ToString();
    if (!info.ok() || !watch.ok()) return ContainerInfo{.id = id};
    if (wanted(*info)) return *info;
    EXPECT_TRUE(watch->Wait({}).ok());
  }
}

json::Value RuntimeTest::Record(const ContainerId& id) const {
  auto value = json::Parse(ReadWholeFile(DataPath("containers/" + id.ToString() + "/state.json")));
  EXPECT_TRUE(value.ok()) << value.status().ToString();
  return value.ok() ? *value : json::Value();
}

void RuntimeTest::ExpectNothingLeft() {
  const auto entries = [](const std::string& path) {
    std::string found;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path, error)) {
      const std::string name = entry.path().filename();
      if (name[0] != '.') found += name + " ";
    }
    return found;
  };
  EXPECT_EQ(entries(DataPath("containers")), "");
  EXPECT_EQ(entries(root_ + "/run"), "ids ");
  EXPECT_EQ(entries(root_ + "/run/ids"), "");
  EXPECT_EQ(entries(DataPath("leases")), "");
}

std::string RuntimeTest::Cgroups() {
  std::string found;
  std::error_code error;
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup", error)) {
    const std::string parent = hierarchy.path().string() + "/" + kCgroupParent;
    for (const auto& group : fs::directory_iterator(parent + "/minibox", error)) {
      if (group.is_directory()) found += group.path().string() + " ";
    }
  }
  return found;
}

int RuntimeTest::Agent(int kill_nth, std::string command, std::string argument) {
  std::string arguments[] = {MBX_RUNTIME_AGENT,        root_,   kCgroupParent,
                             std::to_string(kill_nth), command, argument};
  char* argv[std::size(arguments) + 1] = {};
  for (size_t i = 0; i < std::size(arguments); ++i) argv[i] = arguments[i].data();
  pid_t pid = -1;
  EXPECT_EQ(posix_spawn(&pid, argv[0], nullptr, nullptr, argv, environ), 0);
  int status = -1;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

bool RuntimeTest::WasKilled(int status) {
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

std::string RuntimeTest::CgroupFile(const ContainerId& id, const std::string& name) {
  const auto info = runtime().Inspect(id);
  if (!info.ok()) return "";
  std::istringstream lines(ReadWholeFile("/proc/" + std::to_string(info->pid) + "/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    // v2 has one hierarchy, mounted at the top or beside those of v1.
    std::vector<std::string> mounts = {controllers};
    if (controllers.empty()) mounts = {"unified", "."};
    for (const std::string& mount : mounts) {
      const std::string file = "/sys/fs/cgroup/" + mount + path + "/" + name;
      if (access(file.c_str(), F_OK) != 0) continue;
      std::string text = ReadWholeFile(file);
      if (text.ends_with('\n')) text.pop_back();
      return text;
    }
  }
  return "";
}

void RuntimeNetworkTest::SetUp() {
  MBX_REQUIRE_ROOT();
  // Of this thread; what the library starts inherits it.
  host_netns_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(host_netns_, 0);
  ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  SetLinkUp("lo");
  RuntimeTest::SetUp();
}

void RuntimeNetworkTest::TearDown() {
  RuntimeTest::TearDown();
  if (host_netns_ < 0) return;
  EXPECT_EQ(setns(host_netns_, CLONE_NEWNET), 0);
  close(host_netns_);
}

}  // namespace minibox::testing
