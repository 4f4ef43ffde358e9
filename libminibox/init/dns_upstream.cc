// SPDX-License-Identifier: Apache-2.0
#include "init/dns_upstream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "init/held.h"

namespace minibox::init {
namespace {

constexpr uint64_t kAttemptMs = 2000;
constexpr uint32_t kRounds = 2;  // through all servers
constexpr uint16_t kPort = 53;
constexpr size_t kMaxReply = 65535;
constexpr size_t kMaxResolvConf = 64 * 1024;
constexpr uint8_t kNameError = 3;

socklen_t AddressOf(const DnsServer& server, sockaddr_storage* out) {
  memset(out, 0, sizeof *out);
  if (server.family == AF_INET) {
    auto* address = reinterpret_cast<sockaddr_in*>(out);
    address->sin_family = AF_INET;
    address->sin_port = htons(kPort);
    memcpy(&address->sin_addr, server.address, sizeof address->sin_addr);
    return sizeof *address;
  }
  auto* address = reinterpret_cast<sockaddr_in6*>(out);
  address->sin6_family = AF_INET6;
  address->sin6_port = htons(kPort);
  memcpy(&address->sin6_addr, server.address, sizeof address->sin6_addr);
  return sizeof *address;
}

}  // namespace

uint64_t DnsNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

DnsUpstream::DnsUpstream(int epoll, uint64_t epoll_tag, const char* resolv_conf, Deliver deliver,
                         void* context)
    : epoll_(epoll),
      tag_(epoll_tag),
      resolv_conf_(resolv_conf),
      deliver_(deliver),
      context_(context) {
  // Pages that no question has used cost nothing.
  void* memory = mmap(nullptr, sizeof(Pending) * kMaxOutstanding, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pending_ = memory == MAP_FAILED ? nullptr : static_cast<Pending*>(memory);
}

uint16_t DnsUpstream::RandomId() {
  if (random_left_ == 0) {
    if (getrandom(random_, sizeof random_, 0) != sizeof random_) return 0;  // never so short
    random_left_ = sizeof random_ / sizeof random_[0];
  }
  return random_[--random_left_];
}

void DnsUpstream::ReadHostServers() {
  struct stat now {};
  if (stat(resolv_conf_, &now) != 0) {
    host_count_ = 0;
    host_stat_ = {};
    return;
  }
  if (now.st_ino == host_stat_.st_ino && now.st_dev == host_stat_.st_dev &&
      now.st_size == host_stat_.st_size && now.st_mtim.tv_sec == host_stat_.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == host_stat_.st_mtim.tv_nsec) {
    return;
  }
  host_stat_ = now;
  host_count_ = 0;
  static char text[kMaxResolvConf + 1];
  const Held file(open(resolv_conf_, O_RDONLY | O_CLOEXEC));
  const ssize_t size = file.valid() ? read(file.get(), text, kMaxResolvConf) : -1;
  if (size <= 0) return;
  text[size] = '\0';
  for (char* line = text; line != nullptr && host_count_ < kMaxDnsServers;) {
    char* const end = strchr(line, '\n');
    if (end != nullptr) *end = '\0';
    line += strspn(line, " \t");
    constexpr char kKeyword[] = "nameserver";
    if (strncmp(line, kKeyword, sizeof kKeyword - 1) == 0) {
      char* word = line + sizeof kKeyword - 1;
      const size_t blank = strspn(word, " \t");
      word += blank;
      word[strcspn(word, " \t\r#;%")] = '\0';
      if (blank > 0 && ParseDnsServer(word, &host_[host_count_])) ++host_count_;
    }
    line = end == nullptr ? nullptr : end + 1;
  }
}

bool DnsUpstream::Forward(const DnsClient& client, const uint8_t* message, size_t size,
                          const DnsQuery& query, const DnsServer* servers, uint32_t server_count) {
  if (pending_ == nullptr || used_ == kMaxOutstanding || size > kMaxDnsQuery) return false;
  if (server_count == 0) {
    ReadHostServers();
    servers = host_;
    server_count = host_count_;
  }
  if (server_count == 0) return false;
  uint32_t index = 0;
  while (pending_[index].used) ++index;
  Pending& pending = pending_[index];
  pending.used = true;
  ++used_;
  pending.tcp = client.udp_socket < 0;
  pending.fd = -1;
  pending.client_id = query.id;
  pending.client = client;
  pending.server_count = server_count < kMaxDnsServers ? server_count : kMaxDnsServers;
  memcpy(pending.servers, servers, pending.server_count * sizeof *servers);
  pending.attempt = 0;
  pending.question_end = query.question_end;
  pending.size = static_cast<uint32_t>(size);
  memcpy(pending.bytes(), message, size);
  pending.reply = nullptr;
  pending.reply_size = 0;
  while (pending.attempt < pending.server_count * kRounds) {
    if (Send(pending, index)) return true;
    ++pending.attempt;
  }
  pending.used = false;
  --used_;
  return false;
}

// Towards the server whose turn it is.
bool DnsUpstream::Send(Pending& pending, uint32_t index) {
  CloseSocket(pending);
  sockaddr_storage address;
  const socklen_t size =
      AddressOf(pending.servers[pending.attempt % pending.server_count], &address);
  const int type = (pending.tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  // A new one for each attempt: the kernel gives it a port that nobody can guess, and lets only
  // answers of this server in.
  pending.fd = socket(address.ss_family, type, 0);
  if (pending.fd < 0) return false;
  pending.id = RandomId();
  pending.sent = !pending.tcp;
  pending.reply_size = 0;
  pending.deadline = DnsNow() + kAttemptMs;
  SetDnsId(pending.bytes(), pending.id);
  const int connected = connect(pending.fd, reinterpret_cast<sockaddr*>(&address), size);
  epoll_event event{};
  event.events = EPOLLIN | (pending.tcp ? EPOLLOUT : 0);
  event.data.u64 = tag_ + index;
  if ((connected != 0 && (!pending.tcp || errno != EINPROGRESS)) ||
      (!pending.tcp && send(pending.fd, pending.bytes(), pending.size, MSG_NOSIGNAL) < 0) ||
      epoll_ctl(epoll_, EPOLL_CTL_ADD, pending.fd, &event) != 0) {
    CloseSocket(pending);
    return false;
  }
  return true;
}

void DnsUpstream::Ask(uint32_t index) {
  Pending& pending = pending_[index];
  while (++pending.attempt < pending.server_count * kRounds) {
    if (Send(pending, index)) return;
  }
  Fail(pending);
}

void DnsUpstream::CloseSocket(Pending& pending) {
  if (pending.fd >= 0) close(pending.fd);
  pending.fd = -1;
}

void DnsUpstream::Finish(Pending& pending, const uint8_t* message, size_t size) {
  CloseSocket(pending);
  deliver_(context_, pending.client, message, size);
  if (pending.reply != nullptr) munmap(pending.reply, kMaxReply + 2);
  pending.reply = nullptr;
  pending.used = false;
  --used_;
}

void DnsUpstream::Fail(Pending& pending) {
  SetDnsId(pending.bytes(), pending.client_id);
  DnsQuery query;
  DnsCode code;
  uint8_t out[kMaxDnsQuery];
  size_t size = 0;
  if (ParseDnsQuery(pending.bytes(), pending.size, &query, &code) == DnsParse::kQuery) {
    DnsAnswer answer(pending.bytes(), query, out, sizeof out);
    size = answer.Finish(kDnsServerFailure);
  }
  Finish(pending, out, size);
}

void DnsUpstream::OnReply(uint32_t index, uint8_t* reply, size_t size) {
  Pending& pending = pending_[index];
  const uint8_t code = DnsCodeOf(reply);
  const bool last = pending.attempt + 1 >= pending.server_count;
  // One that cannot say is no reason not to ask another.
  if (code != kDnsNoError && code != kNameError && !last) return Ask(index);
  SetDnsId(reply, pending.client_id);
  Finish(pending, reply, size);
}

void DnsUpstream::OnUdp(uint32_t index) {
  Pending& pending = pending_[index];
  static uint8_t reply[kMaxReply];
  while (true) {
    const ssize_t size = recv(pending.fd, reply, sizeof reply, 0);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      return Ask(index);  // nobody listens there
    }
    // Anything else is not for us.
    if (IsReplyTo(reply, static_cast<size_t>(size), pending.bytes(), pending.question_end,
                  pending.id)) {
      return OnReply(index, reply, static_cast<size_t>(size));
    }
  }
}

void DnsUpstream::OnTcp(uint32_t index, uint32_t events) {
  Pending& pending = pending_[index];
  if (!pending.sent) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Ask(index);
    pending.message[0] = static_cast<uint8_t>(pending.size >> 8);
    pending.message[1] = static_cast<uint8_t>(pending.size);
    // A connection that is new takes as much at once.
    const auto whole = static_cast<ssize_t>(pending.size + 2);
    const ssize_t sent =
        send(pending.fd, pending.message, static_cast<size_t>(whole), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN)) return;
    if (sent != whole) return Ask(index);
    pending.sent = true;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag_ + index;
    (void)epoll_ctl(epoll_, EPOLL_CTL_MOD, pending.fd, &event);  // it is in there
    return;
  }
  if (pending.reply == nullptr) {
    void* memory =
        mmap(nullptr, kMaxReply + 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return Fail(pending);
    pending.reply = static_cast<uint8_t*>(memory);
  }
  while (true) {
    const ssize_t size =
        recv(pending.fd, pending.reply + pending.reply_size, kMaxReply + 2 - pending.reply_size, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (size <= 0) return Ask(index);
    pending.reply_size += static_cast<uint32_t>(size);
    if (pending.reply_size < 2) continue;
    const uint32_t length = static_cast<uint32_t>(pending.reply[0] << 8 | pending.reply[1]);
    if (pending.reply_size < length + 2) continue;
    if (!IsReplyTo(pending.reply + 2, length, pending.bytes(), pending.question_end, pending.id)) {
      return Ask(index);
    }
    return OnReply(index, pending.reply + 2, length);
  }
}

void DnsUpstream::OnReady(uint32_t index, uint32_t events) {
  // It may have been settled by an event before this one.
  if (index >= kMaxOutstanding || !pending_[index].used || pending_[index].fd < 0) return;
  pending_[index].tcp ? OnTcp(index, events) : OnUdp(index);
}

int DnsUpstream::TimeLeft() const {
  if (used_ == 0) return -1;
  const uint64_t now = DnsNow();
  uint64_t left = kAttemptMs;
  for (uint32_t i = 0; i < kMaxOutstanding; ++i) {
    if (!pending_[i].used) continue;
    const uint64_t until = pending_[i].deadline > now ? pending_[i].deadline - now : 0;
    if (until < left) left = until;
  }
  return static_cast<int>(left);
}

void DnsUpstream::OnTime() {
  if (used_ == 0) return;
  const uint64_t now = DnsNow();
  for (uint32_t i = 0; i < kMaxOutstanding; ++i) {
    if (pending_[i].used && pending_[i].deadline <= now) Ask(i);
  }
}

}  // namespace minibox::init
