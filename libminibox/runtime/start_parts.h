// SPDX-License-Identifier: Apache-2.0
// Steps of a start (start.cc) for others who put a container's root together.
#pragma once

#include <string>

#include "core/root_dir.h"
#include "minibox/runtime.h"
#include "runtime/bind_sources.h"

namespace minibox::runtime {

// The merged root takes mode and owner from the upper directory: they are to be the image's. Both
// paths are relative to the data root.
Status CopyRootAttributes(const core::RootDir& data_root, const std::string& lower,
                          const std::string& upper);
// Why the container has to have the host's ids; empty: it need not.
std::string HostIdsReason(const ContainerSpec& spec, const OpenedBinds& binds);

}  // namespace minibox::runtime
