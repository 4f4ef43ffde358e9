// SPDX-License-Identifier: Apache-2.0
// A Process that is an exec.
#pragma once

#include <functional>
#include <memory>

#include "runtime/exec_process.h"
#include "runtime/process_impl.h"
#include "runtime/stdin_writer.h"

namespace minibox::runtime {

class ExecSession final : public Process::Impl {
 public:
  // Called once with how it ended: 137 if that is what became of it without anybody's waiting.
  using EndFn = std::function<void(const ExitStatus&)>;
  // `ended` may be empty. It outlives the runtime that the process was started by.
  static StatusOr<std::unique_ptr<ExecSession>> Create(std::unique_ptr<ExecProcess> process,
                                                       bool terminal, EndFn ended = {});
  ~ExecSession() override;

  StatusOr<ExitStatus> Wait(const OutputFn& sink, std::stop_token stop) override;
  Status Write(std::string_view bytes, std::stop_token stop) override;
  Status CloseStdin() override;
  Status Resize(TerminalSize size) override;
  Status Signal(int signal) override;

 private:
  ExecSession(std::unique_ptr<ExecProcess> process, std::unique_ptr<StdinWriter> input,
              core::Fd terminal, EndFn ended)
      : process_(std::move(process)),
        input_(std::move(input)),
        terminal_(std::move(terminal)),
        ended_(std::move(ended)) {}
  void TellEnd(const ExitStatus& exit);

  std::unique_ptr<ExecProcess> process_;
  std::unique_ptr<StdinWriter> input_;
  core::Fd terminal_;  // a copy of the master for changes of its size; or none
  EndFn ended_;        // empty once it has been called
};

}  // namespace minibox::runtime
