// SPDX-License-Identifier: Apache-2.0
// Networks beside the default one: their life, and what of them reaches what.
#include <gtest/gtest.h>

#include "core/failpoint.h"
#include "network/testbed.h"

namespace minibox::testing {
namespace {

NetworkSpec Named(std::string name) {
  NetworkSpec spec;
  spec.name = std::move(name);
  spec.dns = false;
  return spec;
}

// A testbed whose networks go before it does.
struct Networks {
  Testbed bed;

  NetworkInfo Create(NetworkSpec spec) {
    const auto info = bed.impl()->Create(spec);
    EXPECT_TRUE(info.ok()) << info.status().ToString();
    return info.ok() ? *info : NetworkInfo();
  }
  std::string Refusal(const NetworkSpec& spec) {
    const auto info = bed.impl()->Create(spec);
    if (info.ok()) return "created";
    return info.status().reason() + " " + std::string(info.status().field());
  }
  ~Networks() {
    EXPECT_TRUE(bed.impl()->Reconcile({}).ok());
    const auto all = bed.impl()->List();
    for (const NetworkInfo& info : all.ok() ? *all : std::vector<NetworkInfo>()) {
      if (info.name == "bridge") continue;
      const Status removed = bed.impl()->Remove(info.name);
      EXPECT_TRUE(removed.ok()) << removed.ToString();
    }
  }
};

TEST(UserNetwork, ComesAndGoes) {
  Networks nets;
  NetworkSpec spec = Named("back");
  spec.labels = {{"app", "web"}};
  spec.mtu = 1300;
  const NetworkInfo info = nets.Create(spec);
  EXPECT_EQ(info.name, "back");
  EXPECT_EQ(info.bridge, "mb-" + info.id);
  EXPECT_EQ(info.subnet, "172.19.1.0/24");  // the first belongs to the default network
  EXPECT_EQ(info.gateway, "172.19.1.1");
  EXPECT_TRUE(LinkExists(info.bridge));
  EXPECT_NE(Output("ip link show " + info.bridge).find("mtu 1300"), std::string::npos);
  EXPECT_EQ(nets.bed.impl()->Inspect("back")->labels.at("app"), "web");
  EXPECT_EQ(nets.bed.impl()->Inspect("nosuch").status().reason(), "network_not_found");
  EXPECT_EQ(nets.bed.Open().List()->size(), 2u);
  EXPECT_EQ(nets.Refusal(Named("back")), "name_in_use name");
  EXPECT_EQ(nets.Create(Named("front")).subnet, "172.19.2.0/24");
  ASSERT_TRUE(nets.bed.impl()->Remove("back").ok());
  EXPECT_FALSE(LinkExists(info.bridge));
  EXPECT_EQ(nets.Create(Named("back")).subnet, "172.19.1.0/24");
}

TEST(UserNetwork, BadInputNamesTheField) {
  Networks nets;
  const auto with = [](std::string subnet, std::string gateway = "") {
    NetworkSpec spec = Named("x");
    spec.subnet = std::move(subnet);
    spec.gateway = std::move(gateway);
    return spec;
  };
  for (const char* name : {"bridge", "host", "none", "container", "", "-x", "a b", "a/b", "../x"}) {
    EXPECT_EQ(nets.Refusal(Named(name)), "invalid_argument name") << name;
  }
  EXPECT_EQ(nets.Refusal(Named(std::string(65, 'a'))), "invalid_argument name");
  for (const char* subnet :
       {"10.9.0.0", "10.9.0.0/30", "10.9.0.0/7", "10.9.0.1/24", "x/24", "10.9.0.0/24 ",
        "127.0.0.0/24", "224.0.0.0/24", "169.254.0.0/24", "0.0.0.0/8", "fd00::/64"}) {
    EXPECT_EQ(nets.Refusal(with(subnet)), "invalid_argument subnet") << subnet;
  }
  for (const char* gateway : {"10.9.1.1", "10.9.0.0", "10.9.0.255", "x"}) {
    EXPECT_EQ(nets.Refusal(with("10.9.0.0/24", gateway)), "invalid_argument gateway") << gateway;
  }
  EXPECT_EQ(nets.Refusal(with("", "10.9.0.1")), "invalid_argument gateway");
  NetworkSpec mtu = Named("x");
  mtu.mtu = 67;
  EXPECT_EQ(nets.Refusal(mtu), "invalid_argument mtu");
  NetworkSpec labels = Named("x");
  labels.labels = {{"", "v"}};
  EXPECT_EQ(nets.Refusal(labels), "invalid_argument labels[\"\"]");
  EXPECT_EQ(nets.bed.impl()->List()->size(), 1u);
}

TEST(UserNetwork, OverlapNamesTheInterface) {
  Networks nets;
  const auto conflict = [&](const char* subnet) {
    NetworkSpec spec = Named("x");
    spec.subnet = subnet;
    const auto info = nets.bed.impl()->Create(spec);
    EXPECT_EQ(info.status().reason(), "subnet_conflict");
    EXPECT_EQ(info.status().field(), "subnet");
    return info.status().message();
  };
  EXPECT_NE(conflict("198.51.0.0/16").find("'ext0'"), std::string::npos);
  EXPECT_NE(conflict("198.51.100.128/25").find("'ext0'"), std::string::npos);
  // Not set up, and yet taken.
  EXPECT_NE(conflict("172.19.0.0/16").find("'minibox0'"), std::string::npos);
  ASSERT_TRUE(nets.bed.impl()->EnsureDefault().ok());
  EXPECT_NE(conflict("172.19.0.128/25").find("'minibox0'"), std::string::npos);
  EXPECT_EQ(nets.bed.impl()->List()->size(), 1u);
}

TEST(UserNetwork, IsIsolatedButForPublishedPorts) {
  Networks nets;
  nets.Create(Named("back"));
  nets.Create(Named("front"));
  const auto back = nets.bed.StartOn("back", "aaaaaaaa", {Tcp(8080, 80), Udp(8081, 81)});
  const auto front = nets.bed.StartOn("front", "bbbbbbbb");
  const auto other = nets.bed.StartOn("back", "cccccccc");
  const auto standard = nets.bed.Start("dddddddd");
  const core::Fd server = ListenTcp(&back->inside, 80);
  const core::Fd udp = BindUdp(&back->inside, 81);
  const auto by = [&](const Container& client, const std::string& ip, uint16_t port) {
    return SeenBy(server.get(), &client.inside, ip, port);
  };
  // Siblings, by their own addresses.
  EXPECT_EQ(by(*other, back->ip(), 80), other->ip());
  EXPECT_TRUE(Pings(&other->inside, back->ip()));
  EXPECT_TRUE(Delivers(BindUdp(&other->inside, 0).get(), back->ip(), 81, udp.get()));
  // Other networks, and hosts outside.
  for (const Container* stranger : {front.get(), standard.get()}) {
    EXPECT_EQ(by(*stranger, back->ip(), 80), "silent");
    EXPECT_FALSE(Pings(&stranger->inside, back->ip()));
    EXPECT_FALSE(Delivers(BindUdp(&stranger->inside, 0).get(), back->ip(), 81, udp.get()));
    // Through the host they may, with their own addresses or the host's.
    EXPECT_NE(by(*stranger, "198.51.100.1", 8080), "silent");
  }
  EXPECT_EQ(SeenBy(server.get(), &nets.bed.neighbour, back->ip(), 80), "silent");
  EXPECT_EQ(SeenBy(server.get(), &nets.bed.neighbour, "198.51.100.1", 8080), "198.51.100.2");
  EXPECT_EQ(SeenByUdp(udp.get(), &nets.bed.neighbour, "198.51.100.1", 8081), "198.51.100.2");
  EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), "172.19.1.1");
  // And all of them get out.
  const core::Fd outside = ListenTcp(&nets.bed.neighbour, 7);
  EXPECT_EQ(SeenBy(outside.get(), &front->inside, "198.51.100.2", 7), "198.51.100.1");
  EXPECT_TRUE(Pings(&back->inside, "198.51.100.2"));
}

TEST(UserNetwork, InternalHasNoWayOut) {
  Networks nets;
  NetworkSpec spec = Named("vault");
  spec.internal = true;
  nets.Create(spec);
  const auto one = nets.bed.StartOn("vault", "aaaaaaaa");
  const auto two = nets.bed.StartOn("vault", "bbbbbbbb");
  const auto web = nets.bed.Start("cccccccc", {Tcp(8080, 80)});
  const core::Fd server = ListenTcp(&two->inside, 80);
  EXPECT_EQ(SeenBy(server.get(), &one->inside, two->ip(), 80), one->ip());
  EXPECT_FALSE(Pings(&one->inside, "198.51.100.2"));
  // Not even with a route of its own.
  one->inside.Run([] { EXPECT_TRUE(Shell("ip route add default via 172.19.1.1")); });
  EXPECT_FALSE(Pings(&one->inside, "198.51.100.2"));
  const core::Fd published = ListenTcp(&web->inside, 80);
  EXPECT_EQ(SeenBy(published.get(), &one->inside, "198.51.100.1", 8080), "silent");
  EXPECT_EQ(SeenBy(server.get(), &nets.bed.neighbour, two->ip(), 80), "silent");
  const auto refused = nets.bed.TryStart("dddddddd", {Tcp(8081, 80)}, "vault");
  EXPECT_EQ(refused.status().reason(), "invalid_argument");
  EXPECT_EQ(refused.status().field(), "ports");
}

TEST(UserNetwork, SeveralForOneContainer) {
  Networks nets;
  nets.Create(Named("back"));
  NetworkSpec spec = Named("vault");
  spec.internal = true;
  nets.Create(spec);
  const auto both = nets.bed.StartOn("vault,back", "aaaaaaaa");
  EXPECT_EQ(both->reservation.endpoint.ip, "172.19.2.2");
  ASSERT_EQ(both->reservation.further.size(), 1u);
  EXPECT_EQ(both->reservation.further[0].ip, "172.19.1.2");
  EXPECT_TRUE(LinkExists("veth-aaaaaaaa"));
  EXPECT_TRUE(LinkExists("ve1-aaaaaaaa"));
  // The internal one gives no default route; the next does.
  EXPECT_TRUE(Pings(&both->inside, "198.51.100.2"));
  const auto inner = nets.bed.StartOn("vault", "bbbbbbbb");
  const auto back = nets.bed.StartOn("back", "cccccccc");
  EXPECT_TRUE(Pings(&inner->inside, "172.19.2.2"));
  EXPECT_TRUE(Pings(&back->inside, "172.19.1.2"));
  EXPECT_FALSE(Pings(&inner->inside, "172.19.1.2"));
  EXPECT_EQ(nets.bed.impl()->Remove("back").reason(), "network_in_use");
  EXPECT_EQ(nets.bed.TryStart("dddddddd", {}, "back,back").status().field(), "network");
  EXPECT_EQ(nets.bed.TryStart("dddddddd", {}, "back,nosuch").status().reason(),
            "network_not_found");
  ASSERT_TRUE(nets.bed.impl()->Release("aaaaaaaa").ok());
  const auto networks = nets.bed.impl()->List();
  ASSERT_TRUE(networks.ok());
  for (const NetworkInfo& info : *networks) {
    EXPECT_EQ(info.containers.count("aaaaaaaa"), 0u);
  }
}

TEST(UserNetwork, FixedAddressesStayReserved) {
  Networks nets;
  nets.Create(Named("back"));
  NetworkImpl& impl = nets.bed.impl();
  network::EndpointRequest request{"aaaaaaaa", "back", "172.19.1.3", {}, "02:00:00:00:00:07"};
  ASSERT_TRUE(impl->Claim(request).ok());
  // Not running, and yet nobody else gets them, by chance or by wish.
  EXPECT_EQ(impl->Reserve({"bbbbbbbb", "back", "", {}})->endpoint.ip, "172.19.1.2");
  EXPECT_EQ(impl->Reserve({"cccccccc", "back", "", {}})->endpoint.ip, "172.19.1.4");
  EXPECT_EQ(impl->Reserve({"dddddddd", "back", "172.19.1.3", {}}).status().reason(),
            "address_in_use");
  EXPECT_EQ(impl->Claim({"dddddddd", "back", "172.19.1.3", {}}).reason(), "address_in_use");
  const Status mac = impl->Claim({"dddddddd", "back", "", {}, "02:00:00:00:00:07"});
  EXPECT_EQ(mac.reason(), "address_in_use");
  EXPECT_EQ(mac.field(), "mac");
  for (const char* bad : {"01:00:00:00:00:01", "00:00:00:00:00:00", "x", "02:00:00:00:00"}) {
    EXPECT_EQ(impl->Claim({"dddddddd", "back", "", {}, bad}).field(), "mac") << bad;
  }
  EXPECT_EQ(impl->Claim({"dddddddd", "back", "172.19.2.3", {}}).reason(), "address_in_use");
  EXPECT_EQ(impl->Claim({"dddddddd", "back", "x", {}}).reason(), "invalid_argument");
  // It has them in every run.
  for (int run = 0; run < 2; ++run) {
    const auto fixed = nets.bed.StartOn("back", "aaaaaaaa");
    EXPECT_EQ(fixed->ip(), "172.19.1.3");
    EXPECT_EQ(fixed->reservation.endpoint.mac, "02:00:00:00:00:07");
    EXPECT_TRUE(Pings(nullptr, "172.19.1.3"));
    ASSERT_TRUE(impl->Release("aaaaaaaa").ok());
  }
  ASSERT_TRUE(impl->Forget("aaaaaaaa").ok());
  EXPECT_TRUE(impl->Claim({"dddddddd", "back", "172.19.1.3", {}}).ok());
  ASSERT_TRUE(impl->ForgetGone([](const std::string&) { return false; }).ok());
  EXPECT_TRUE(impl->Claim({"eeeeeeee", "back", "172.19.1.3", {}}).ok());
  ASSERT_TRUE(impl->Forget("eeeeeeee").ok());
}

TEST(UserNetwork, NobodySendsFromAnotherAddress) {
  Networks nets;
  nets.Create(Named("back"));
  const auto one = nets.bed.StartOn("back", "aaaaaaaa");
  const auto two = nets.bed.StartOn("back", "bbbbbbbb");
  const core::Fd listener = BindUdp(&two->inside, 9);
  one->inside.Run([] { EXPECT_TRUE(Shell("ip address add 172.19.1.77/24 dev eth0")); });
  EXPECT_TRUE(Delivers(BindUdp(&one->inside, 0, one->ip()).get(), two->ip(), 9, listener.get()));
  EXPECT_FALSE(
      Delivers(BindUdp(&one->inside, 0, "172.19.1.77").get(), two->ip(), 9, listener.get()));
  one->inside.Run([] { EXPECT_TRUE(Shell("ip link set eth0 address 02:00:00:00:00:99")); });
  EXPECT_FALSE(Delivers(BindUdp(&one->inside, 0, one->ip()).get(), two->ip(), 9, listener.get()));
}

TEST(UserNetwork, SurvivesTheLossOfItsBridgeAndAReboot) {
  Networks nets;
  const NetworkInfo info = nets.Create(Named("back"));
  const auto web = nets.bed.StartOn("back", "aaaaaaaa", {Tcp(8080, 80)});
  ASSERT_TRUE(Shell("ip link del " + info.bridge));
  ASSERT_TRUE(nets.bed.impl()->Reconcile({{"aaaaaaaa", 0}}).ok());
  const core::Fd server = ListenTcp(&web->inside, 80);
  EXPECT_EQ(SeenBy(server.get(), &nets.bed.neighbour, "198.51.100.1", 8080), "198.51.100.2");
  // As after a boot: nothing is in the kernel, and no lease counts.
  ASSERT_TRUE(nets.bed.impl()->Release("aaaaaaaa").ok());
  ASSERT_TRUE(Shell("ip link del " + info.bridge + "; nft flush ruleset"));
  ASSERT_TRUE(nets.bed.impl()->EnsureDefault().ok());
  EXPECT_TRUE(LinkExists(info.bridge));
  const auto again = nets.bed.StartOn("back", "bbbbbbbb");
  EXPECT_TRUE(Pings(nullptr, again->ip()));
}

TEST(UserNetwork, ARouteThatCameLaterIsReportedAndRespected) {
  Networks nets;
  const NetworkInfo info = nets.Create(Named("back"));
  ASSERT_TRUE(Shell("ip link del " + info.bridge));
  ASSERT_TRUE(Shell("ip route add 172.19.1.0/25 via 198.51.100.2"));
  ASSERT_TRUE(nets.bed.impl()->EnsureDefault().ok());
  EXPECT_FALSE(LinkExists(info.bridge));
  const auto warnings = nets.bed.Open().Warnings();
  ASSERT_TRUE(warnings.ok());
  ASSERT_EQ(warnings->size(), 1u);
  EXPECT_NE(warnings->at(0).find("'ext0'"), std::string::npos) << warnings->at(0);
  EXPECT_EQ(nets.bed.TryStart("aaaaaaaa", {}, "back").status().reason(), "subnet_conflict");
  ASSERT_TRUE(Shell("ip route del 172.19.1.0/25"));
  EXPECT_TRUE(nets.bed.TryStart("aaaaaaaa", {}, "back").ok());
}

TEST(UserNetwork, AFailureAnywhereInACreationLeavesNothing) {
  Networks nets;
  ASSERT_TRUE(nets.bed.impl()->EnsureDefault().ok());
  const std::string links = Output("ip -br link"), rules = Output("nft list ruleset");
  int n = 1;
  for (; n < 50; ++n) {
    core::SetFailNth(n);
    const auto info = nets.bed.impl()->Create(Named("back"));
    core::ClearFailpoints();
    if (info.ok()) break;
    EXPECT_EQ(nets.bed.impl()->List()->size(), 1u) << n;
    EXPECT_EQ(Output("ip -br link"), links) << n;
    EXPECT_EQ(Output("nft list ruleset"), rules) << n;
  }
  EXPECT_GT(n, 2);
  EXPECT_LT(n, 50);
}

}  // namespace
}  // namespace minibox::testing
