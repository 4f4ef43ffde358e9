// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink.h"

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "core/check.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::kernel {
namespace {

// The kernel fills datagrams of a dump up to 32 KiB; single replies are smaller.
constexpr size_t kReceiveBytes = 64u << 10;
// A batch is one datagram, and the default send buffer ends near 200 KB.
constexpr size_t kLargeBatchBytes = 64u << 10;
constexpr int kDumpAttempts = 8;

Status SetOption(int fd, int level, int option, int value, std::string_view name) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) {
    return core::SysError("setsockopt", name);
  }
  return Status();
}

Status Configure(int fd) {
  MBX_RETURN_IF_ERROR(SetOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1, "NETLINK_EXT_ACK"));
  MBX_RETURN_IF_ERROR(SetOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1, "NETLINK_CAP_ACK"));
  // Filters of a dump that the kernel does not know become errors instead of being ignored.
  return SetOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1, "NETLINK_GET_STRICT_CHK");
}

// The kernel's explanation in an error message, or "".
std::string ExtendedText(const nlmsghdr* header) {
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
  size_t offset = sizeof(nlmsgerr);
  if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) offset += error->msg.nlmsg_len - sizeof(nlmsghdr);
  if (offset > mnl_nlmsg_get_payload_len(header)) return {};
  std::string text;
  for (const nlattr* attribute : Attributes(header, offset)) {
    if (mnl_attr_get_type(attribute) != NLMSGERR_ATTR_MSG) continue;
    const auto* bytes = static_cast<const char*>(mnl_attr_get_payload(attribute));
    text.assign(bytes, strnlen(bytes, mnl_attr_get_payload_len(attribute)));
  }
  return text;
}

Status Refusal(std::string_view call, std::string_view object, int err, const std::string& text) {
  if (text.empty()) return core::SysError(call, object, err);
  return core::SysError(call, core::StrCat(object, " (", text, ")"), err);
}

std::vector<const nlattr*> ParseAttributes(const char* bytes, size_t size) {
  std::vector<const nlattr*> attributes;
  while (size >= NLA_HDRLEN) {
    const auto* attribute = reinterpret_cast<const nlattr*>(bytes);
    if (!mnl_attr_ok(attribute, static_cast<int>(size))) break;
    attributes.push_back(attribute);
    const size_t step = std::min<size_t>(NLA_ALIGN(attribute->nla_len), size);
    bytes += step;
    size -= step;
  }
  return attributes;
}

}  // namespace

std::vector<const nlattr*> Attributes(const nlmsghdr* message, size_t header_bytes) {
  const size_t skipped = NLMSG_HDRLEN + NLMSG_ALIGN(header_bytes);
  if (message->nlmsg_len < skipped) return {};
  return ParseAttributes(reinterpret_cast<const char*>(message) + skipped,
                         message->nlmsg_len - skipped);
}

std::vector<const nlattr*> NestedAttributes(const nlattr* attribute) {
  return ParseAttributes(static_cast<const char*>(mnl_attr_get_payload(attribute)),
                         mnl_attr_get_payload_len(attribute));
}

nlmsghdr* NetlinkBatch::header(const Message& message) {
  return reinterpret_cast<nlmsghdr*>(bytes_.data() + message.offset);
}

void NetlinkBatch::CloseLast() {
  if (messages_.empty()) return;
  const Message& last = messages_.back();
  const size_t length = NLMSG_ALIGN(header(last)->nlmsg_len);
  MBX_CHECK(length <= NLMSG_HDRLEN + last.room);
  bytes_.resize(last.offset + length);
}

nlmsghdr* NetlinkBatch::Add(uint16_t type, uint16_t flags, std::string_view call,
                            std::string_view object, size_t room) {
  CloseLast();
  messages_.push_back({bytes_.size(), room, std::string(call), std::string(object)});
  bytes_.resize(bytes_.size() + NLMSG_HDRLEN + room);
  nlmsghdr* message = mnl_nlmsg_put_header(header(messages_.back()));
  message->nlmsg_type = type;
  message->nlmsg_flags = flags | NLM_F_REQUEST;
  return message;
}

NetlinkSocket::NetlinkSocket(core::Fd fd) : fd_(std::move(fd)) {
  // Somebody else's socket may hold answers to low numbers.
  next_sequence_ = static_cast<uint32_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                         std::chrono::microseconds(1));
}

StatusOr<NetlinkSocket> NetlinkSocket::Open(int protocol) {
  core::Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return core::SysError("socket", "AF_NETLINK");
  MBX_RETURN_IF_ERROR(Configure(fd.get()));
  return NetlinkSocket(std::move(fd));
}

StatusOr<NetlinkSocket> NetlinkSocket::Wrap(int fd) {
  core::Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return core::SysError("fcntl", "netlink socket");
  MBX_RETURN_IF_ERROR(Configure(copy.get()));
  return NetlinkSocket(std::move(copy));
}

StatusOr<std::vector<std::string>> NetlinkSocket::Exchange(NetlinkBatch& batch) {
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    bool interrupted = false;
    MBX_ASSIGN_OR_RETURN(std::vector<std::string> replies, ExchangeOnce(batch, &interrupted));
    if (!interrupted) return replies;
  }
  return core::Error(StatusCode::kUnavailable, "", "netlink dump kept changing while it was read");
}

Status NetlinkSocket::Send(NetlinkBatch& batch) { return Exchange(batch).status(); }

StatusOr<std::vector<std::string>> NetlinkSocket::ExchangeOnce(NetlinkBatch& batch,
                                                               bool* interrupted) {
  std::vector<std::string> replies;
  if (batch.empty()) return replies;
  batch.CloseLast();

  const uint32_t first = next_sequence_;
  next_sequence_ += static_cast<uint32_t>(batch.messages_.size());
  size_t unanswered = 0;
  for (size_t i = 0; i < batch.messages_.size(); ++i) {
    nlmsghdr* header = batch.header(batch.messages_[i]);
    header->nlmsg_seq = first + static_cast<uint32_t>(i);
    header->nlmsg_pid = 0;
    if ((header->nlmsg_flags & (NLM_F_ACK | NLM_F_DUMP)) != 0) ++unanswered;
  }

  if (batch.bytes_.size() > kLargeBatchBytes) {
    MBX_RETURN_IF_ERROR(SetOption(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE,
                                  static_cast<int>(batch.bytes_.size() * 2), "SO_SNDBUFFORCE"));
  }
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent = 0;
  do {
    sent = sendto(fd_.get(), batch.bytes_.data(), batch.bytes_.size(), 0,
                  reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return core::SysError("sendto", "netlink socket");

  const auto buffer = std::make_unique_for_overwrite<char[]>(kReceiveBytes);
  Status refused;
  while (unanswered > 0) {
    iovec part = {buffer.get(), kReceiveBytes};
    sockaddr_nl sender = {};
    msghdr message = {};
    message.msg_name = &sender;
    message.msg_namelen = sizeof sender;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t received = recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    if (received < 0) {
      if (errno == EINTR) continue;
      // A batch that is refused as a whole is answered once, for its first message.
      if (errno == EAGAIN && !refused.ok()) break;
      return core::SysError("recvmsg", "netlink socket");
    }
    if ((message.msg_flags & MSG_TRUNC) != 0) return core::Internal("netlink reply was cut off");
    if (sender.nl_pid != 0) continue;

    int left = static_cast<int>(received);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.get());
         mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
      const uint32_t index = header->nlmsg_seq - first;
      if (index >= batch.messages_.size()) continue;
      const NetlinkBatch::Message& request = batch.messages_[index];
      const bool awaited = (batch.header(request)->nlmsg_flags & (NLM_F_ACK | NLM_F_DUMP)) != 0;
      if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) *interrupted = true;
      if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
        if (awaited && unanswered > 0) --unanswered;
        if (mnl_nlmsg_get_payload_len(header) < sizeof(int)) continue;
        int error = 0;
        std::memcpy(&error, mnl_nlmsg_get_payload(header), sizeof error);
        if (error != 0 && refused.ok()) {
          const std::string text =
              header->nlmsg_type == NLMSG_ERROR ? ExtendedText(header) : std::string();
          refused = Refusal(request.call, request.object, -error, text);
        }
      } else if (header->nlmsg_type >= NLMSG_MIN_TYPE) {
        replies.emplace_back(reinterpret_cast<const char*>(header), header->nlmsg_len);
      }
    }
  }
  if (!refused.ok()) return refused;
  return replies;
}

}  // namespace minibox::kernel
