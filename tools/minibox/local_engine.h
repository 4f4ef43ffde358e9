// SPDX-License-Identifier: Apache-2.0
// minibox --local (spec §15): the engine in this process, on the data root that a daemon may be
// working on at the same time. Commands speak to it as they do to a daemon, over a loopback port
// whose token nobody else knows.
#pragma once

#include <memory>
#include <string>

#include "minibox/status.h"

namespace minibox::cli {

class LocalEngine {
 public:
  struct Options {
    std::string data_root{};  // empty: as a daemon would have it
    bool debug = false;       // all that the engine logs, on stderr; else errors only
  };
  // With the daemon's environment (spec §2.1), but for what concerns its listener. Restart policies
  // and health stay with the daemon. kPermissionDenied if this process is not root's.
  static StatusOr<std::unique_ptr<LocalEngine>> Open(const Options& options);
  ~LocalEngine();

  const std::string& url() const;
  const std::string& token() const;

  // What is in progress ends as with a daemon that stops. The process ends here, with `status`, if
  // some of it cannot.
  void Close(int status);

 private:
  struct Impl;
  explicit LocalEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::cli
