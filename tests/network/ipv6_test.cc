// SPDX-License-Identifier: Apache-2.0
// Networks with an IPv6 subnet, judged by packets.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <vector>

#include "kernel/address_events.h"
#include "kernel/rtnetlink.h"
#include "network/testbed.h"

namespace minibox::testing {
namespace {

constexpr char kHost[] = "2001:db8:1::1", kNeighbour[] = "2001:db8:1::2";

kernel::Address6 Address(const char* ip, int link) {
  kernel::Address6 address;
  EXPECT_EQ(inet_pton(AF_INET6, ip, address.address.data()), 1);
  address.prefix_length = 64;
  address.link = link;
  return address;
}

void GiveAddresses(Place place, const char* link, std::vector<const char*> ips,
                   const char* gateway = nullptr) {
  const auto give = [&] {
    auto rtnetlink = kernel::Rtnetlink::Open();
    auto events = kernel::AddressEvents::Open();
    const int index = rtnetlink->GetLink(link)->index;
    std::vector<kernel::Address6> addresses;
    for (const char* ip : ips) addresses.push_back(Address(ip, index));
    std::optional<kernel::Ipv6Address> way;
    if (gateway != nullptr) way = Address(gateway, index).address;
    EXPECT_TRUE(rtnetlink->AddAddresses6(addresses, way).ok());
    EXPECT_TRUE(events->Await(addresses, std::chrono::seconds(10)).ok());
  };
  place == nullptr ? give() : place->Run(give);
}

// A testbed whose host and neighbour have IPv6 addresses, and whose networks get some.
struct Ipv6Bed {
  Testbed bed;

  Ipv6Bed() {
    GiveAddresses(nullptr, "ext0", {kHost, "fe80::1"});
    // Its way to everywhere is this host: also to the containers' own addresses.
    GiveAddresses(&bed.neighbour, "eth0", {kNeighbour, "fe80::2"}, kHost);
    bed.options.ipv6 = true;
    bed.Reopen();
  }
  ~Ipv6Bed() {
    EXPECT_TRUE(bed.impl()->Reconcile({}).ok());
    const auto all = bed.impl()->List();
    for (const NetworkInfo& info : all.ok() ? *all : std::vector<NetworkInfo>()) {
      if (info.name == "bridge") continue;
      EXPECT_TRUE(bed.impl()->Remove(info.name).ok());
    }
  }
  NetworkInfo Create(const std::string& name, const std::string& subnet6, bool internal = false) {
    const auto info = bed.impl()->Create(Spec(name, subnet6, internal));
    EXPECT_TRUE(info.ok()) << info.status().ToString();
    return info.ok() ? *info : NetworkInfo();
  }
  static NetworkSpec Spec(const std::string& name, const std::string& subnet6,
                          bool internal = false) {
    NetworkSpec spec;
    spec.name = name;
    spec.subnet6 = subnet6;
    spec.internal = internal;
    spec.dns = false;
    return spec;
  }
};

std::string SettingIn(const Container& container, const std::string& setting) {
  std::string value;
  container.inside.Run([&] { value = Output("cat /proc/sys/net/ipv6/conf/" + setting); });
  return value;
}

TEST(Ipv6Network, IsOffUnlessAskedFor) {
  Testbed bed;
  const auto one = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  EXPECT_EQ(one->ip6(), "");
  EXPECT_EQ(one->reservation.endpoint.ports.size(), 1u);
  one->inside.Run([] { EXPECT_EQ(Output("ip -6 addr show eth0"), ""); });
  EXPECT_EQ(Output("ip -6 addr show minibox0"), "");
  EXPECT_EQ(Output("nft list tables").find("ip6"), std::string::npos);
  const auto refused = bed.TryStart("bbbbbbbb", {Tcp(8081, 80, "::")});
  EXPECT_EQ(refused.status().reason(), "invalid_argument");
  EXPECT_EQ(refused.status().field(), "ports[\"[::]:8081\"]");
}

TEST(Ipv6Network, ContainersReachEachOtherTheHostAndTheWorld) {
  Ipv6Bed six;
  const auto one = six.bed.Start("aaaaaaaa"), two = six.bed.Start("bbbbbbbb");
  const auto info = six.bed.impl()->Inspect("bridge");
  ASSERT_TRUE(info.ok());
  EXPECT_TRUE(info->subnet6.starts_with("fd") && info->subnet6.ends_with("::/64"));
  const std::string prefix = info->subnet6.substr(0, info->subnet6.size() - 3);
  EXPECT_EQ(one->ip6(), prefix + "2");
  EXPECT_EQ(info->containers.at("bbbbbbbb").ipv6, two->ip6());
  EXPECT_EQ(SettingIn(*one, "eth0/accept_ra"), "0\n");
  const core::Fd server = ListenTcp(&two->inside, 80, "::");
  const core::Fd udp = BindUdp(&two->inside, 81, "::");
  EXPECT_EQ(SeenBy(server.get(), &one->inside, two->ip6(), 80), one->ip6());
  EXPECT_EQ(SeenByUdp(udp.get(), &one->inside, two->ip6(), 81), one->ip6());
  EXPECT_EQ(SeenBy(server.get(), nullptr, two->ip6(), 80), prefix + "1");
  EXPECT_TRUE(Pings(&one->inside, two->ip6()));
  EXPECT_TRUE(Pings(&one->inside, prefix + "1"));
  EXPECT_TRUE(Pings(nullptr, one->ip6()));
  // Out with the host's address, and nobody gets in.
  const core::Fd outside = ListenTcp(&six.bed.neighbour, 7, "::");
  EXPECT_EQ(SeenBy(outside.get(), &one->inside, kNeighbour, 7), kHost);
  EXPECT_TRUE(Pings(&one->inside, kNeighbour));
  EXPECT_EQ(SeenBy(server.get(), &six.bed.neighbour, two->ip6(), 80), "silent");
  EXPECT_FALSE(Pings(&six.bed.neighbour, two->ip6()));
  // IPv4 is as it was.
  EXPECT_TRUE(Pings(&one->inside, two->ip()));
}

TEST(Ipv6Network, PublishedPortsAreReachedFromEverywhere) {
  Ipv6Bed six;
  six.Create("back", "fd00:2::/64");
  const auto web = six.bed.Start("aaaaaaaa", {Tcp(8080, 80), Udp(8081, 81)});
  ASSERT_EQ(web->reservation.endpoint.ports.size(), 4u);
  EXPECT_EQ(web->reservation.endpoint.ports[1].host_ip, "::");
  EXPECT_EQ(web->port(1), 8080);
  const auto sibling = six.bed.Start("bbbbbbbb");
  const auto stranger = six.bed.StartOn("back", "cccccccc");
  const core::Fd server = ListenTcp(&web->inside, 80, "::");
  const core::Fd udp = BindUdp(&web->inside, 81, "::");
  const std::string gateway = six.bed.impl()->Inspect("bridge")->subnet6;
  const std::string bridge = gateway.substr(0, gateway.size() - 3) + "1";
  // External clients keep their address.
  EXPECT_EQ(SeenBy(server.get(), &six.bed.neighbour, kHost, 8080), kNeighbour);
  EXPECT_EQ(SeenByUdp(udp.get(), &six.bed.neighbour, kHost, 8081), kNeighbour);
  EXPECT_NE(SeenBy(server.get(), nullptr, kHost, 8080), "silent");
  // Not from ::1, but at once: clients of 'localhost' then try the other loopback address.
  EXPECT_EQ(SeenBy(server.get(), nullptr, "::1", 8080), "refused");
  // Hairpin: a sibling and the container itself, through the host's address.
  EXPECT_EQ(SeenBy(server.get(), &sibling->inside, kHost, 8080), bridge);
  EXPECT_EQ(SeenBy(server.get(), &web->inside, kHost, 8080), bridge);
  EXPECT_NE(SeenBy(server.get(), &stranger->inside, kHost, 8080), "silent");
  // Only so: networks are isolated.
  EXPECT_EQ(SeenBy(server.get(), &stranger->inside, web->ip6(), 80), "silent");
  EXPECT_FALSE(Pings(&stranger->inside, web->ip6()));
  const core::Fd server4 = ListenTcp(&web->inside, 80);
  EXPECT_EQ(SeenBy(server4.get(), &six.bed.neighbour, "198.51.100.1", 8080), "198.51.100.2");
  // Nothing is left of it.
  ASSERT_TRUE(six.bed.impl()->Release("aaaaaaaa").ok());
  EXPECT_EQ(Connect(&six.bed.neighbour, kHost, 8080).outcome, Outcome::kRefused);
  EXPECT_EQ(Output("nft list map ip6 minibox published").find("elements"), std::string::npos);
  EXPECT_EQ(Output("nft list set bridge minibox endpoints6").find("veth-aaaaaaaa"),
            std::string::npos);
}

TEST(Ipv6Network, PortsOfOneAddressAndFreeOnes) {
  Ipv6Bed six;
  ASSERT_TRUE(six.bed.impl()->EnsureDefault().ok());
  const std::string subnet6 = six.bed.impl()->Inspect("bridge")->subnet6;
  const std::string bridge = subnet6.substr(0, subnet6.size() - 3) + "1";
  const auto web =
      six.bed.Start("aaaaaaaa", {Tcp(8080, 80, kHost), Tcp(8080, 81, bridge), Tcp(0, 80)});
  ASSERT_EQ(web->reservation.endpoint.ports.size(), 4u);
  EXPECT_EQ(web->port(2), web->port(3));
  const core::Fd one = ListenTcp(&web->inside, 80, "::"), two = ListenTcp(&web->inside, 81, "::");
  EXPECT_EQ(SeenBy(one.get(), &six.bed.neighbour, kHost, 8080), kNeighbour);
  EXPECT_EQ(SeenBy(one.get(), &six.bed.neighbour, kHost, web->port(3)), kNeighbour);
  EXPECT_EQ(SeenBy(two.get(), nullptr, bridge, 8080), bridge);
  // Taken by somebody else on IPv6 only: nothing is left of the attempt.
  const core::Fd other = ListenTcp(nullptr, 9090, "::");
  const std::string rules = Output("nft list ruleset");
  const auto refused = six.bed.TryStart("bbbbbbbb", {Tcp(9090, 80)});
  EXPECT_EQ(refused.status().reason(), "port_in_use");
  EXPECT_NE(refused.status().message().find("[::]:9090/tcp"), std::string::npos)
      << refused.status().message();
  EXPECT_EQ(Output("nft list ruleset"), rules);
  const auto holder = six.bed.TryStart("bbbbbbbb", {Tcp(8080, 80, "::")});
  EXPECT_NE(holder.status().message().find("'aaaaaaaa'"), std::string::npos)
      << holder.status().message();
  EXPECT_EQ(six.bed.TryStart("bbbbbbbb", {Tcp(8082, 80, "2001:db8:9::9")}).status().field(),
            "ports[\"[2001:db8:9::9]:8082\"]");
}

TEST(Ipv6Network, TheApisOwnListenerStaysReachable) {
  Ipv6Bed six;
  // A port of its own: connections to it linger on the host.
  const core::Fd api = ListenTcp(nullptr, 8088, "::1");
  six.bed.impl()->SetApiListener("::1", 8088);
  const auto web = six.bed.Start("aaaaaaaa", {Tcp(8088, 80)});
  ASSERT_EQ(web->reservation.warnings.size(), 1u);
  const core::Fd server = ListenTcp(&web->inside, 80, "::");
  EXPECT_EQ(SeenBy(api.get(), nullptr, "::1", 8088), "::1");
  EXPECT_EQ(SeenBy(server.get(), &six.bed.neighbour, kHost, 8088), kNeighbour);
}

TEST(Ipv6Network, InternalHasNoWayOut) {
  Ipv6Bed six;
  six.Create("vault", "fd00:3::/64", /*internal=*/true);
  const auto one = six.bed.StartOn("vault", "aaaaaaaa"), two = six.bed.StartOn("vault", "bbbbbbbb");
  EXPECT_TRUE(Pings(&one->inside, two->ip6()));
  one->inside.Run([] { EXPECT_TRUE(Shell("ip -6 route add default via fd00:3::1")); });
  EXPECT_FALSE(Pings(&one->inside, kNeighbour));
}

// Sends an ICMPv6 message of this type that names `target`; whether the listener gets it.
bool DeliversIcmp(Place from, const std::string& to, uint8_t type, const std::string& target,
                  int listener) {
  core::Fd fd;
  from->Run([&] { fd.reset(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6)); });
  // As these must be to count.
  const int hops = 255;
  setsockopt(fd.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops);
  uint8_t message[24] = {type};
  EXPECT_EQ(inet_pton(AF_INET6, target.c_str(), message + 8), 1);
  const SocketAddress address(to, 0);
  EXPECT_EQ(sendto(fd.get(), message, sizeof message, 0, address.get(), address.size()),
            static_cast<ssize_t>(sizeof message));
  pollfd waited = {listener, POLLIN, 0};
  while (poll(&waited, 1, 300) == 1) {
    uint8_t got[64] = {};
    if (recv(listener, got, sizeof got, 0) < 24) continue;
    if (got[0] == type && std::memcmp(got + 8, message + 8, 16) == 0) return true;
  }
  return false;
}

TEST(Ipv6Network, NobodySendsFromAnotherAddressOrAnswersForIt) {
  Ipv6Bed six;
  const auto one = six.bed.Start("aaaaaaaa"), two = six.bed.Start("bbbbbbbb");
  const core::Fd listener = BindUdp(&two->inside, 9, "::");
  const std::string base = one->ip6().substr(0, one->ip6().size() - 1);
  one->inside.Run([&] { EXPECT_TRUE(Shell("ip address add " + base + "77/64 dev eth0 nodad")); });
  EXPECT_TRUE(Delivers(BindUdp(&one->inside, 0, one->ip6()).get(), two->ip6(), 9, listener.get()));
  EXPECT_FALSE(
      Delivers(BindUdp(&one->inside, 0, base + "77").get(), two->ip6(), 9, listener.get()));
  one->inside.Run([&] { EXPECT_TRUE(Shell("ip address del " + base + "77/64 dev eth0")); });
  core::Fd icmp;
  two->inside.Run([&] { icmp.reset(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6)); });
  const auto delivers = [&](uint8_t type, const std::string& target) {
    return DeliversIcmp(&one->inside, two->ip6(), type, target, icmp.get());
  };
  EXPECT_TRUE(delivers(ND_NEIGHBOR_ADVERT, one->ip6()));
  EXPECT_FALSE(delivers(ND_NEIGHBOR_ADVERT, base + "1"));
  EXPECT_FALSE(delivers(ND_NEIGHBOR_ADVERT, base + "99"));
  EXPECT_FALSE(delivers(ND_ROUTER_ADVERT, one->ip6()));
  EXPECT_FALSE(delivers(ND_REDIRECT, one->ip6()));
  one->inside.Run([] { EXPECT_TRUE(Shell("ip link set eth0 address 02:00:00:00:00:99")); });
  EXPECT_FALSE(Delivers(BindUdp(&one->inside, 0, one->ip6()).get(), two->ip6(), 9, listener.get()));
}

TEST(Ipv6Network, BadInputNamesTheField) {
  Ipv6Bed six;
  const auto refusal = [&](const NetworkSpec& spec) {
    const auto info = six.bed.impl()->Create(spec);
    return info.ok() ? "created"
                     : info.status().reason() + " " + std::string(info.status().field());
  };
  const auto with = [](const char* subnet6) { return Ipv6Bed::Spec("x", subnet6); };
  for (const char* bad : {"fd00::", "fd00::1/64", "fe80::/64", "ff00::/64", "10.0.0.0/24", "x"}) {
    EXPECT_EQ(refusal(with(bad)), "invalid_argument subnet6") << bad;
  }
  NetworkSpec few = with("fd00::/120");
  few.subnet = "10.8.0.0/16";
  EXPECT_EQ(refusal(few), "invalid_argument subnet6");
  NetworkSpec mtu = with("fd00::/64");
  mtu.mtu = 1279;
  EXPECT_EQ(refusal(mtu), "invalid_argument mtu");
  six.Create("back", "fd00:2::/64");
  EXPECT_EQ(refusal(with("fd00:2::/80")), "subnet_conflict subnet6");
  EXPECT_EQ(refusal(with("2001:db8:1::/48")), "subnet_conflict subnet6");
  EXPECT_NE(six.bed.impl()->Create(with("2001:db8:1::/48")).status().message().find("'ext0'"),
            std::string::npos);
  EXPECT_EQ(six.bed.impl()->List()->size(), 2u);
}

TEST(Ipv6Network, IsRepairedAndKeptByOtherProcesses) {
  Ipv6Bed six;
  const NetworkInfo back = six.Create("back", "fd00:2::/64");
  const auto web = six.bed.StartOn("back", "aaaaaaaa", {Tcp(8080, 80)});
  const core::Fd server = ListenTcp(&web->inside, 80, "::");
  const auto works = [&] {
    return SeenBy(server.get(), &six.bed.neighbour, kHost, 8080) == kNeighbour;
  };
  EXPECT_TRUE(works());
  const auto reconcile = [&] { return six.bed.Open().Reconcile({"aaaaaaaa"}).ok(); };
  for (const std::string& damage :
       {std::string("nft flush ruleset"), std::string("nft delete table ip6 minibox"),
        "ip -6 addr flush dev " + back.bridge, "ip link del " + back.bridge,
        "echo 0 >/proc/sys/net/ipv6/conf/" + back.bridge + "/forwarding",
        std::string("echo 0 >/proc/sys/net/ipv6/conf/all/forwarding")}) {
    ASSERT_TRUE(Shell(damage)) << damage;
    ASSERT_TRUE(reconcile()) << damage;
    EXPECT_TRUE(works()) << damage;
  }
  // A start repairs too.
  ASSERT_TRUE(Shell("ip -6 addr flush dev " + back.bridge));
  const auto next = six.bed.StartOn("back", "bbbbbbbb");
  EXPECT_TRUE(works());
  EXPECT_TRUE(Pings(&next->inside, kNeighbour));
  // Its subnet is its own whatever the switch says.
  six.bed.options.ipv6 = false;
  six.bed.Reopen();
  EXPECT_EQ(six.bed.impl()->Inspect("back")->subnet6, "fd00:2::/64");
  EXPECT_EQ(six.bed.StartOn("back", "cccccccc")->ip6(), "fd00:2::4");
}

TEST(Ipv6Network, TheDefaultNetworkFollowsTheSwitchWhenNobodyUsesIt) {
  Ipv6Bed six;
  const auto one = six.bed.Start("aaaaaaaa");
  const std::string subnet6 = six.bed.impl()->Inspect("bridge")->subnet6;
  six.bed.options.ipv6 = false;
  six.bed.Reopen();
  EXPECT_NE(six.bed.Start("bbbbbbbb")->ip6(), "");
  ASSERT_TRUE(six.bed.impl()->Reconcile({}).ok());
  EXPECT_EQ(six.bed.Start("cccccccc")->ip6(), "");
  EXPECT_EQ(Output("ip -6 addr show minibox0"), "");
  EXPECT_EQ(Output("nft list tables").find("ip6"), std::string::npos);
  ASSERT_TRUE(six.bed.impl()->Reconcile({}).ok());
  six.bed.options.ipv6 = true;
  six.bed.Reopen();
  EXPECT_NE(six.bed.Start("dddddddd")->ip6(), "");
}

TEST(Ipv6Network, SeveralNetworksOnlyOneOfWhichHasIt) {
  Ipv6Bed six;
  six.bed.options.ipv6 = false;
  six.bed.Reopen();
  six.Create("old", "");
  six.Create("new", "fd00:4::/64");
  const auto both = six.bed.StartOn("old,new", "aaaaaaaa", {Tcp(8080, 80)});
  EXPECT_EQ(both->ip6(), "");
  EXPECT_EQ(both->reservation.further.at(0).ip6, "fd00:4::2");
  both->inside.Run([] { EXPECT_EQ(Output("ip -6 addr show eth0"), ""); });
  EXPECT_EQ(SettingIn(*both, "eth1/disable_ipv6"), "0\n");
  // The port is on the first network only, and that has none.
  EXPECT_EQ(Output("nft list map ip6 minibox published").find("elements"), std::string::npos);
}

}  // namespace
}  // namespace minibox::testing
