// SPDX-License-Identifier: Apache-2.0
#include "body_pipe.h"

#include <cerrno>
#include <thread>

namespace miniboxd {

using minibox::Status;
using minibox::StatusCode;

Status NoPipe() {
  return Status(StatusCode::kInternal, "pipe2: no more descriptors", {.reason = "internal"});
}

Status WriteToPipe(int pipe, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(pipe, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Status(StatusCode::kCancelled, "the archive's reader has ended");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return Status();
}

Status ReadBodyFrom(Engine& engine, Exchange& exchange,
                    const std::function<Status(int fd, std::stop_token stop)>& reader) {
  Pipe pipe;
  if (!pipe.Open()) return NoPipe();
  Status result;
  std::stop_source stop;
  const std::stop_callback closing(engine.operations.get_token(), [&] { stop.request_stop(); });
  std::thread worker([&] {
    result = reader(pipe.read_end, stop.get_token());
    pipe.CloseRead();  // what is still being written fails instead of waiting for ever
  });
  bool reader_ended = false;
  const Status received = exchange.ReadBody([&](std::string_view bytes) {
    const Status written = WriteToPipe(pipe.write_end, bytes);
    reader_ended = !written.ok();
    return written;
  });
  const bool broken = !received.ok() && !reader_ended;
  if (broken) stop.request_stop();
  pipe.CloseWrite();
  worker.join();
  if (broken) return received;
  if (!result.ok()) return result;
  // The archive was complete before its padding was: take that too, so that the answer arrives.
  return exchange.ReadBody([](std::string_view) { return Status(); });
}

}  // namespace miniboxd
