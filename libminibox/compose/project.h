// SPDX-License-Identifier: Apache-2.0
// A compose file, read: what spec §14.1 makes of it, and nothing of what runs.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compose/interpolate.h"
#include "compose/yaml.h"
#include "minibox/compose.h"
#include "minibox/runtime.h"

namespace minibox::compose {

enum class Condition { kStarted, kHealthy, kCompleted };

struct Dependency {
  std::string service{};
  Condition condition = Condition::kStarted;
  bool required = true;
};

struct BuildSource {
  std::filesystem::path context{}, file{};  // absolute
  std::map<std::string, std::string> args{};
  std::string target{};
  Labels labels{};
  std::map<std::string, std::filesystem::path> secrets{};
};

enum class PullPolicy { kMissing, kAlways, kNever, kBuild };

struct Service {
  std::string name{};
  // Complete but for what depends on what runs: `network` of network_service, the mounts of
  // anonymous volumes that a predecessor hands on, the label of the configuration.
  ContainerSpec spec{};
  std::optional<BuildSource> build{};
  std::vector<Dependency> depends_on{};
  std::vector<std::string> profiles{};
  PullPolicy pull_policy = PullPolicy::kMissing;
  Platform platform{};
  std::string network_service{};  // whose network namespace it shares
  std::vector<std::string> network_keys{}, volume_keys{};
  std::vector<std::filesystem::path> files{};  // whose content is configuration
  std::string canonical{};                     // its part of the file, for the hash
};

struct NetworkDefinition {
  std::string key{}, name{}, subnet{};
  bool external = false, internal = false;
};
struct VolumeDefinition {
  std::string key{}, name{};
  bool external = false;
};

struct Project {
  std::string name{};
  std::filesystem::path file{};     // absolute; empty: no file
  std::vector<Service> services{};  // in file order, those of inactive profiles too
  std::vector<NetworkDefinition> networks{};
  std::vector<VolumeDefinition> volumes{};
  std::vector<std::string> warnings{};
  Node resolved{};  // the file with variables replaced

  const Service* Find(std::string_view service) const;
  const NetworkDefinition* FindNetwork(std::string_view key) const;
  const VolumeDefinition* FindVolume(std::string_view key) const;
};

StatusOr<Project> LoadProject(const ComposeOptions& options);

// `text` as a project's name: lower case, without other characters than a-z0-9_-.
std::string ProjectName(std::string_view text);

// Checks that dependencies exist and have no cycle.
Status CheckOrder(const Project& project);

// `names` (empty: all whose profile is active) and, with `dependencies`, what they need, in an
// order in which each comes after what it depends on; ties in file order. kNotFound
// "service_not_found".
StatusOr<std::vector<const Service*>> SelectServices(const Project& project,
                                                     const std::vector<std::string>& names,
                                                     const std::vector<std::string>& profiles,
                                                     bool dependencies);

}  // namespace minibox::compose
