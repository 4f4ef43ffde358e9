// SPDX-License-Identifier: Apache-2.0
// The library's side of what it and minibox-init say to each other.
#pragma once

#include <string_view>
#include <vector>

#include "core/fd.h"
#include "core/process.h"
#include "init/channel.h"
#include "minibox/status.h"

namespace minibox::runtime {

struct SocketPair {
  core::Fd ours, theirs;
};
StatusOr<SocketPair> MakeSocketPair();

// A launch message of type kLaunch or kExec, in as many packets as it takes. Also OK if the other
// end has ended: whoever waits for its answer finds out why.
Status SendLaunch(int control, init::Message type, std::string_view bytes,
                  const std::vector<int>& fds);

// What a kFailed packet says.
Status FailureIn(const init::Packet& packet);

// A minibox-init that ended before it said why.
Status UnexpectedEnd(const StatusOr<core::WaitResult>& result);

// Text that ends with NUL or with its field.
std::string_view TextOf(const char* text, size_t capacity);

}  // namespace minibox::runtime
