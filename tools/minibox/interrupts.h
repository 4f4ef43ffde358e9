// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM as calls instead of the end of the program.
#pragma once

#include <functional>
#include <mutex>
#include <thread>

namespace minibox::cli {

// While it lives, SIGINT, SIGTERM and SIGHUP only call what was set last, with how many have come
// since the beginning. Made before other threads, one at a time.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Called from a thread of its own.
  void Set(std::function<void(int count)> handler);
  int count() const;
  // What a shell says of a program that the last of them ended.
  int ExitCode() const;

 private:
  void Run();

  mutable std::mutex mutex_;
  std::function<void(int)> handler_;
  int count_ = 0, last_ = 0;
  std::thread thread_;
};

}  // namespace minibox::cli
