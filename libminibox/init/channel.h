// SPDX-License-Identifier: Apache-2.0
// One message with its descriptors over a SOCK_SEQPACKET socket. Compiled by both worlds.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "init/protocol.h"

namespace minibox::init {

struct Packet {
  Message type;
  uint32_t size;
  alignas(8) uint8_t payload[kMaxPayload];
  uint32_t fd_count;
  int fds[kMaxFdsPerMessage];  // owned by whoever received them

  void CloseFds();
  // The payload as a T; nullptr if it is too short.
  template <typename T>
  const T* As() const {
    return size >= sizeof(T) ? reinterpret_cast<const T*>(payload) : nullptr;
  }
};

enum class Received { kMessage, kNothing, kEnd, kError };

// Sends `first` and then `second` as one payload. With `wait` false errno is EAGAIN if there is
// no room. False with errno on failure; a peer that is gone is EPIPE, never a signal.
bool SendMessage(int socket, Message type, const void* first, size_t first_size,
                 const void* second = nullptr, size_t second_size = 0, const int* fds = nullptr,
                 uint32_t fd_count = 0, bool wait = true);
// kEnd: the peer is gone. kNothing only without `wait`. kError with errno, EPROTO if the packet
// is none of ours; its descriptors are closed.
Received ReceiveMessage(int socket, Packet& packet, bool wait = true);

}  // namespace minibox::init
