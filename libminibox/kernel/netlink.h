// SPDX-License-Identifier: Apache-2.0
// A netlink socket, and messages that are sent over it together.
//
//   batch ──one datagram──> kernel ──> acknowledgements, replies ──> Exchange returns
//
// The kernel answers inside sendmsg, so every answer is queued when it returns and no read
// ever waits: a lost answer is an error, not a hang. Sequence numbers tell the answers of
// this exchange from anything that was left in the socket of somebody else.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::kernel {

// The attributes behind the family's header of `header_bytes`, and those inside of one.
std::vector<const nlattr*> Attributes(const nlmsghdr* message, size_t header_bytes);
std::vector<const nlattr*> NestedAttributes(const nlattr* attribute);

class NetlinkBatch {
 public:
  // Starts a message whose attributes need at most `room` bytes; the pointer is good until the
  // next call of any method. Errors read "<call> <object>: …".
  nlmsghdr* Add(uint16_t type, uint16_t flags, std::string_view call, std::string_view object,
                size_t room = 1024);
  // The message added last. There must be one.
  nlmsghdr* Last() { return header(messages_.back()); }
  bool empty() const { return messages_.empty(); }

 private:
  friend class NetlinkSocket;
  struct Message {
    size_t offset = 0;
    size_t room = 0;
    std::string call{}, object{};
  };
  void CloseLast();
  nlmsghdr* header(const Message& message);

  std::vector<char> bytes_;
  std::vector<Message> messages_;
};

// Not thread-safe: one exchange at a time.
class NetlinkSocket {
 public:
  // A socket in the network namespace of the calling thread.
  static StatusOr<NetlinkSocket> Open(int protocol);
  // Uses a socket that somebody else opened, perhaps in another network namespace. `fd` is
  // borrowed for the call only.
  static StatusOr<NetlinkSocket> Wrap(int fd);

  // Sends the batch and returns the replies, acknowledgements left out, each a whole message
  // that starts with its nlmsghdr. Messages with NLM_F_ACK or NLM_F_DUMP must have been
  // answered; the first refusal is the error, with the kernel's own words if it gave any. A
  // dump that changed while it was read is repeated.
  StatusOr<std::vector<std::string>> Exchange(NetlinkBatch& batch);
  // The same for a batch without replies.
  Status Send(NetlinkBatch& batch);

 private:
  explicit NetlinkSocket(core::Fd fd);
  StatusOr<std::vector<std::string>> ExchangeOnce(NetlinkBatch& batch, bool* interrupted);

  core::Fd fd_;
  uint32_t next_sequence_ = 0;
};

}  // namespace minibox::kernel
