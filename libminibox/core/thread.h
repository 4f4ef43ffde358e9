// SPDX-License-Identifier: Apache-2.0
// Threads of the library in somebody else's program: they take no signals, so that the
// host's handlers only ever run on the host's own threads.
#pragma once

#include <functional>
#include <thread>

namespace minibox::core {
// `name` is at most 15 bytes. The caller joins.
std::thread StartThread(const char* name, std::function<void()> body);
}  // namespace minibox::core
