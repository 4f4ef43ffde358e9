// SPDX-License-Identifier: Apache-2.0
// containers/<id>/config.json and state.json as values and as bytes (spec §5.1, §5.5, §6).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "runtime/id_ranges.h"
#include "runtime/launcher.h"

namespace minibox::runtime {

// The resolved run request: running it again needs nothing of the image's config.
struct ContainerConfig {
  ContainerSpec spec;
  std::string reference{}, image_digest{};
  std::vector<std::string> anonymous_volumes{};  // removed with the container
  std::vector<std::string> warnings{};           // about the request
};

struct ContainerRecord {
  explicit ContainerRecord(ContainerId id) : info{.id = std::move(id)} {}
  ContainerInfo info;
  // Of the present run, or of one that is being started; valid under `boot_id` only.
  MonitorIdentity monitor{};
  std::string boot_id{};
  IdRange ids{};
  // A start has been released and not yet reported; nobody but the starter may see it.
  bool starting = false;
  // Made by a run that has not been acknowledged: it goes away if the start does not succeed.
  bool provisional = false;
  // A user has stopped it, so that the restart policy rests until the next start.
  bool stopped = false;
  // Starts by the policy since the last run that lasted.
  int restart_row = 0;
};

// Compact. Keys are those of the run request; readers ignore unknown ones.
std::string SerializeConfig(const ContainerConfig& config);
StatusOr<ContainerConfig> ParseConfig(std::string_view json);

std::string SerializeRecord(const ContainerRecord& record);
StatusOr<ContainerRecord> ParseRecord(std::string_view json);
// exit.json, as the monitor writes it.
StatusOr<ExitStatus> ParseExit(std::string_view json);

// Only what spec §5.1 lists, into an open object position of `out`.
void WriteContainerInfo(const ContainerInfo& info, json::Writer& out);

std::string_view StateName(ContainerState state);
StatusOr<ContainerState> ParseState(std::string_view name);

}  // namespace minibox::runtime
