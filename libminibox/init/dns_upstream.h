// SPDX-License-Identifier: Apache-2.0
// Questions that others have to answer: sent on as they came, but with an id and a port of their
// own, to one server after the other. UDP questions over UDP, a truncated answer included; TCP
// questions over TCP. Only in minibox-init.
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "init/dns_message.h"
#include "init/dns_records.h"

namespace minibox::init {

inline constexpr uint32_t kMaxOutstanding = 256;
inline constexpr uint32_t kMaxDnsServers = 8;

// Who has asked, and where the answer goes.
struct DnsClient {
  sockaddr_storage address;  // UDP
  socklen_t address_size;
  int udp_socket;           // -1: over TCP
  uint32_t connection = 0;  // TCP: which, and of which time
  uint64_t serial = 0;
};

class DnsUpstream {
 public:
  // Delivers the answer to a client; not called from Forward.
  using Deliver = void (*)(void* context, const DnsClient& client, const uint8_t* message,
                           size_t size);

  // `resolv_conf`: path of the host's configuration, read again when it has changed.
  DnsUpstream(int epoll, uint64_t epoll_tag, const char* resolv_conf, Deliver deliver,
              void* context);

  // `servers` empty: the host's. False if the question cannot be sent on: too many are.
  bool Forward(const DnsClient& client, const uint8_t* message, size_t size, const DnsQuery& query,
               const DnsServer* servers, uint32_t server_count);
  // What epoll has to say of tag + `index`.
  void OnReady(uint32_t index, uint32_t events);
  // Milliseconds until OnTime has to be called; -1: none.
  int TimeLeft() const;
  void OnTime();

 private:
  struct Pending {
    bool used, tcp, sent;
    int fd;
    uint16_t client_id, id;
    DnsClient client;
    uint64_t deadline;  // ms
    DnsServer servers[kMaxDnsServers];
    uint32_t server_count, attempt;
    uint32_t question_end, size;
    uint8_t message[kMaxDnsQuery + 2];  // with room for the length of TCP in front
    uint8_t* reply;                     // TCP: mapped
    uint32_t reply_size;
    uint8_t* bytes() { return message + 2; }
  };
  void ReadHostServers();
  // To the next server until one can be asked; else the client gets a failure.
  void Ask(uint32_t index);
  bool Send(Pending& pending, uint32_t index);
  void CloseSocket(Pending& pending);
  void Finish(Pending& pending, const uint8_t* message, size_t size);
  void Fail(Pending& pending);
  void OnUdp(uint32_t index);
  void OnTcp(uint32_t index, uint32_t events);
  // A whole answer: to the client, or another server is to try.
  void OnReply(uint32_t index, uint8_t* reply, size_t size);
  uint16_t RandomId();

  const int epoll_;
  const uint64_t tag_;
  const char* const resolv_conf_;
  const Deliver deliver_;
  void* const context_;
  Pending* pending_;
  uint32_t used_ = 0;
  DnsServer host_[kMaxDnsServers];
  uint32_t host_count_ = 0;
  struct stat host_stat_ {};
  uint16_t random_[64];
  uint32_t random_left_ = 0;
};

uint64_t DnsNow();  // milliseconds, monotonic

}  // namespace minibox::init
