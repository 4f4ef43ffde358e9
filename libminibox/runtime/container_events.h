// SPDX-License-Identifier: Apache-2.0
// What an event of a container says (spec §12.21), for whoever outlives the runtime that it
// belongs to. Runtime::Impl::Emit is the same for all others.
#pragma once

#include <optional>
#include <string_view>

#include "minibox/runtime.h"
#include "store/data_root.h"

namespace minibox::runtime {

// Name, image, project and labels are added to `more`; `time` is now unless it happened before.
void EmitContainerEvent(const store::DataRoot& root, std::string_view type,
                        const ContainerInfo& info, Labels more, std::optional<TimePoint> time = {});
// "exit_code" and, if a signal ended it, "signal".
Labels ExitAttributes(const ExitStatus& exit);

}  // namespace minibox::runtime
