// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/export.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {

// Takes a stream of bytes. An error ends the operation with that error.
using BytesSink = std::function<Status(std::string_view bytes)>;

// What a container's file system has that its image has not (spec §12.17).
struct FileChange {
  enum class Kind { kAdded, kChanged, kDeleted };
  std::string path{};  // absolute
  Kind kind = Kind::kAdded;
};

struct CommitOptions {
  std::string image{};              // name of the new image
  std::string message{}, author{};  // of its history
  bool pause = true;                // the container is paused meanwhile
  // Instructions of a MiniBox file that change the config: "ENV A=b", "CMD [\"x\"]", "WORKDIR /",
  // "USER u", "LABEL k=v", "EXPOSE 80", "VOLUME /v", "ENTRYPOINT […]", "STOPSIGNAL TERM".
  std::vector<std::string> changes{};
};

}  // namespace v1
}  // namespace minibox
