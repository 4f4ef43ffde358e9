// SPDX-License-Identifier: Apache-2.0
// The engine and its HTTP server: all that miniboxd is but its process, and what minibox --local
// runs in its own.
#pragma once

#include <memory>

#include "engine.h"
#include "router.h"
#include "server.h"

namespace miniboxd {

class Daemon {
 public:
  // `supervise`: restart policies and health are this process's business (one per data root).
  // Signals are the caller's: threads started here and later inherit what it blocks.
  static minibox::StatusOr<std::unique_ptr<Daemon>> Start(Config config, minibox::Store store,
                                                          bool supervise);

  const Config& config() const { return engine_->config; }
  minibox::Runtime& runtime() { return engine_->runtime; }
  int port() const { return server_->port(); }

  // Takes no more requests, ends long polls, then waits for the others, then cancels what can be.
  // False if some remain: the process must then end without destroying this. A foreground run ends
  // with its connection, but its container must go on, so it may neither be cancelled nor see its
  // client's connection closed before.
  bool Stop();

 private:
  explicit Daemon(std::unique_ptr<Engine> engine);
  void Answer(Exchange& exchange);

  std::unique_ptr<Engine> engine_;
  Router router_;
  std::unique_ptr<Server> server_;
};

// Lines on stderr, of `threshold` and above.
void LogToStderr(minibox::LogSeverity threshold);

}  // namespace miniboxd
