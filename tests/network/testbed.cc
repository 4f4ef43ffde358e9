// SPDX-License-Identifier: Apache-2.0
#include "network/testbed.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "kernel/rtnetlink.h"

namespace minibox::testing {
namespace {

// Silence is this many slices of time without an answer. One that ends late does not count, unless
// all do: on a busy machine whoever is to answer comes as late.
constexpr int kSilentSlices = 10, kMostSlices = 200;
constexpr std::chrono::milliseconds kSlice(50), kLate(60);

// Whether something happened before there was silence.
bool HappensBeforeSilence(int fd, short events) {
  for (int punctual = 0, all = 0; punctual < kSilentSlices && all < kMostSlices; ++all) {
    const auto begin = std::chrono::steady_clock::now();
    pollfd waited = {fd, events, 0};
    if (poll(&waited, 1, static_cast<int>(kSlice.count())) == 1) return true;
    if (std::chrono::steady_clock::now() - begin < kLate) ++punctual;
  }
  return false;
}

bool IsIpv6(const std::string& ip) { return ip.find(':') != std::string::npos; }
std::string AnyLike(const std::string& ip) { return IsIpv6(ip) ? "::" : "0.0.0.0"; }

core::Fd Bound(Place place, int type, const std::string& ip, uint16_t port) {
  core::Fd fd;
  const auto make = [&] {
    const SocketAddress address(ip, port);
    fd.reset(socket(address.family(), type | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (IsIpv6(ip)) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd.get(), address.get(), address.size()) != 0) {
      ADD_FAILURE() << "bind " << ip << ":" << port << ": " << strerror(errno);
    }
  };
  place == nullptr ? make() : place->Run(make);
  return fd;
}

bool Readable(int fd) { return HappensBeforeSilence(fd, POLLIN); }

// The address without the port.
std::string Text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(&address);
  const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(&address);
  inet_ntop(
      address.ss_family,
      address.ss_family == AF_INET6 ? static_cast<const void*>(&ipv6->sin6_addr) : &ipv4->sin_addr,
      text, sizeof text);
  return text;
}

}  // namespace

SocketAddress::SocketAddress(const std::string& ip, uint16_t port) {
  auto* ipv4 = reinterpret_cast<sockaddr_in*>(&storage_);
  auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&storage_);
  const bool is_ipv6 = IsIpv6(ip);
  storage_.ss_family = is_ipv6 ? AF_INET6 : AF_INET;
  // In the same place of both.
  ipv4->sin_port = htons(port);
  void* const bytes = is_ipv6 ? static_cast<void*>(&ipv6->sin6_addr) : &ipv4->sin_addr;
  if (inet_pton(family(), ip.c_str(), bytes) != 1) abort();
}

socklen_t SocketAddress::size() const {
  return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

Namespace::Namespace() {
  std::thread([this] {
    if (unshare(CLONE_NEWNET) != 0) abort();
    netns_.reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    rtnetlink_.reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  }).join();
}

void Namespace::Run(const std::function<void()>& function) const {
  std::thread([&] {
    if (setns(netns_.get(), CLONE_NEWNET) != 0) abort();
    function();
  }).join();
}

core::Fd ListenTcp(Place place, uint16_t port, const std::string& ip) {
  core::Fd fd = Bound(place, SOCK_STREAM, ip, port);
  if (listen(fd.get(), 8) != 0) ADD_FAILURE() << "listen: " << strerror(errno);
  return fd;
}

core::Fd BindUdp(Place place, uint16_t port, const std::string& ip) {
  return Bound(place, SOCK_DGRAM, ip, port);
}

Connection Connect(Place place, const std::string& ip, uint16_t port, const std::string& source) {
  Connection connection;
  connection.fd = Bound(place, SOCK_STREAM, source.empty() ? AnyLike(ip) : source, 0);
  const int fd = connection.fd.get();
  fcntl(fd, F_SETFL, O_NONBLOCK);
  const SocketAddress address(ip, port);
  int error = 0;
  if (connect(fd, address.get(), address.size()) != 0) error = errno;
  if (error == EINPROGRESS) {
    if (!HappensBeforeSilence(fd, POLLOUT)) return connection;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  connection.outcome = error == 0 ? Outcome::kConnected : Outcome::kRefused;
  return connection;
}

std::string SeenBy(int listener, Place client, const std::string& ip, uint16_t port,
                   const std::string& source) {
  const Connection connection = Connect(client, ip, port, source);
  if (connection.outcome == Outcome::kRefused) return "refused";
  if (connection.outcome == Outcome::kSilent) return "silent";
  if (!Readable(listener)) return "connected to somebody else";
  sockaddr_storage peer = {};
  socklen_t size = sizeof peer;
  const core::Fd accepted(
      accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
  char byte = 'q';
  if (write(connection.fd.get(), &byte, 1) != 1 || !Readable(accepted.get()) ||
      read(accepted.get(), &byte, 1) != 1 || byte != 'q') {
    return "no request";
  }
  byte = 'a';
  if (write(accepted.get(), &byte, 1) != 1 || !Readable(connection.fd.get()) ||
      read(connection.fd.get(), &byte, 1) != 1 || byte != 'a') {
    return "no answer";
  }
  return Text(peer);
}

std::string SeenByUdp(int server, Place client, const std::string& ip, uint16_t port) {
  const core::Fd fd = BindUdp(client, 0, AnyLike(ip));
  const SocketAddress address(ip, port);
  // Connected: an answer from any other address does not count.
  if (connect(fd.get(), address.get(), address.size()) != 0) {
    return "unreachable";
  }
  if (send(fd.get(), "q", 1, 0) != 1) return "not sent";
  if (!Readable(server)) return "silent";
  char byte = 0;
  sockaddr_storage peer = {};
  socklen_t size = sizeof peer;
  if (recvfrom(server, &byte, 1, 0, reinterpret_cast<sockaddr*>(&peer), &size) != 1) {
    return "no request";
  }
  if (sendto(server, "a", 1, 0, reinterpret_cast<const sockaddr*>(&peer), size) != 1 ||
      !Readable(fd.get()) || recv(fd.get(), &byte, 1, 0) != 1) {
    return "no answer";
  }
  return Text(peer);
}

bool Delivers(int from, const std::string& ip, uint16_t port, int to) {
  const SocketAddress address(ip, port);
  if (sendto(from, "q", 1, 0, address.get(), address.size()) != 1) {
    ADD_FAILURE() << "sendto: " << strerror(errno);
  }
  char byte = 0;
  return to >= 0 && Readable(to) && recv(to, &byte, 1, 0) == 1;
}

bool Pings(Place from, const std::string& ip) {
  const bool ipv6 = IsIpv6(ip);
  core::Fd fd;
  const auto make = [&] {
    fd.reset(socket(ipv6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC,
                    ipv6 ? static_cast<int>(IPPROTO_ICMPV6) : static_cast<int>(IPPROTO_ICMP)));
  };
  from == nullptr ? make() : from->Run(make);
  // The type, 8 or 128, then the checksum of it and an identifier; of IPv6 the kernel makes it.
  const uint8_t request[8] = {
      static_cast<uint8_t>(ipv6 ? 128 : 8), 0, 0xe5, 0xca, 0x12, 0x34, 0, 1};
  const SocketAddress address(ip, 0);
  if (sendto(fd.get(), request, sizeof request, 0, address.get(), address.size()) !=
      sizeof request) {
    return false;
  }
  while (Readable(fd.get())) {
    uint8_t packet[256];
    const ssize_t size = recv(fd.get(), packet, sizeof packet, 0);
    // Only of IPv4 one gets the header too.
    const ssize_t header = ipv6 || size < 1 ? 0 : (packet[0] & 15) * 4;
    if (size < header + 8) continue;
    const uint8_t* const icmp = packet + header;
    if (icmp[0] == (ipv6 ? 129 : 0) && icmp[4] == 0x12 && icmp[5] == 0x34) return true;
  }
  return false;
}

Testbed::Testbed() {
  options.state_dir = scratch / "networks";
  auto host = kernel::Rtnetlink::Open();
  auto outside = kernel::Rtnetlink::Wrap(neighbour.rtnetlink());
  if (!host.ok() || !outside.ok()) abort();
  kernel::VethSpec veth;
  veth.name = "ext0";
  veth.mtu = 1400;
  veth.peer_name = "eth0";
  veth.peer_mac = {2, 0, 0, 0, 0, 2};
  veth.peer_netns = neighbour.netns();
  EXPECT_TRUE(host->CreateVeth(veth).ok());
  EXPECT_TRUE(host->AddAddress({0xc6336401, 24, host->GetLink("ext0")->index}).ok());
  // Its way to everywhere is this host: also to the containers' own addresses.
  const auto set_up =
      outside->SetUpEndpoint({0xc6336402, 24, outside->GetLink("eth0")->index}, 0xc6336401);
  EXPECT_TRUE(set_up.ok()) << set_up.ToString();
  impl_ = ImplOf(Open());
}

Testbed::~Testbed() {
  EXPECT_TRUE(impl_->Reconcile({}).ok());
  const Status removed = impl_->Remove("bridge");
  EXPECT_TRUE(removed.ok()) << removed.ToString();
  EXPECT_TRUE(kernel::Rtnetlink::Open()->DeleteLink("ext0").ok());
}

Network Testbed::Open() const {
  auto network = Network::Open(options);
  if (!network.ok()) {
    ADD_FAILURE() << network.status().ToString();
    abort();
  }
  return *network;
}

StatusOr<std::unique_ptr<Container>> Testbed::TryStart(const std::string& id,
                                                       std::vector<PortMapping> ports,
                                                       const std::string& network) {
  return TryStart({id, network, "", std::move(ports)});
}

StatusOr<std::unique_ptr<Container>> Testbed::TryStart(const network::EndpointRequest& request) {
  const std::string& id = request.container;
  auto container = std::make_unique<Container>();
  container->id = id;
  auto reservation = impl_->Reserve(request);
  if (!reservation.ok()) return reservation.status();
  container->reservation = std::move(*reservation);
  const Status attached = impl_->Attach(container->reservation.endpoint, id,
                                        container->inside.netns(), container->inside.rtnetlink());
  if (!attached.ok()) return attached;
  for (const network::Endpoint& further : container->reservation.further) {
    const Status also =
        impl_->Attach(further, id, container->inside.netns(), container->inside.rtnetlink());
    if (!also.ok()) return also;
  }
  container->reservation.starting.reset();
  return container;
}

std::unique_ptr<Container> Testbed::Start(const std::string& id, std::vector<PortMapping> ports) {
  return StartOn("bridge", id, std::move(ports));
}

std::unique_ptr<Container> Testbed::StartOn(const std::string& network, const std::string& id,
                                            std::vector<PortMapping> ports) {
  auto container = TryStart(id, std::move(ports), network);
  if (!container.ok()) {
    ADD_FAILURE() << container.status().ToString();
    abort();
  }
  return std::move(*container);
}

bool Shell(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

std::string Output(const std::string& command) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) return text;
  char buffer[4096];
  while (fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  pclose(pipe);
  return text;
}

bool LinkExists(const std::string& name) { return if_nametoindex(name.c_str()) != 0; }

bool LinkVanishes(const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (LinkExists(name)) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    // Namespaces are freed in the kernel's own time.
    std::this_thread::yield();
  }
  return true;
}

PortMapping Tcp(uint16_t host, uint16_t container, std::string ip) {
  return {std::move(ip), host, container, PortMapping::Protocol::kTcp};
}
PortMapping Udp(uint16_t host, uint16_t container, std::string ip) {
  return {std::move(ip), host, container, PortMapping::Protocol::kUdp};
}

}  // namespace minibox::testing
