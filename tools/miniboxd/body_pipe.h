// SPDX-License-Identifier: Apache-2.0
// Bodies and answers as descriptors, for the library's functions that read or write archives.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <stop_token>
#include <string_view>
#include <utility>

#include "engine.h"
#include "exchange.h"

namespace miniboxd {

struct Pipe {
  int read_end = -1, write_end = -1;
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  bool Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end = ends[0];
    write_end = ends[1];
    return true;
  }
  void CloseRead() {
    if (read_end >= 0) close(std::exchange(read_end, -1));
  }
  void CloseWrite() {
    if (write_end >= 0) close(std::exchange(write_end, -1));
  }
};

minibox::Status NoPipe();
// kCancelled once nobody reads any more.
minibox::Status WriteToPipe(int pipe, std::string_view bytes);

// Gives the body to `reader` as a descriptor, in a thread. A body that broke off is not taken for a
// whole archive: then `stop` is requested.
minibox::Status ReadBodyFrom(
    Engine& engine, Exchange& exchange,
    const std::function<minibox::Status(int fd, std::stop_token stop)>& reader);

}  // namespace miniboxd
