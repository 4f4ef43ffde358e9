// SPDX-License-Identifier: Apache-2.0
// The HTTP server: connections, heads, bodies. civetweb is behind it and nowhere else; what it
// is used for, and what not, is in docs/adr/0003-http-server.md.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "config.h"
#include "exchange.h"
#include "minibox/status.h"

namespace miniboxd {

// What the HTTP library of this build can do.
ServerFeatures AvailableFeatures();

class Server {
 public:
  struct Options {
    std::string host;  // IPv4
    int port = 0;      // 0: a free one
    int max_connections = 512;
  };
  // Answers every request whose head is sound, on the connection's own thread. One that returns
  // without an answer has its connection closed.
  using Handler = std::function<void(Exchange&)>;

  static minibox::StatusOr<std::unique_ptr<Server>> Start(const Options& options, Handler handler);
  // Closes all connections and joins all threads; requests still in progress are waited for.
  ~Server();

  int port() const;  // the one really bound
  // Closes the listener; connections stay, without further requests on them.
  void StopAccepting();
  // Waits until no request is in progress; false if that takes longer.
  bool WaitUntilIdle(std::chrono::milliseconds limit);

 private:
  Server();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace miniboxd
