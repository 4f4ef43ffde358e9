// SPDX-License-Identifier: Apache-2.0
// Runs one RUN or PKG in the sandbox of spec §8.5: what a container gets, without a container.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "build/layer_stack.h"
#include "core/root_dir.h"
#include "kernel/cgroup.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "network/network_impl.h"
#include "runtime/host_facts.h"
#include "runtime/id_ranges.h"
#include "runtime/launcher.h"
#include "store/data_root.h"

namespace minibox::build {

// What steps use of Network::Impl, which only friends can name; see there.
struct StepNetwork {
  std::function<StatusOr<network::Reservation>(const network::EndpointRequest&)> reserve{};
  std::function<Status(const network::Endpoint&, std::string_view, int, int)> attach{};
  std::function<Status(std::string_view)> release{};
  std::function<Status(int)> set_up_loopback{};
  std::function<StatusOr<std::string>()> resolv_conf{};
};

// What steps use of an open runtime. All of it is thread-safe and outlives the builder.
struct StepEnvironment {
  store::DataRoot& data_root;
  runtime::Launcher& launcher;
  kernel::CgroupDriver& cgroups;
  StepNetwork network{};
  const runtime::IdRanges& id_ranges;
  const core::RootDir& run_dir;
  const runtime::HostFacts& host;
};

// One of RUN's mounts. Sorted by target, so that parents come first.
struct StepMountPoint {
  enum class Kind {
    kTree,   // directory or file `source`, borrowed
    kTmpfs,  // empty, discarded, the step's memory
    kFile,   // `content` in memory, on no disk
  };
  Kind kind = Kind::kTree;
  std::string target{};
  int source = -1;
  bool writable = false;
  uint64_t bytes = 0;  // kTmpfs: 0: no limit but the step's
  std::string content{};
  mode_t mode = 0400;  // kFile
  uid_t uid = 0;
  gid_t gid = 0;
};

struct StepRequest {
  const LayerStack* stack = nullptr;  // what lies under the step
  const SharedDirs* shared = nullptr;
  const StepDir* dir = nullptr;
  std::vector<std::string> argv{};
  std::string script{};            // executed instead of argv[0], as a file in no layer
  std::vector<std::string> env{};  // complete but for HOME and USER
  std::string workdir = "/", user{};
  std::string network = "bridge";  // "bridge", "none", "host"
  Resources resources{};
  std::vector<StepMountPoint> mounts{};
};

struct StepResult {
  ExitStatus exit{};
  uint64_t cpu_usec = 0;
};

// Returns when the step's main process has ended and nothing of it is left: no process, mount,
// cgroup, link, address. `output` gets both streams in the order in which they were written.
// kCancelled within a second of a stop request.
StatusOr<StepResult> RunStep(const StepEnvironment& environment, const StepRequest& request,
                             const std::function<void(std::string_view)>& output,
                             std::stop_token stop);

// "exit status 1", "signal: KILL", "out of memory"; "" of success.
std::string DescribeExit(const ExitStatus& exit);

}  // namespace minibox::build
