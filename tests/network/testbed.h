// SPDX-License-Identifier: Apache-2.0
// A host in a network namespace of its own, with a neighbour and containers that are nothing
// but namespaces: enough to send packets.
//
//   neighbour 198.51.100.2 ── ext0 198.51.100.1 host minibox0 172.19.0.1 ── containers
//
// Sockets keep living in the namespace that they were made in, so a test makes them on a short
// thread inside and uses them from outside.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/fd.h"
#include "minibox/network.h"
#include "network/network_impl.h"
#include "support/scratch.h"

namespace minibox::testing {

// What Runtime gets as a friend. An explicit instantiation may name what is private.
template <auto Member>
struct PrivateMember {
  friend auto ImplOf(const Network& network) { return network.*Member; }
};
auto ImplOf(const Network& network);
template struct PrivateMember<&Network::impl_>;
using NetworkImpl = decltype(ImplOf(std::declval<const Network&>()));

class Namespace {
 public:
  Namespace();
  Namespace(Namespace&&) = default;
  Namespace& operator=(Namespace&&) = default;
  int netns() const { return netns_.get(); }
  int rtnetlink() const { return rtnetlink_.get(); }
  // Runs on a thread inside and waits.
  void Run(const std::function<void()>& function) const;

 private:
  core::Fd netns_, rtnetlink_;
};

// An IPv4 or IPv6 address and a port, for system calls.
class SocketAddress {
 public:
  SocketAddress(const std::string& ip, uint16_t port);
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const;
  int family() const { return storage_.ss_family; }

 private:
  sockaddr_storage storage_ = {};
};

// A place to make a socket: nullptr is the host.
using Place = const Namespace*;

core::Fd ListenTcp(Place place, uint16_t port, const std::string& ip = "0.0.0.0");
core::Fd BindUdp(Place place, uint16_t port, const std::string& ip = "0.0.0.0");

enum class Outcome { kConnected, kRefused, kSilent };
struct Connection {
  Outcome outcome = Outcome::kSilent;
  core::Fd fd{};
};
// Silence is half a second without an answer, longer on a busy machine.
Connection Connect(Place place, const std::string& ip, uint16_t port,
                   const std::string& source = "");
// Connects and passes one byte each way through `listener`; the address that the server saw, or
// what went wrong.
std::string SeenBy(int listener, Place client, const std::string& ip, uint16_t port,
                   const std::string& source = "");
// One datagram each way; the address that the server saw, or what went wrong.
std::string SeenByUdp(int server, Place client, const std::string& ip, uint16_t port);

// Whether an echo request is answered.
bool Pings(Place from, const std::string& ip);

// Whether a datagram sent from one socket arrives at the other (-1: nobody looks).
bool Delivers(int from, const std::string& ip, uint16_t port, int to);

struct Container {
  std::string id;
  Namespace inside{};
  network::Reservation reservation{};
  const std::string& ip() const { return reservation.endpoint.ip; }
  const std::string& ip6() const { return reservation.endpoint.ip6; }
  uint16_t port(size_t i = 0) const { return reservation.endpoint.ports.at(i).host_port; }
};

class Testbed {
 public:
  Testbed();
  ~Testbed();

  Network Open() const;
  // Reserve and Attach, or a test failure.
  std::unique_ptr<Container> Start(const std::string& id, std::vector<PortMapping> ports = {});
  std::unique_ptr<Container> StartOn(const std::string& network, const std::string& id,
                                     std::vector<PortMapping> ports = {});
  StatusOr<std::unique_ptr<Container>> TryStart(const std::string& id,
                                                std::vector<PortMapping> ports = {},
                                                const std::string& network = "bridge");
  StatusOr<std::unique_ptr<Container>> TryStart(const network::EndpointRequest& request);
  NetworkImpl& impl() { return impl_; }
  // With the present options.
  void Reopen() { impl_ = ImplOf(Open()); }

  Scratch scratch;
  NetworkOptions options;
  Namespace neighbour;

 private:
  NetworkImpl impl_;
};

// Exit status 0. Output is dropped.
bool Shell(const std::string& command);
std::string Output(const std::string& command);
bool LinkExists(const std::string& name);
// Waits until the kernel has taken a dead namespace's link away.
bool LinkVanishes(const std::string& name);
PortMapping Tcp(uint16_t host, uint16_t container, std::string ip = "");
PortMapping Udp(uint16_t host, uint16_t container, std::string ip = "");

}  // namespace minibox::testing
