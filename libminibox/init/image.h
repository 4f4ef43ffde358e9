// SPDX-License-Identifier: Apache-2.0
// The program minibox-init as a file to be executed.
#pragma once

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::init {

// A memfd that nobody can change, a container that finds it in /proc/1/exe included
// (CVE-2019-5736).
StatusOr<core::Fd> MakeInitImage();

}  // namespace minibox::init
