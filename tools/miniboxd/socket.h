// SPDX-License-Identifier: Apache-2.0
// A connected, non-blocking socket that somebody else owns, as far as answers need it.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "minibox/status.h"

namespace miniboxd {

enum class PeerEnd {
  kMayHaveSent,  // the client may have shut down its side and still wait for the answer
  kIsGone,       // end of file means that the client is gone
};

// Sends everything, however long the peer takes: a slow reader is not an error. kCancelled once
// the peer is gone.
minibox::Status SendAll(int socket, std::string_view bytes, PeerEnd peer_end);

// One thread that notices when peers go away.
class PeerWatch {
 public:
  static minibox::StatusOr<std::unique_ptr<PeerWatch>> Create();
  ~PeerWatch();

  // Watches a socket until the returned handle is destroyed; it must stay open until then.
  // `gone` runs at most once, on the watch's thread, and not after the handle is destroyed.
  class Handle {
   public:
    Handle() = default;
    Handle(PeerWatch* watch, unsigned long id) : watch_(watch), id_(id) {}
    Handle(Handle&& other) noexcept : watch_(other.watch_), id_(other.id_) {
      other.watch_ = nullptr;
    }
    Handle& operator=(Handle&& other) noexcept;
    ~Handle();

   private:
    PeerWatch* watch_ = nullptr;
    unsigned long id_ = 0;
  };
  Handle Add(int socket, std::function<void()> gone);

 private:
  PeerWatch();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace miniboxd
