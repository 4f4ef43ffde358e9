// SPDX-License-Identifier: Apache-2.0
// The mounts of a container in the order in which they are made (spec §12.4), and where their
// sources come from. Pure functions.
//
//   kernel file systems of the table, user's mounts, generated /etc files
//     - a user's mount on the target of a default takes its place
//     - parents come before children
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "init/launch_spec.h"
#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::runtime {

// What the descriptor of a bind has to be.
struct BindSource {
  enum class Kind {
    kHostPath,   // `name` is absolute
    kVolume,     // `name` is the volume's
    kGenerated,  // a file `name` in containers/<id>/
  };
  Kind kind = Kind::kHostPath;
  std::string name{};
  std::string owner{};   // kGenerated: <id>, if it is another container's
  bool create = false;   // kHostPath: a missing directory is made
  bool checked = false;  // kHostPath: given by a user, so the rules of spec §3 hold
  std::string field{};   // how errors name it
};

struct MountPlan {
  std::vector<init::MountOp> ops{};
  std::vector<BindSource> sources{};  // MountOp::fd_index counts these
};

// Generated files, by their names in containers/<id>/.
inline constexpr std::string_view kHostsFile = "hosts";
inline constexpr std::string_view kResolvConfFile = "resolv.conf";
inline constexpr std::string_view kHostnameFile = "hostname";

// `spec` is resolved. Binds are id-mapped where that makes sense; see SetHostIds. `devices` are
// nodes of the host that the container has under the same path.
StatusOr<MountPlan> PlanMounts(const ContainerSpec& spec, const std::vector<std::string>& devices);

}  // namespace minibox::runtime
