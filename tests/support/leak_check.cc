// SPDX-License-Identifier: Apache-2.0
#include "support/leak_check.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace minibox::testing {
namespace {

namespace fs = std::filesystem;

std::string ReadSmall(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::set<std::string> Descriptors() {
  std::set<std::string> found;
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return found;
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] == '.' || std::stoi(entry->d_name) == dirfd(dir)) continue;
    std::error_code error;
    const auto target = fs::read_symlink(std::string("/proc/self/fd/") + entry->d_name, error);
    found.insert(std::string(entry->d_name) + " -> " + target.string());
  }
  closedir(dir);
  return found;
}

// Children of this process, and every minibox-init whatever its parent: a monitor outlives us.
std::set<std::string> Processes() {
  std::set<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = ReadSmall("/proc/" + pid + "/stat");
    const size_t open = stat.find('('), close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos) continue;
    const std::string name = stat.substr(open + 1, close - open - 1);
    std::istringstream rest(stat.substr(close + 1));
    std::string state;
    long parent = 0;
    rest >> state >> parent;
    const bool ours = name.starts_with("minibox-init") || name.starts_with("minibox-dns");
    // One that is dead and not our child waits for PID 1 only, which fetches it when it likes.
    if (parent == getpid() || (ours && state != "Z")) {
      found.insert(pid + " " + name + " " + state);
    }
  }
  return found;
}

std::set<std::string> Mounts() {
  std::set<std::string> found;
  std::istringstream lines(ReadSmall("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) found.insert(line);
  return found;
}

std::set<std::string> Links() {
  std::set<std::string> found;
  struct if_nameindex* all = if_nameindex();
  if (all == nullptr) return found;
  for (auto* link = all; link->if_index != 0 || link->if_name != nullptr; ++link) {
    found.insert(link->if_name);
  }
  if_freenameindex(all);
  return found;
}

std::set<std::string> NftTables() {
  std::set<std::string> found;
  if (access("/usr/sbin/nft", X_OK) != 0 || geteuid() != 0) return found;
  FILE* pipe = popen("/usr/sbin/nft list tables 2>/dev/null", "re");
  if (pipe == nullptr) return found;
  char line[256];
  while (fgets(line, sizeof line, pipe) != nullptr) found.insert(line);
  pclose(pipe);
  return found;
}

// Only what can be ours: groups named minibox, and those below.
std::set<std::string> Cgroups() {
  std::set<std::string> found;
  std::error_code error;
  auto walk = fs::recursive_directory_iterator(
      "/sys/fs/cgroup", fs::directory_options::skip_permission_denied, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    if (!walk->is_directory(error)) continue;
    if (walk->path().string().find("minibox") != std::string::npos) found.insert(walk->path());
  }
  return found;
}

void Compare(std::string_view what, const std::set<std::string>& before,
             const std::set<std::string>& after, std::string& out) {
  for (const auto& item : after) {
    if (!before.contains(item))
      out.append("left behind: ").append(what).append(" ").append(item) += "\n";
  }
  for (const auto& item : before) {
    if (!after.contains(item)) out.append("gone: ").append(what).append(" ").append(item) += "\n";
  }
}

std::string Difference(const MachineState& before, const MachineState& after) {
  std::string out;
  Compare("descriptor", before.descriptors, after.descriptors, out);
  Compare("mount", before.mounts, after.mounts, out);
  Compare("nftables", before.nft_tables, after.nft_tables, out);
  // These may be going away already when a test begins: only what is new counts.
  const auto added = [&](std::string_view what, const auto& was, const auto& is) {
    std::set<std::string> still;
    for (const auto& item : was) {
      if (is.contains(item)) still.insert(item);
    }
    Compare(what, still, is, out);
  };
  added("process", before.processes, after.processes);
  added("link", before.links, after.links);
  added("cgroup", before.cgroups, after.cgroups);
  return out;
}

class LeakListener : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override { before_ = MachineState::Take(); }
  void OnTestEnd(const ::testing::TestInfo& info) override {
    const std::string difference = MachineState::DifferenceFrom(before_);
    if (!difference.empty()) {
      ADD_FAILURE() << info.test_suite_name() << "." << info.name() << "\n" << difference;
    }
  }
  MachineState before_;
};

}  // namespace

MachineState MachineState::Take() {
  return {Descriptors(), Processes(), Mounts(), Links(), NftTables(), Cgroups()};
}

std::string MachineState::DifferenceFrom(const MachineState& before) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (true) {
    std::string difference = Difference(before, Take());
    if (difference.empty() || std::chrono::steady_clock::now() > deadline) return difference;
    // The kernel frees namespaces and reaps orphans in its own time and tells nobody.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void InstallLeakCheck() {
  ::testing::UnitTest::GetInstance()->listeners().Append(new LeakListener);
}

}  // namespace minibox::testing
