// SPDX-License-Identifier: Apache-2.0
// File systems whose files are no data but a conversation with the kernel: proc, sysfs, cgroups
// and the like. Nothing is copied from or to them.
#pragma once

namespace minibox::archive {

// Of an open descriptor, O_PATH included. True if it cannot be asked.
bool IsPseudoFileSystem(int fd);

}  // namespace minibox::archive
