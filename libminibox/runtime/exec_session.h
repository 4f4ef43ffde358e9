// SPDX-License-Identifier: Apache-2.0
// A Process that is an exec.
#pragma once

#include <memory>

#include "runtime/exec_process.h"
#include "runtime/process_impl.h"
#include "runtime/stdin_writer.h"

namespace minibox::runtime {

class ExecSession final : public Process::Impl {
 public:
  static StatusOr<std::unique_ptr<ExecSession>> Create(std::unique_ptr<ExecProcess> process,
                                                       bool terminal);
  ~ExecSession() override;

  StatusOr<ExitStatus> Wait(const OutputFn& sink, std::stop_token stop) override;
  Status Write(std::string_view bytes, std::stop_token stop) override;
  Status CloseStdin() override;
  Status Resize(TerminalSize size) override;
  Status Signal(int signal) override;

 private:
  ExecSession(std::unique_ptr<ExecProcess> process, std::unique_ptr<StdinWriter> input,
              core::Fd terminal)
      : process_(std::move(process)), input_(std::move(input)), terminal_(std::move(terminal)) {}

  const std::unique_ptr<ExecProcess> process_;
  const std::unique_ptr<StdinWriter> input_;
  const core::Fd terminal_;  // a copy of the master for changes of its size; or none
};

}  // namespace minibox::runtime
