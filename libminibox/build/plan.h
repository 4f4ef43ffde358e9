// SPDX-License-Identifier: Apache-2.0
// What a build will do, as a value: everything expanded, every action with the state in force
// (spec §7.3, §7.4). Needs the configurations of the bases; pure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "build/ast.h"
#include "build/diagnostics.h"
#include "build/graph.h"
#include "build/run_mounts.h"
#include "build/scope.h"
#include "oci/image_config.h"

namespace minibox::build {

// The variables that an action sees; shared by the actions between two changes.
struct Variables {
  std::vector<std::string> env{};                  // "NAME=value": the base's and ENV, in order
  std::map<std::string, std::string> arguments{};  // visible ARGs
  std::map<std::string, std::string> proxies{};    // given, in no key
};

struct Package {
  std::string name{}, version{};
};

// One step: it leaves one snapshot.
struct Action {
  Directive kind = Directive::kRun;  // kRun, kPkg, kCopy, kWorkdir, kAutoDeps
  size_t offset = 0;                 // of the keyword
  std::string display{};             // for people
  // Keyword, sorted options and arguments after expansion: goes into the key.
  std::vector<std::string> canonical{};

  std::shared_ptr<const Variables> variables{};
  std::string workdir = "/";  // kWorkdir: the new one
  std::string user{};         // empty: root
  std::vector<std::string> shell{};

  std::vector<std::string> argv{};  // kRun
  std::string script{};             // kRun: a file to execute instead of argv
  std::string network{};            // "", "bridge" or "none": as RUN --network says
  std::vector<StepMount> mounts{};  // kRun
  std::vector<Package> packages{};  // kPkg
  bool prod = false;                // kAutoDeps

  int from = -1;                       // kCopy: block, -1: the context
  std::vector<std::string> sources{};  // relative to the root they come from; "" is the root
  std::string destination{};           // absolute, clean
  bool into_directory = false;         // the destination was written as a directory
  std::string chown{};                 // empty: 0:0
  std::optional<mode_t> chmod{};
};

// "bridge", "none" or "host": what RUN --network leaves of what the request permits.
std::string NetworkOf(const Action& action, const std::string& requested);

struct PlannedBlock {
  std::string start_workdir = "/";
  std::vector<Action> actions{};
};

struct Plan {
  std::vector<PlannedBlock> blocks{};  // one per block of the file
  // Of the image, without rootfs and history: the target's final state on its base.
  oci::ImageConfig config{};
  // The file has no blocks and changes nothing of its base.
  bool same_as_base = false;
};

// Configurations by index into Graph::bases; nullptr: not known (yet).
using BaseConfigs = std::vector<const oci::ImageConfig*>;

// Errors and warnings of expanded values. Without errors, and if all bases of wanted blocks
// are known and the arguments complete, the plan of those blocks is exact.
Plan MakePlan(const File& file, const Graph& graph, const Arguments& arguments,
              const BaseConfigs& bases, Diagnostics& diagnostics);

}  // namespace minibox::build
