// SPDX-License-Identifier: Apache-2.0
#include "core/errors.h"
#include "runtime/process_impl.h"

namespace minibox {
inline namespace v1 {

Process::Process(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Process::Process(Process&&) noexcept = default;
Process& Process::operator=(Process&&) noexcept = default;
Process::~Process() = default;

StatusOr<ExitStatus> Process::Wait(const OutputFn& sink, std::stop_token stop) {
  return impl_->Wait(sink, std::move(stop));
}
Status Process::Write(std::string_view bytes, std::stop_token stop) {
  return impl_->Write(bytes, std::move(stop));
}
Status Process::CloseStdin() { return impl_->CloseStdin(); }
Status Process::Resize(TerminalSize size) {
  if (size.rows == 0 || size.cols == 0) {
    return core::InvalidArgument(size.rows == 0 ? "rows" : "cols", "must be 1 to 65535");
  }
  return impl_->Resize(size);
}
Status Process::Signal(int signal) { return impl_->Signal(signal); }

}  // namespace v1
}  // namespace minibox
