// SPDX-License-Identifier: Apache-2.0
// One thread, one epoll:
//
//   UDP socket ─┐                 ┌─ answer from the records
//   TCP clients ┴─> DecideDns ────┤
//   inotify ──────> DnsRecords    └─ DnsUpstream ──> the host's servers
//
// What is received is answered with records that are no older than it: the kernel queues the
// event of a changed file before whoever changed it goes on, and events are read between receiving
// and answering.
#include "init/dns_responder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "init/channel.h"
#include "init/dns_answer.h"
#include "init/dns_protocol.h"
#include "init/dns_upstream.h"
#include "init/failing.h"
#include "init/held.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

constexpr uint32_t kBatch = 32;
constexpr uint32_t kMaxClients = 64;
constexpr uint64_t kClientIdleMs = 10'000;
constexpr int kBacklog = 64;
constexpr int kPortAttempts = 64;
constexpr int kEvents = 64;
constexpr size_t kMaxAnswer = 65535;
constexpr int kUdpBuffer = 1 << 20;
constexpr id_t kNobody = 65534;

// What epoll tells events by.
enum : uint64_t {
  kUdp4 = 1,
  kUdp6,
  kTcp4,
  kTcp6,
  kRecords,
  kClients = 0x100,
  kUpstream = 0x10000,
};

struct Client {
  int fd;
  uint64_t serial;
  uint64_t deadline;
  bool waiting;  // for an upstream server
  uint32_t received;
  uint8_t in[kMaxDnsQuery + 2];
  uint8_t* out;  // mapped, while an answer is being sent
  uint32_t out_size, out_sent;
};

class Responder {
 public:
  // In memory from the kernel: buffers that are never used cost nothing.
  static void* operator new(size_t, void* memory) { return memory; }

  Responder(int epoll, int directory, int inotify, const DnsServeMessage& start)
      : epoll_(epoll),
        directory_(directory),
        inotify_(inotify),
        start_(start),
        upstream_(epoll, kUpstream, start.resolv_conf, &Responder::Deliver, this) {
    for (Client& client : clients_) client.fd = -1;
  }

  bool Watch(int fd, uint64_t tag, uint32_t events = EPOLLIN) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
  }
  void SetSockets(const int* udp, const int* tcp) {
    memcpy(udp_, udp, sizeof udp_);
    memcpy(tcp_, tcp, sizeof tcp_);
  }
  [[noreturn]] void Run();

 private:
  void ReloadIfChanged();
  void Reload();
  void OnUdp(int socket);
  void OnListener(int socket);
  void OnClient(uint32_t index, uint32_t events);
  void ServeClient(uint32_t index);
  void SendToClient(uint32_t index, const uint8_t* message, size_t size);
  void Flush(uint32_t index);
  void CloseClient(uint32_t index);
  const DnsContainer* Asker(const sockaddr_storage& address) const;
  int TimeLeft() const;
  void OnTime();
  static void Deliver(void* self, const DnsClient& client, const uint8_t* message, size_t size);

  const int epoll_, directory_, inotify_;
  const DnsServeMessage& start_;
  DnsUpstream upstream_;
  DnsRecords records_;
  char* text_ = nullptr;
  size_t text_size_ = 0;
  int udp_[2], tcp_[2];
  uint32_t turn_ = 0;
  uint64_t next_serial_ = 1;
  Client clients_[kMaxClients]{};
  uint32_t client_count_ = 0;
  uint8_t in_[kBatch][kMaxDnsQuery];
  uint8_t out_[kBatch][kMaxDnsQuery + kLargestUdpAnswer];
  uint8_t large_[kMaxAnswer];
};

void Responder::Reload() {
  const Held file(openat(directory_, start_.records, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat stat {};
  // The network is gone.
  if (!file.valid() && errno == ENOENT) _exit(0);
  if (!file.valid() || fstat(file.get(), &stat) != 0 || stat.st_size <= 0 ||
      static_cast<size_t>(stat.st_size) > kMaxDnsRecordsBytes) {
    return;
  }
  const auto size = static_cast<size_t>(stat.st_size);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED) return;
  auto* const text = static_cast<char*>(memory);
  // A form that we do not know is a newer engine's; what we know is better than nothing.
  constexpr char kForm[] = "minibox-dns 1\n";
  if (size < sizeof kForm - 1 || memcmp(text, kForm, sizeof kForm - 1) != 0 ||
      !records_.Parse(text, size)) {
    munmap(memory, size);
    if (text_ == nullptr) return;
    (void)records_.Parse(text_, 0);
    return;
  }
  if (text_ != nullptr) munmap(text_, text_size_);
  text_ = text;
  text_size_ = size;
  // Somebody else serves this network.
  if (records_.pid() != getpid()) _exit(0);
}

void Responder::ReloadIfChanged() {
  alignas(inotify_event) char events[4096];
  bool changed = false;
  while (true) {
    const ssize_t size = read(inotify_, events, sizeof events);
    if (size <= 0) break;
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events + at);
      changed |= (event->mask & IN_Q_OVERFLOW) != 0 ||
                 (event->len > 0 && strcmp(event->name, start_.records) == 0);
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
  }
  if (changed) Reload();
}

const DnsContainer* Responder::Asker(const sockaddr_storage& address) const {
  if (address.ss_family == AF_INET) {
    return records_.FindByIp(reinterpret_cast<const uint8_t*>(
        &reinterpret_cast<const sockaddr_in*>(&address)->sin_addr));
  }
  return records_.FindByIp6(reinterpret_cast<const uint8_t*>(
      &reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr));
}

void Responder::OnUdp(int socket) {
  mmsghdr received[kBatch]{}, answers[kBatch]{};
  iovec in[kBatch], out[kBatch];
  sockaddr_storage from[kBatch];
  for (uint32_t i = 0; i < kBatch; ++i) {
    in[i] = {in_[i], sizeof in_[i]};
    received[i].msg_hdr.msg_name = &from[i];
    received[i].msg_hdr.msg_namelen = sizeof from[i];
    received[i].msg_hdr.msg_iov = &in[i];
    received[i].msg_hdr.msg_iovlen = 1;
  }
  const int count = recvmmsg(socket, received, kBatch, MSG_DONTWAIT, nullptr);
  if (count <= 0) return;
  ReloadIfChanged();
  unsigned ready = 0;
  for (int i = 0; i < count; ++i) {
    if ((received[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
    const DnsContainer* const asker = Asker(from[i]);
    DnsQuery query;
    uint8_t* const buffer = out_[ready];
    DnsDecision decision = DecideDns(records_, asker, in_[i], received[i].msg_len, true, turn_++,
                                     &query, buffer, sizeof out_[0]);
    if (decision.kind == DnsDecision::Kind::kForward) {
      DnsClient client{};
      client.address = from[i];
      client.address_size = received[i].msg_hdr.msg_namelen;
      client.udp_socket = socket;
      if (upstream_.Forward(client, in_[i], received[i].msg_len, query,
                            asker == nullptr ? nullptr : asker->servers,
                            asker == nullptr ? 0 : asker->server_count)) {
        continue;
      }
      DnsAnswer answer(in_[i], query, buffer, sizeof out_[0]);
      decision.size = answer.Finish(kDnsServerFailure);
    } else if (decision.kind == DnsDecision::Kind::kIgnore || decision.size == 0) {
      continue;
    }
    out[ready] = {buffer, decision.size};
    answers[ready].msg_hdr.msg_name = &from[i];
    answers[ready].msg_hdr.msg_namelen = received[i].msg_hdr.msg_namelen;
    answers[ready].msg_hdr.msg_iov = &out[ready];
    answers[ready].msg_hdr.msg_iovlen = 1;
    ++ready;
  }
  // Whoever does not get an answer asks again.
  for (unsigned sent = 0; sent < ready;) {
    const int done = sendmmsg(socket, answers + sent, ready - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    sent += done > 0 ? static_cast<unsigned>(done) : 1;
  }
}

void Responder::OnListener(int socket) {
  while (true) {
    Held connection(accept4(socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.valid()) return;
    uint32_t index = 0;
    // When all places are taken, the one that has been idle for longest goes.
    if (client_count_ == kMaxClients) {
      for (uint32_t i = 1; i < kMaxClients; ++i) {
        if (clients_[i].deadline < clients_[index].deadline) index = i;
      }
      CloseClient(index);
    } else {
      while (clients_[index].fd >= 0) ++index;
    }
    if (!Watch(connection.get(), kClients + index)) return;
    Client& client = clients_[index];
    client.fd = connection.Release();
    client.serial = next_serial_++;
    client.deadline = DnsNow() + kClientIdleMs;
    client.waiting = false;
    client.received = 0;
    ++client_count_;
  }
}

void Responder::CloseClient(uint32_t index) {
  Client& client = clients_[index];
  if (client.fd < 0) return;
  close(client.fd);
  client.fd = -1;
  if (client.out != nullptr) munmap(client.out, kMaxAnswer + 2);
  client.out = nullptr;
  --client_count_;
}

// The question that has arrived, if one has: one at a time.
void Responder::ServeClient(uint32_t index) {
  Client& client = clients_[index];
  while (client.fd >= 0 && !client.waiting && client.out == nullptr && client.received >= 2) {
    const uint32_t length = static_cast<uint32_t>(client.in[0] << 8 | client.in[1]);
    if (length > kMaxDnsQuery || length < kDnsHeaderBytes) return CloseClient(index);
    if (client.received < length + 2) return;
    sockaddr_storage from{};
    socklen_t from_size = sizeof from;
    if (getpeername(client.fd, reinterpret_cast<sockaddr*>(&from), &from_size) != 0) {
      return CloseClient(index);
    }
    ReloadIfChanged();
    const DnsContainer* const asker = Asker(from);
    uint8_t* const message = client.in + 2;
    DnsQuery query;
    DnsDecision decision =
        DecideDns(records_, asker, message, length, false, turn_++, &query, large_, sizeof large_);
    if (decision.kind == DnsDecision::Kind::kForward) {
      DnsClient who{};
      who.udp_socket = -1;
      who.connection = index;
      who.serial = client.serial;
      client.waiting = upstream_.Forward(who, message, length, query,
                                         asker == nullptr ? nullptr : asker->servers,
                                         asker == nullptr ? 0 : asker->server_count);
      if (!client.waiting) {
        DnsAnswer answer(message, query, large_, sizeof large_);
        decision.size = answer.Finish(kDnsServerFailure);
      }
    } else if (decision.kind == DnsDecision::Kind::kIgnore) {
      return CloseClient(index);
    }
    client.received -= length + 2;
    memmove(client.in, client.in + length + 2, client.received);
    if (!client.waiting) SendToClient(index, large_, decision.size);
  }
}

void Responder::SendToClient(uint32_t index, const uint8_t* message, size_t size) {
  Client& client = clients_[index];
  if (size == 0 || size > kMaxAnswer) return CloseClient(index);
  void* memory =
      mmap(nullptr, kMaxAnswer + 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return CloseClient(index);
  client.out = static_cast<uint8_t*>(memory);
  client.out[0] = static_cast<uint8_t>(size >> 8);
  client.out[1] = static_cast<uint8_t>(size);
  memcpy(client.out + 2, message, size);
  client.out_size = static_cast<uint32_t>(size + 2);
  client.out_sent = 0;
  Flush(index);
}

void Responder::Flush(uint32_t index) {
  Client& client = clients_[index];
  while (client.out_sent < client.out_size) {
    const ssize_t sent = send(client.fd, client.out + client.out_sent,
                              client.out_size - client.out_sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      epoll_event event{};
      event.events = EPOLLOUT;
      event.data.u64 = kClients + index;
      (void)epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event);  // it is in there
      return;
    }
    if (sent < 0) return CloseClient(index);
    client.out_sent += static_cast<uint32_t>(sent);
  }
  munmap(client.out, kMaxAnswer + 2);
  client.out = nullptr;
  client.deadline = DnsNow() + kClientIdleMs;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kClients + index;
  (void)epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event);  // the same
}

void Responder::OnClient(uint32_t index, uint32_t events) {
  Client& client = clients_[index];
  if (client.fd < 0) return;
  if (client.out != nullptr) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return CloseClient(index);
    Flush(index);
    return ServeClient(index);
  }
  const size_t room = sizeof client.in - client.received;
  if (room == 0) {
    // More questions than one at a time: they wait in the kernel, and we for the answer.
    epoll_event event{};
    event.data.u64 = kClients + index;
    (void)epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event);  // it is in there
    return;
  }
  const ssize_t size = recv(client.fd, client.in + client.received, room, 0);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (size <= 0) return CloseClient(index);
  client.received += static_cast<uint32_t>(size);
  ServeClient(index);
}

void Responder::Deliver(void* self, const DnsClient& client, const uint8_t* message, size_t size) {
  auto& responder = *static_cast<Responder*>(self);
  if (client.udp_socket >= 0) {
    // Whoever does not get it asks again.
    (void)sendto(client.udp_socket, message, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&client.address), client.address_size);
    return;
  }
  Client& connection = responder.clients_[client.connection];
  if (connection.fd < 0 || connection.serial != client.serial) return;
  connection.waiting = false;
  responder.SendToClient(client.connection, message, size);
  responder.ServeClient(client.connection);
}

int Responder::TimeLeft() const {
  int left = upstream_.TimeLeft();
  const uint64_t now = DnsNow();
  for (uint32_t i = 0; client_count_ > 0 && i < kMaxClients; ++i) {
    if (clients_[i].fd < 0 || clients_[i].waiting) continue;
    const int until = clients_[i].deadline > now ? static_cast<int>(clients_[i].deadline - now) : 0;
    if (left < 0 || until < left) left = until;
  }
  return left;
}

void Responder::OnTime() {
  upstream_.OnTime();
  const uint64_t now = DnsNow();
  for (uint32_t i = 0; client_count_ > 0 && i < kMaxClients; ++i) {
    if (clients_[i].fd >= 0 && !clients_[i].waiting && clients_[i].deadline <= now) CloseClient(i);
  }
}

void Responder::Run() {
  // A file that is there already is an earlier server's; ours is still to come.
  while (true) {
    epoll_event events[kEvents];
    const int count = epoll_wait(epoll_, events, kEvents, TimeLeft());
    if (count < 0 && errno != EINTR) _exit(1);
    for (int i = 0; i < count; ++i) {
      const uint64_t tag = events[i].data.u64;
      if (tag >= kUpstream) {
        upstream_.OnReady(static_cast<uint32_t>(tag - kUpstream), events[i].events);
      } else if (tag >= kClients) {
        OnClient(static_cast<uint32_t>(tag - kClients), events[i].events);
      } else if (tag == kUdp4 || tag == kUdp6) {
        OnUdp(udp_[tag - kUdp4]);
      } else if (tag == kTcp4 || tag == kTcp6) {
        OnListener(tcp_[tag - kTcp4]);
      } else {
        ReloadIfChanged();
      }
    }
    OnTime();
  }
}

bool Bind(int fd, const DnsServeMessage& start, bool ip6, uint16_t port) {
  const int on = 1;
  if (ip6) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    memcpy(&address.sin6_addr, start.ip6, sizeof start.ip6);
    // Also before duplicate detection has made sure of the address.
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
    return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  memcpy(&address.sin_addr, start.ip, sizeof start.ip);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// UDP and TCP on one port, of both families if there are two. *port: 0 for any.
bool BindAll(const DnsServeMessage& start, bool with_ip6, uint16_t* port, Held* udp, Held* tcp) {
  for (int i = 0; i < (with_ip6 ? 2 : 1); ++i) {
    const int family = i == 0 ? AF_INET : AF_INET6;
    constexpr int kFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    const int on = 1;
    tcp[i].Reset(socket(family, SOCK_STREAM | kFlags, 0));
    udp[i].Reset(socket(family, SOCK_DGRAM | kFlags, 0));
    // Connections of an earlier server may still be closing.
    (void)setsockopt(tcp[i].get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!tcp[i].valid() || !udp[i].valid() || !Bind(tcp[i].get(), start, i == 1, *port)) {
      return false;
    }
    if (*port == 0) {
      sockaddr_in address{};
      socklen_t size = sizeof address;
      if (getsockname(tcp[i].get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return false;
      }
      *port = ntohs(address.sin_port);
    }
    if (!Bind(udp[i].get(), start, i == 1, *port) || listen(tcp[i].get(), kBacklog) != 0) {
      return false;
    }
    // Bursts wait here while a file of many names is being read.
    (void)setsockopt(udp[i].get(), SOL_SOCKET, SO_RCVBUF, &kUdpBuffer, sizeof kUdpBuffer);
  }
  return true;
}

// What it reads comes from containers: it may do no more than answer.
void DropPrivileges() {
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // In a user namespace without that id it stays what it is, but without capabilities.
  (void)sys::SetGroups(0, nullptr);
  (void)sys::SetGid(kNobody);
  (void)sys::SetUid(kNobody);
  (void)sys::CapSet({0, 0, 0});
}

bool Start(int control, Packet& packet, Failure& failure) {
  const auto* message = packet.As<DnsServeMessage>();
  if (message == nullptr || packet.fd_count != 1) {
    errno = EPROTO;
    return Fail(failure, "read", "start of the name server");
  }
  static DnsServeMessage start;
  start = *message;
  start.records[sizeof start.records - 1] = '\0';
  start.resolv_conf[sizeof start.resolv_conf - 1] = '\0';
  const int directory = packet.fds[0];

  Held udp[2], tcp[2];
  static constexpr uint8_t kNone[16] = {};
  const bool with_ip6 = memcmp(start.ip6, kNone, sizeof kNone) != 0;
  uint16_t port = start.port;
  for (int attempt = 0; !BindAll(start, with_ip6, &port, udp, tcp); ++attempt) {
    if ((errno != EADDRINUSE && errno != EACCES) || attempt == kPortAttempts) {
      return Fail(failure, "bind", "the name server's address");
    }
    port = 0;
  }
  Held inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  Text<32> path;
  path << "/proc/self/fd/" << directory;
  if (!inotify.valid() ||
      inotify_add_watch(inotify.get(), path.c_str(), IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM) < 0) {
    return Fail(failure, "inotify_add_watch", "records of names");
  }
  Held epoll(epoll_create1(EPOLL_CLOEXEC));
  void* memory =
      mmap(nullptr, sizeof(Responder), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!epoll.valid() || memory == MAP_FAILED) return Fail(failure, "epoll_create1");
  auto* const responder = new (memory) Responder(epoll.get(), directory, inotify.get(), start);
  bool watched = responder->Watch(inotify.get(), kRecords);
  for (int i = 0; i < (with_ip6 ? 2 : 1); ++i) {
    watched = watched && responder->Watch(udp[i].get(), kUdp4 + static_cast<uint64_t>(i)) &&
              responder->Watch(tcp[i].get(), kTcp4 + static_cast<uint64_t>(i));
  }
  if (!watched) return Fail(failure, "epoll_ctl");
  const int udp_fds[2] = {udp[0].get(), udp[1].get()};
  const int tcp_fds[2] = {tcp[0].get(), tcp[1].get()};
  responder->SetSockets(udp_fds, tcp_fds);

  clone_args args{};
  args.exit_signal = SIGCHLD;
  const pid_t pid = sys::Clone3(args);
  if (pid < 0) return Fail(failure, "clone3", "name server");
  if (pid == 0) {
    close(control);
    DropPrivileges();
    responder->Run();
  }
  const DnsServingMessage serving{pid, port};
  if (SendMessage(control, Message::kDnsServing, &serving, sizeof serving)) return true;
  (void)kill(pid, SIGKILL);
  return false;
}

}  // namespace

int RunDnsResponder(int control) {
  prctl(PR_SET_NAME, "minibox-dns");
  umask(0);
  if (chdir("/") != 0) return 1;
  (void)signal(SIGPIPE, SIG_IGN);
  static Packet packet;
  Failure failure{};
  if (ReceiveMessage(control, packet) == Received::kMessage && Start(control, packet, failure)) {
    return 0;
  }
  (void)SendMessage(control, Message::kFailed, &failure, sizeof failure);
  return 1;
}

}  // namespace minibox::init
