// SPDX-License-Identifier: Apache-2.0
// What a Process can be: an exec (exec_session.h), a container's own process (attach_session.h).
#pragma once

#include "minibox/runtime.h"

namespace minibox {
inline namespace v1 {

// As Process, whose contract each method keeps.
struct Process::Impl {
  virtual ~Impl() = default;
  virtual StatusOr<ExitStatus> Wait(const OutputFn& sink, std::stop_token stop) = 0;
  virtual Status Write(std::string_view bytes, std::stop_token stop) = 0;
  virtual Status CloseStdin() = 0;
  virtual Status Resize(TerminalSize size) = 0;
  virtual Status Signal(int signal) = 0;
};

}  // namespace v1
}  // namespace minibox
