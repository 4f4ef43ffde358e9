// SPDX-License-Identifier: Apache-2.0
#include "kernel/fake_cgroups.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <mutex>

#include "core/errors.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/syscalls.h"

namespace minibox::kernel {
namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

// A new group's files by controller; "" are those of every group.
const std::map<std::string, Files>& V1Files() {
  static const auto& files = *new std::map<std::string, Files>{
      {"", {{"cgroup.procs", ""}, {"tasks", ""}}},
      {"cpu", {{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", "-1"}}},
      {"cpuacct", {{"cpuacct.usage", "5000000"}}},
      {"cpuset", {{"cpuset.cpus", ""}, {"cpuset.mems", ""}}},
      {"memory",
       {{"memory.limit_in_bytes", "9223372036854771712"},
        {"memory.memsw.limit_in_bytes", "9223372036854771712"},
        {"memory.usage_in_bytes", "4096"},
        {"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3"}}},
      {"freezer", {{"freezer.state", "THAWED"}}},
      {"blkio", {{"blkio.weight", "500"}, {"blkio.bfq.weight", "100"}}},
      {"pids", {{"pids.max", "max"}, {"pids.current", "2"}}},
  };
  return files;
}

const std::map<std::string, Files>& V2Files() {
  static const auto& files = *new std::map<std::string, Files>{
      {"",
       {{"cgroup.procs", ""},
        {"cgroup.kill", ""},
        {"cgroup.freeze", "0"},
        {"cgroup.events", "populated 0\nfrozen 0"},
        {"cgroup.subtree_control", ""},
        {"cpu.stat", "usage_usec 5000\nuser_usec 1"}}},
      {"cpu", {{"cpu.max", "max 100000"}}},
      {"cpuset", {{"cpuset.cpus", ""}}},
      {"memory",
       {{"memory.max", "max"},
        {"memory.swap.max", "max"},
        {"memory.current", "4096"},
        {"memory.events", "low 0\noom 1\noom_kill 3"}}},
      {"io", {{"io.weight", "default 100"}, {"io.bfq.weight", "default 100"}}},
      {"pids", {{"pids.max", "max"}, {"pids.current", "2"}}},
  };
  return files;
}

void WriteNew(int dir, const std::string& name, std::string_view content) {
  const core::Fd fd(openat(dir, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
  EXPECT_TRUE(fd.valid()) << name;
  EXPECT_TRUE(core::WriteAll(fd.get(), core::StrCat(content, '\n')).ok());
}

// Where the controllers of a directory's hierarchy are noted; hidden, so it is no group.
constexpr char kNote[] = ".controllers";
constexpr char kHidden[] = ".in-between";

class FakeFs final : public CgroupFs {
 public:
  explicit FakeFs(std::vector<std::string> without) : without_(std::move(without)) {}

  // As the kernel's, a directory appears with its files and goes with them: it is filled and
  // emptied under a hidden name.
  Status MakeDir(int parent, const std::string& name) override {
    const std::lock_guard lock(mutex_);
    const auto note = ReadControl(parent, kNote);
    if (!note.ok()) return core::SysError("mkdir", name, ENOENT);
    MBX_RETURN_IF_ERROR(CgroupFs::MakeDir(parent, kHidden));
    const core::Fd dir(openat(parent, kHidden, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    Fill(dir.get(), *note, false);
    if (core::sys::Renameat2(parent, kHidden, parent, name.c_str(), RENAME_NOREPLACE) == 0) {
      return Status();
    }
    const Status failed = core::SysError("mkdir", name);
    EXPECT_TRUE(Empty(parent, dir.get()).ok());
    return failed;
  }

  Status RemoveDir(int parent, const std::string& name) override {
    const std::lock_guard lock(mutex_);
    const core::Fd dir(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir.valid()) return core::SysError("rmdir", name);
    const auto pids = ReadPids(dir.get());
    const auto below = SubGroups(dir.get());
    if ((pids.ok() && !pids->empty()) || (below.ok() && !below->empty())) {
      return core::SysError("rmdir", name, EBUSY);
    }
    if (renameat(parent, name.c_str(), parent, kHidden) != 0) return core::SysError("rmdir", name);
    return Empty(parent, dir.get());
  }

  void Fill(int dir, const std::string& note, bool root) const {
    WriteNew(dir, kNote, note);
    const bool v2 = note.starts_with("v2:");
    const auto& all = v2 ? V2Files() : V1Files();
    const std::string names = note.substr(3);
    if (v2) WriteNew(dir, "cgroup.controllers", names);
    for (const auto& [controller, files] : all) {
      const auto list = core::StrSplit(names, ' ');
      if (!controller.empty() && std::find(list.begin(), list.end(), controller) == list.end()) {
        continue;
      }
      for (const auto& [file, content] : files) {
        if (std::find(without_.begin(), without_.end(), file) != without_.end()) continue;
        const bool filled_cpuset = root && file.starts_with("cpuset.");
        WriteNew(dir, file, filled_cpuset ? (file == "cpuset.cpus" ? "0-3" : "0") : content);
      }
    }
  }

 private:
  Status Empty(int parent, int dir) {
    for (const auto& entry :
         std::filesystem::directory_iterator(core::StrCat("/proc/self/fd/", dir))) {
      (void)unlinkat(dir, entry.path().filename().c_str(), 0);
    }
    return CgroupFs::RemoveDir(parent, kHidden);
  }

  std::mutex mutex_;
  const std::vector<std::string> without_;
};

}  // namespace

FakeCgroups::FakeCgroups(std::vector<std::string> v1, const std::vector<std::string>* v2,
                         std::vector<std::string> without) {
  auto fs = std::make_shared<FakeFs>(std::move(without));
  const auto add = [&](const std::string& path, CgroupHierarchy hierarchy) {
    std::filesystem::create_directories(path);
    const core::Fd dir(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    fs->Fill(dir.get(), (hierarchy.v2 ? "v2:" : "v1:") + core::StrJoin(hierarchy.controllers, " "),
             true);
    hierarchies_.push_back(std::move(hierarchy));
  };
  for (const std::string& names : v1) {
    CgroupHierarchy hierarchy{scratch_ / names, false, {}};
    for (const auto name : core::StrSplit(names, ',')) hierarchy.controllers.emplace_back(name);
    add(scratch_ / names, hierarchy);
  }
  if (v2 != nullptr) {
    const std::string path = v1.empty() ? scratch_.path() : scratch_ / "unified";
    add(path, {path, true, *v2});
  }
  fs_ = std::move(fs);
}

std::unique_ptr<CgroupDriver> FakeCgroups::Driver(std::string_view parent) const {
  auto driver = MakeCgroupDriver(hierarchies_, parent, fs_);
  EXPECT_TRUE(driver.ok()) << driver.status().ToString();
  return std::move(*driver);
}

}  // namespace minibox::kernel
