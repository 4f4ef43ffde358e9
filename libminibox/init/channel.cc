// SPDX-License-Identifier: Apache-2.0
#include "init/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace minibox::init {
namespace {

union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kMaxFdsPerMessage)];
};

// The descriptors in `message`, into `packet`. False if there were more than fit.
bool TakeFds(msghdr& message, Packet& packet) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (count > kMaxFdsPerMessage - packet.fd_count) return false;
    memcpy(packet.fds + packet.fd_count, CMSG_DATA(part), count * sizeof(int));
    packet.fd_count += static_cast<uint32_t>(count);
  }
  return (message.msg_flags & MSG_CTRUNC) == 0;
}

}  // namespace

void Packet::CloseFds() {
  for (uint32_t i = 0; i < fd_count; ++i) close(fds[i]);
  fd_count = 0;
}

bool SendMessage(int socket, Message type, const void* first, size_t first_size, const void* second,
                 size_t second_size, const int* fds, uint32_t fd_count, bool wait) {
  if (first_size + second_size > kMaxPayload || fd_count > kMaxFdsPerMessage) {
    errno = EMSGSIZE;
    return false;
  }
  MessageHeader header{type, static_cast<uint32_t>(first_size + second_size)};
  iovec parts[3] = {{&header, sizeof header},
                    {const_cast<void*>(first), first_size},
                    {const_cast<void*>(second), second_size}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 3;
  Control control;
  if (fd_count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(part), fds, sizeof(int) * fd_count);
  }
  const int flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);
  while (sendmsg(socket, &message, flags) < 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

Received ReceiveMessage(int socket, Packet& packet, bool wait) {
  MessageHeader header{};
  iovec parts[2] = {{&header, sizeof header}, {packet.payload, sizeof packet.payload}};
  Control control;
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  packet.fd_count = 0;
  ssize_t size;
  // A peer that ends with something unread leaves ECONNRESET. It is told once and before what the
  // peer had sent, whose last message may say why it ended.
  bool reset = false;
  while ((size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT))) < 0) {
    const bool first_reset = errno == ECONNRESET && !reset;
    if (!first_reset && errno != EINTR) break;
    reset |= first_reset;
  }
  if (size < 0) {
    if (!wait && (errno == EAGAIN || errno == EWOULDBLOCK)) return Received::kNothing;
    return errno == ECONNRESET ? Received::kEnd : Received::kError;
  }
  if (size == 0) return Received::kEnd;
  const bool complete = TakeFds(message, packet) && (message.msg_flags & MSG_TRUNC) == 0;
  if (!complete || static_cast<size_t>(size) < sizeof header ||
      header.size != static_cast<size_t>(size) - sizeof header) {
    packet.CloseFds();
    errno = EPROTO;
    return Received::kError;
  }
  packet.type = header.type;
  packet.size = header.size;
  return Received::kMessage;
}

}  // namespace minibox::init
