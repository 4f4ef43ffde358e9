// SPDX-License-Identifier: Apache-2.0
#include "network/ports.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <set>

namespace minibox::network {
namespace {

using Protocol = PortMapping::Protocol;

const PortHolder kNobody = [](const PortMapping&) { return std::string(); };

PortMapping Port(std::string ip, uint16_t host, uint16_t container,
                 Protocol protocol = Protocol::kTcp) {
  return {std::move(ip), host, container, protocol};
}

// A port that was free a moment ago.
uint16_t FreePort() {
  const auto bound = BindPorts({Port("", 0, 80)}, kNobody);
  return bound.ok() ? bound->ports[0].host_port : 0;
}

TEST(Ports, ShownWithAddressAndProtocol) {
  EXPECT_EQ(FormatHostPort(Port("", 8080, 80)), "0.0.0.0:8080/tcp");
  EXPECT_EQ(FormatHostPort(Port("127.0.0.1", 53, 53, Protocol::kUdp)), "127.0.0.1:53/udp");
  EXPECT_EQ(FormatHostPort(Port("::", 53, 53)), "[::]:53/tcp");
}

TEST(Ports, ConflictOnlyOnSameAddressPortAndProtocol) {
  EXPECT_TRUE(Conflicts(Port("", 80, 1), Port("127.0.0.1", 80, 2)));
  EXPECT_TRUE(Conflicts(Port("10.0.0.1", 80, 1), Port("10.0.0.1", 80, 2)));
  EXPECT_FALSE(Conflicts(Port("10.0.0.1", 80, 1), Port("127.0.0.1", 80, 2)));
  EXPECT_FALSE(Conflicts(Port("", 80, 1), Port("", 81, 1)));
  EXPECT_FALSE(Conflicts(Port("", 80, 1), Port("::", 80, 1)));
  EXPECT_TRUE(Conflicts(Port("::1", 80, 1), Port("::", 80, 1)));
  EXPECT_FALSE(Conflicts(Port("", 80, 1), Port("", 80, 1, Protocol::kUdp)));
}

TEST(Ports, NormalFormHasNoAddressForAllAddresses) {
  const auto ports = NormalizePorts({Port("0.0.0.0", 80, 80), Port("127.0.0.1", 81, 80)});
  ASSERT_TRUE(ports.ok());
  EXPECT_EQ(ports->at(0).host_ip, "");
  EXPECT_EQ(ports->at(1).host_ip, "127.0.0.1");
}

TEST(Ports, RefusesWhatCannotBePublished) {
  const std::vector<std::vector<PortMapping>> bad = {
      {Port("localhost", 80, 80)},
      {Port("::1%lo", 80, 80)},
      {Port("::ffff", 80, 80), Port("::ffff", 80, 81)},
      {Port("::1", 80, 80)},
      {Port("", 80, 80), Port("fd00::1", 80, 81)},
      {Port("fd00::1", 80, 80), Port("::", 80, 81)},
      {Port("", 80, 0)},
      {Port("", 80, 80), Port("127.0.0.1", 80, 81)},
  };
  for (const auto& ports : bad) {
    const auto normal = NormalizePorts(ports);
    ASSERT_FALSE(normal.ok());
    EXPECT_EQ(normal.status().code(), StatusCode::kInvalidArgument);
    EXPECT_TRUE(normal.status().field().starts_with("ports[")) << normal.status().field();
  }
  // Several free ones do not conflict.
  EXPECT_TRUE(NormalizePorts({Port("", 0, 80), Port("", 0, 80)}).ok());
}

TEST(Ports, FreePortsAreDistinctAndInTheRange) {
  std::vector<PortMapping> wanted(20, Port("", 0, 80));
  const auto bound = BindPorts(wanted, kNobody);
  ASSERT_TRUE(bound.ok()) << bound.status().ToString();
  std::set<uint16_t> seen;
  for (const PortMapping& port : bound->ports) {
    EXPECT_GE(port.host_port, 32768);
    EXPECT_LE(port.host_port, 60999);
    seen.insert(port.host_port);
  }
  EXPECT_EQ(seen.size(), 20u);
}

TEST(Ports, AllAddressesAreThoseOfBothKindsWhereThereIsIpv6) {
  const auto bound =
      BindPorts({Port("", 0, 80), Port("127.0.0.1", 0, 81)}, kNobody, {}, nullptr, true);
  ASSERT_TRUE(bound.ok()) << bound.status().ToString();
  ASSERT_EQ(bound->ports.size(), 3u);
  EXPECT_EQ(bound->ports[1].host_ip, "::");
  EXPECT_EQ(bound->ports[0].host_port, bound->ports[1].host_port);
  EXPECT_NE(bound->ports[0].host_port, bound->ports[2].host_port);
  EXPECT_EQ(BindPorts({Port("::1", bound->ports[0].host_port, 80)}, kNobody).status().reason(),
            "port_in_use");
  // Half of it is taken.
  const auto half = BindPorts({Port("::", 0, 80)}, kNobody);
  ASSERT_TRUE(half.ok());
  const uint16_t taken = half->ports[0].host_port;
  EXPECT_TRUE(BindPorts({Port("", taken, 80)}, kNobody).ok());
  const auto refused = BindPorts({Port("", taken, 80)}, kNobody, {}, nullptr, true);
  EXPECT_EQ(refused.status().reason(), "port_in_use");
  EXPECT_TRUE(BindPorts({Port("", taken, 80)}, kNobody).ok());
}

TEST(Ports, TakenPortNamesPortAndHolder) {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    const auto first = BindPorts({Port("", 0, 80, protocol)}, kNobody);
    ASSERT_TRUE(first.ok());
    const uint16_t taken = first->ports[0].host_port;
    for (const char* ip : {"", "127.0.0.1"}) {
      const auto second = BindPorts({Port(ip, taken, 80, protocol)},
                                    [](const PortMapping&) { return std::string("ab12cd34"); });
      ASSERT_FALSE(second.ok());
      EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
      EXPECT_EQ(second.status().reason(), "port_in_use");
      EXPECT_NE(second.status().message().find(std::to_string(taken)), std::string::npos);
      EXPECT_NE(second.status().message().find("ab12cd34"), std::string::npos);
    }
  }
}

TEST(Ports, ProtocolsAndAddressesAreApart) {
  const auto tcp = BindPorts({Port("127.0.0.1", 0, 80)}, kNobody);
  ASSERT_TRUE(tcp.ok());
  const uint16_t port = tcp->ports[0].host_port;
  EXPECT_TRUE(BindPorts({Port("127.0.0.1", port, 80, Protocol::kUdp)}, kNobody).ok());
  EXPECT_TRUE(BindPorts({Port("127.0.0.2", port, 80)}, kNobody).ok());
}

TEST(Ports, AllOrNothing) {
  const auto taken = BindPorts({Port("", 0, 80)}, kNobody);
  ASSERT_TRUE(taken.ok());
  const uint16_t free = FreePort();
  ASSERT_FALSE(
      BindPorts({Port("", free, 80), Port("", taken->ports[0].host_port, 80)}, kNobody).ok());
  EXPECT_TRUE(BindPorts({Port("", free, 80)}, kNobody).ok());
}

TEST(Ports, SomebodyElsesReuseOfTheAddressDoesNotGetTheHeldPort) {
  const auto held = BindPorts({Port("", 0, 80)}, kNobody);
  ASSERT_TRUE(held.ok());
  const core::Fd other(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ASSERT_EQ(setsockopt(other.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(held->ports[0].host_port);
  EXPECT_NE(bind(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

TEST(Ports, AddressOfAnotherHostIsRefused) {
  const auto bound = BindPorts({Port("192.0.2.250", 8080, 80)}, kNobody);
  ASSERT_FALSE(bound.ok());
  EXPECT_EQ(bound.status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace minibox::network
