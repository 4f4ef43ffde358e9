// SPDX-License-Identifier: Apache-2.0
// ContainerSpec + image config -> the configuration that every start of the container uses
// (spec §12.6). Pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "minibox/runtime.h"
#include "minibox/status.h"
#include "oci/image_config.h"
#include "runtime/container_record.h"

namespace minibox::runtime {

// `spec` has passed ValidateSpec. Every field is filled in, but anonymous volumes still have an
// empty source and the image's names are the caller's. kInvalidArgument "command_missing".
StatusOr<ContainerConfig> ResolveSpec(const ContainerSpec& spec, const oci::ImageConfig& image,
                                      const ContainerId& id);

// What is going to be run to probe health (spec §12.18): {"CMD", argument…} and every time;
// nullopt without check.
std::optional<HealthCheck> ResolveHealthcheck(const ContainerSpec& request,
                                              const oci::ImageConfig& image);
// Adds a free host port for every exposed port that has none (`publish_all`).
void PublishExposedPorts(const oci::ImageConfig& image, ContainerSpec& spec,
                         std::vector<std::string>& warnings);

// The first record of a container with that configuration: status `created`, now.
ContainerRecord NewRecord(const ContainerId& id, const ContainerConfig& config);

// Entrypoint and command in one: what is executed.
std::vector<std::string> Argv(const ContainerSpec& resolved);

// `over` over `base`: the last of equal keys wins at the place of the first, "KEY" removes.
std::vector<std::string> MergeEnvironment(const std::vector<std::string>& base,
                                          const std::vector<std::string>& over);

}  // namespace minibox::runtime
