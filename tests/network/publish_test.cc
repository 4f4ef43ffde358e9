// SPDX-License-Identifier: Apache-2.0
// What packets do: published ports, isolation, masquerading, spoofing.
#include <gtest/gtest.h>

#include "network/testbed.h"

namespace minibox::testing {
namespace {

constexpr const char* kHost = "198.51.100.1";
constexpr const char* kNeighbour = "198.51.100.2";
constexpr const char* kGateway = "172.19.0.1";

TEST(Publish, TcpFromEverywhere) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  const auto other = bed.Start("bbbbbbbb");
  const core::Fd server = ListenTcp(&web->inside, 80);
  const auto seen = [&](Place from, const char* ip) {
    return SeenBy(server.get(), from, ip, 8080);
  };

  EXPECT_EQ(seen(&bed.neighbour, kHost), kNeighbour);  // its address is preserved
  EXPECT_EQ(seen(nullptr, "127.0.0.1"), kGateway);
  EXPECT_EQ(seen(nullptr, "127.1.2.3"), kGateway);
  EXPECT_EQ(seen(nullptr, kHost), kHost);
  EXPECT_EQ(seen(nullptr, kGateway), kGateway);
  // Hairpin: from a container by an address of the host, itself included.
  EXPECT_EQ(seen(&other->inside, kHost), kGateway);
  EXPECT_EQ(seen(&other->inside, kGateway), kGateway);
  EXPECT_EQ(seen(&web->inside, kHost), kGateway);
  // Directly inside the network.
  EXPECT_EQ(SeenBy(server.get(), &other->inside, web->ip(), 80), other->ip());
  EXPECT_EQ(SeenBy(server.get(), nullptr, web->ip(), 80), kGateway);
  ASSERT_TRUE(bed.impl()->Release("aaaaaaaa").ok());
  ASSERT_TRUE(bed.impl()->Release("bbbbbbbb").ok());
}

TEST(Publish, UdpFromEverywhere) {
  Testbed bed;
  const auto dns = bed.Start("aaaaaaaa", {Udp(5300, 53)});
  const auto other = bed.Start("bbbbbbbb");
  const core::Fd server = BindUdp(&dns->inside, 53);
  EXPECT_EQ(SeenByUdp(server.get(), &bed.neighbour, kHost, 5300), kNeighbour);
  EXPECT_EQ(SeenByUdp(server.get(), nullptr, "127.0.0.1", 5300), kGateway);
  EXPECT_EQ(SeenByUdp(server.get(), nullptr, kHost, 5300), kHost);
  EXPECT_EQ(SeenByUdp(server.get(), &other->inside, kHost, 5300), kGateway);
}

// Sends from one socket again and again: the kernel takes it for one conversation.
TEST(Publish, UdpSenderThatNeverPausesFollowsTheContainer) {
  Testbed bed;
  ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
  const core::Fd sender = BindUdp(&bed.neighbour, 6000);
  EXPECT_FALSE(Delivers(sender.get(), kHost, 5300, -1));  // nobody there yet
  for (const char* id : {"aaaaaaaa", "bbbbbbbb"}) {
    auto server = bed.Start(id, {Udp(5300, 53)});
    const core::Fd socket = BindUdp(&server->inside, 53);
    EXPECT_TRUE(Delivers(sender.get(), kHost, 5300, socket.get())) << id;
    ASSERT_TRUE(bed.impl()->Release(id).ok());
    server->reservation.sockets.clear();
    EXPECT_FALSE(Delivers(sender.get(), kHost, 5300, socket.get())) << id;
  }
}

TEST(Publish, TheApiKeepsItsOwnAddress) {
  Testbed bed;
  // A port that no other test publishes: the listener's connections linger.
  const core::Fd api = ListenTcp(nullptr, 8099, "127.0.0.1");
  Network network = bed.Open();
  NetworkImpl impl = ImplOf(network);
  EXPECT_EQ(impl->Reserve({"aaaaaaaa", "bridge", "", {Tcp(8099, 80)}}).status().reason(),
            "port_in_use");
  network.SetApiListener("127.0.0.1", 8099);
  const Namespace inside;
  const auto reservation = impl->Reserve({"aaaaaaaa", "bridge", "", {Tcp(8099, 80)}});
  ASSERT_TRUE(reservation.ok()) << reservation.status().ToString();
  ASSERT_EQ(reservation->warnings.size(), 1u);
  EXPECT_NE(reservation->warnings[0].find("8099"), std::string::npos);
  ASSERT_TRUE(
      impl->Attach(reservation->endpoint, "aaaaaaaa", inside.netns(), inside.rtnetlink()).ok());
  const core::Fd server = ListenTcp(&inside, 80);
  EXPECT_EQ(SeenBy(api.get(), nullptr, "127.0.0.1", 8099), "127.0.0.1");
  EXPECT_EQ(SeenBy(server.get(), nullptr, "198.51.100.1", 8099), "198.51.100.1");
  EXPECT_EQ(SeenBy(server.get(), &bed.neighbour, "198.51.100.1", 8099), "198.51.100.2");
  // The next one is told who has it, and somebody else on another address is no exception.
  const auto taken = impl->Reserve({"bbbbbbbb", "bridge", "", {Tcp(8099, 80)}});
  EXPECT_EQ(taken.status().reason(), "port_in_use");
  EXPECT_NE(taken.status().message().find("aaaaaaaa"), std::string::npos);
  ASSERT_TRUE(impl->Release("aaaaaaaa").ok());
  // The API is asked for the port of one address only.
  EXPECT_EQ(
      impl->Reserve({"bbbbbbbb", "bridge", "", {Tcp(8099, 80, "127.0.0.1")}}).status().reason(),
      "port_in_use");
}

TEST(Publish, OneHostAddressOnly) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80, kHost)});
  const core::Fd server = ListenTcp(&web->inside, 80);
  EXPECT_EQ(SeenBy(server.get(), &bed.neighbour, kHost, 8080), kNeighbour);
  EXPECT_EQ(SeenBy(server.get(), nullptr, kHost, 8080), kHost);
  EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), "refused");
  EXPECT_EQ(SeenBy(server.get(), nullptr, kGateway, 8080), "refused");
}

TEST(Publish, LoopbackOnlyIsNotForNeighbours) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80, "127.0.0.1")});
  const auto other = bed.Start("bbbbbbbb");
  const core::Fd server = ListenTcp(&web->inside, 80);
  EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), kGateway);
  EXPECT_EQ(SeenBy(server.get(), nullptr, kHost, 8080), "refused");
  EXPECT_EQ(SeenBy(server.get(), &bed.neighbour, kHost, 8080), "refused");
  EXPECT_EQ(SeenBy(server.get(), &other->inside, kGateway, 8080), "refused");
  // A neighbour or a container that sends packets for 127.0.0.1 over the wire.
  for (const Namespace* attacker : {&bed.neighbour, &other->inside}) {
    const char* way = attacker == &bed.neighbour ? kHost : kGateway;
    attacker->Run([&] {
      ASSERT_TRUE(Shell("echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet"));
      ASSERT_TRUE(
          Shell("ip rule add pref 1 to 127.0.0.1 table 7 && ip rule del pref 0 && "
                "ip rule add pref 9 table local"));
      ASSERT_TRUE(Shell(std::string("ip route add 127.0.0.1 via ") + way + " table 7"));
    });
    EXPECT_EQ(SeenBy(server.get(), attacker, "127.0.0.1", 8080), "silent");
  }
}

TEST(Isolation, LoopbackServicesOfTheHostAreOutOfReach) {
  Testbed bed;
  const auto container = bed.Start("aaaaaaaa");
  const core::Fd service = ListenTcp(nullptr, 9000, "127.0.0.1");
  ASSERT_EQ(SeenBy(service.get(), nullptr, "127.0.0.1", 9000), "127.0.0.1");
  EXPECT_EQ(Connect(&container->inside, kGateway, 9000).outcome, Outcome::kRefused);
  container->inside.Run([&] {
    ASSERT_TRUE(Shell("echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet"));
    ASSERT_TRUE(
        Shell("ip rule add pref 1 to 127.0.0.1 table 7 && ip rule del pref 0 && "
              "ip rule add pref 9 table local"));
    ASSERT_TRUE(Shell("ip route add 127.0.0.1 via 172.19.0.1 table 7"));
  });
  EXPECT_EQ(Connect(&container->inside, "127.0.0.1", 9000).outcome, Outcome::kSilent);
}

TEST(Isolation, ContainersReachOutsideAndOnlyAnswersComeIn) {
  Testbed bed;
  const auto container = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  const core::Fd outside = ListenTcp(&bed.neighbour, 7000);
  EXPECT_EQ(SeenBy(outside.get(), &container->inside, kNeighbour, 7000), kHost);  // masqueraded
  const core::Fd udp = BindUdp(&bed.neighbour, 7001);
  EXPECT_EQ(SeenByUdp(udp.get(), &container->inside, kNeighbour, 7001), kHost);

  const core::Fd server = ListenTcp(&container->inside, 80);
  const core::Fd hidden = ListenTcp(&container->inside, 81);
  EXPECT_EQ(Connect(&bed.neighbour, container->ip(), 81).outcome, Outcome::kSilent);
  EXPECT_EQ(Connect(&bed.neighbour, container->ip(), 80).outcome, Outcome::kSilent);
  EXPECT_EQ(SeenBy(server.get(), &bed.neighbour, kHost, 8080), kNeighbour);
}

TEST(Isolation, TrafficThatPassesThroughTheHostIsLeftAlone) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(7000, 80)});
  const core::Fd server = ListenTcp(&web->inside, 80);
  const core::Fd outside = ListenTcp(&bed.neighbour, 7000);
  const auto other = bed.Start("bbbbbbbb");
  // The published port of the same number is for the host's own addresses only.
  EXPECT_EQ(SeenBy(outside.get(), &other->inside, kNeighbour, 7000), kHost);
}

TEST(Isolation, ContainerSendsOnlyWithItsOwnAddresses) {
  Testbed bed;
  const auto honest = bed.Start("aaaaaaaa");
  const auto liar = bed.Start("bbbbbbbb");
  const core::Fd server = ListenTcp(&honest->inside, 80);
  ASSERT_EQ(SeenBy(server.get(), &liar->inside, honest->ip(), 80), liar->ip());
  liar->inside.Run([] { ASSERT_TRUE(Shell("ip address add 172.19.0.99/24 dev eth0")); });
  EXPECT_EQ(SeenBy(server.get(), &liar->inside, honest->ip(), 80, "172.19.0.99"), "silent");
  EXPECT_EQ(SeenBy(server.get(), &liar->inside, honest->ip(), 80), liar->ip());
  liar->inside.Run([] {
    ASSERT_TRUE(
        Shell("ip link set eth0 down && ip link set eth0 address 02:4d:ac:13:00:63 && "
              "ip link set eth0 up"));
  });
  EXPECT_EQ(SeenBy(server.get(), &liar->inside, honest->ip(), 80), "silent");
}

TEST(Endpoint, HasNameAddressMacMtuRouteAndNoIpv6) {
  Testbed bed;
  ASSERT_TRUE(Shell("ip route add default via 198.51.100.2"));  // over ext0, MTU 1400
  const auto container = bed.Start("aaaaaaaa");
  std::string links, addresses, routes;
  container->inside.Run([&] {
    links = Output("ip -o link");
    addresses = Output("ip -o address");
    routes = Output("ip route");
  });
  EXPECT_NE(links.find("eth0@"), std::string::npos) << links;
  EXPECT_NE(links.find("02:4d:ac:13:00:02"), std::string::npos) << links;
  EXPECT_NE(links.find("mtu 1400"), std::string::npos) << links;
  EXPECT_NE(links.find("lo: <LOOPBACK,UP,LOWER_UP>"), std::string::npos) << links;
  EXPECT_NE(addresses.find("inet 172.19.0.2/24 brd 172.19.0.255"), std::string::npos) << addresses;
  EXPECT_EQ(addresses.find("eth0    inet6"), std::string::npos) << addresses;
  EXPECT_NE(routes.find("default via 172.19.0.1 dev eth0"), std::string::npos) << routes;
  EXPECT_EQ(container->reservation.endpoint.mac, "02:4d:ac:13:00:02");
  EXPECT_TRUE(LinkExists("veth-aaaaaaaa"));
  EXPECT_EQ(Output("ip -6 -o address show dev veth-aaaaaaaa"), "");
  EXPECT_EQ(Output("ip -6 -o address show dev minibox0"), "");
}

TEST(Endpoint, LoopbackOnly) {
  Testbed bed;
  const Namespace none;
  ASSERT_TRUE(bed.impl()->SetUpLoopback(none.rtnetlink()).ok());
  const core::Fd server = ListenTcp(&none, 80);
  EXPECT_EQ(SeenBy(server.get(), &none, "127.0.0.1", 80), "127.0.0.1");
}

}  // namespace
}  // namespace minibox::testing
