// SPDX-License-Identifier: Apache-2.0
// Leases, ports and the life of a container on a network.
#include "minibox/network.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/failpoint.h"
#include "network/testbed.h"

namespace minibox::testing {
namespace {

TEST(Network, OpeningTouchesNoKernelState) {
  const Scratch scratch;
  const auto network = Network::Open({.state_dir = scratch / "n"});
  ASSERT_TRUE(network.ok());
  const auto list = network->List();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(list->at(0).name, "bridge");
  EXPECT_EQ(list->at(0).gateway, "172.19.0.1");
  EXPECT_FALSE(LinkExists("minibox0"));
  EXPECT_EQ(Output("nft list tables"), "");
}

TEST(Network, OptionsAreChecked) {
  const Scratch scratch;
  EXPECT_EQ(
      Network::Open({.state_dir = scratch / "n", .default_subnet = "172.19.0.0"}).status().field(),
      "subnet");
  EXPECT_EQ(Network::Open({.state_dir = scratch / "n", .default_bridge = "a name too long"})
                .status()
                .field(),
            "default_bridge");
}

TEST(Network, RemoveDeletesBridgeAndFirewallWhenUnused) {
  Testbed bed;
  Network network = bed.Open();
  const auto info = network.EnsureDefault();
  ASSERT_TRUE(info.ok()) << info.status().ToString();
  EXPECT_EQ(info->bridge, "minibox0");
  EXPECT_EQ(info->subnet, "172.19.0.0/24");
  auto container = bed.Start("aaaaaaaa");
  EXPECT_EQ(network.List()->at(0).containers.count("aaaaaaaa"), 1u);
  EXPECT_EQ(network.Remove("bridge").reason(), "network_in_use");
  EXPECT_EQ(network.Remove("nosuch").reason(), "network_not_found");
  ASSERT_TRUE(bed.impl()->Release("aaaaaaaa").ok());
  ASSERT_TRUE(network.Remove("bridge").ok());
  EXPECT_FALSE(LinkExists("minibox0"));
  EXPECT_EQ(Output("nft list tables"), "");
  // It comes back with the next container.
  container = bed.Start("bbbbbbbb");
  EXPECT_TRUE(LinkExists("minibox0"));
}

TEST(Network, ReleaseLeavesNothingOnceTheNamespaceIsGone) {
  Testbed bed;
  ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
  const std::string rules = Output("nft list ruleset");
  auto container = bed.Start("aaaaaaaa", {Tcp(8080, 80), Udp(8080, 80, "127.0.0.1")});
  EXPECT_NE(Output("nft list ruleset"), rules);
  ASSERT_TRUE(bed.impl()->Release("aaaaaaaa").ok());
  EXPECT_EQ(Output("nft list ruleset"), rules);
  EXPECT_TRUE(bed.impl()->List()->at(0).containers.empty());
  container.reset();
  EXPECT_TRUE(LinkVanishes("veth-aaaaaaaa"));
  EXPECT_TRUE(bed.impl()->Release("aaaaaaaa").ok());  // again
  EXPECT_TRUE(bed.impl()->Release("neverwas").ok());
}

TEST(Network, RestartTakesTheNameOfADyingLink) {
  Testbed bed;
  auto first = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  ASSERT_TRUE(bed.impl()->Release("aaaaaaaa").ok());
  first->reservation.sockets.clear();
  // The old namespace still lives, and with it the link.
  const auto second = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  const core::Fd server = ListenTcp(&second->inside, 80);
  EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), "172.19.0.1");
}

TEST(Network, AddressesAreUsedAgainAsLateAsPossible) {
  Testbed bed;
  const auto reserve = [&](const std::string& id, const std::string& ip = "") {
    auto reservation = bed.impl()->Reserve({id, "bridge", ip, {}});
    return reservation.ok() ? reservation->endpoint.ip : reservation.status().reason();
  };
  EXPECT_EQ(reserve("aaaaaaaa"), "172.19.0.2");
  EXPECT_EQ(reserve("bbbbbbbb"), "172.19.0.3");
  ASSERT_TRUE(bed.impl()->Release("aaaaaaaa").ok());
  EXPECT_EQ(reserve("cccccccc"), "172.19.0.4");
  EXPECT_EQ(reserve("dddddddd", "172.19.0.3"), "address_in_use");
  EXPECT_EQ(reserve("dddddddd", "172.19.1.3"), "address_in_use");
  EXPECT_EQ(reserve("dddddddd", "172.19.0.2"), "172.19.0.2");
  EXPECT_EQ(reserve("../../x"), "invalid_argument");
  EXPECT_EQ(bed.impl()->Reserve({"eeeeeeee", "front", "", {}}).status().reason(),
            "network_not_found");
}

TEST(Network, SmallSubnetSurvivesManyStartsAndRunsFull) {
  Testbed bed;
  bed.options.default_subnet = "172.19.9.0/29";
  const NetworkImpl impl = ImplOf(bed.Open());
  for (int i = 0; i < 100; ++i) {
    const std::string id = "c" + std::to_string(i);
    ASSERT_TRUE(impl->Reserve({id, "bridge", "", {}}).ok()) << i;
    ASSERT_TRUE(impl->Release(id).ok());
  }
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(impl->Reserve({"r" + std::to_string(i), "bridge", "", {}}).ok()) << i;
  }
  EXPECT_EQ(impl->Reserve({"onemore", "bridge", "", {}}).status().reason(), "no_address");
  EXPECT_TRUE(impl->Reconcile({}).ok());
}

TEST(Network, TakenPortNamesTheContainerAndLeavesNothing) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  const auto refused = bed.TryStart("bbbbbbbb", {Tcp(8081, 80), Tcp(8080, 80, "127.0.0.1")});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().reason(), "port_in_use");
  EXPECT_NE(refused.status().message().find("8080"), std::string::npos);
  EXPECT_NE(refused.status().message().find("aaaaaaaa"), std::string::npos);
  EXPECT_EQ(bed.impl()->List()->at(0).containers.count("aaaaaaaa"), 1u);
  const auto other = bed.Start("cccccccc", {Tcp(8081, 80)});
  EXPECT_EQ(other->ip(), "172.19.0.3");

  const core::Fd service = ListenTcp(nullptr, 9000);
  const auto taken = bed.TryStart("dddddddd", {Tcp(9000, 80)});
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.status().reason(), "port_in_use");
}

TEST(Network, PortOfAContainerThatDiedIsFreeAtOnce) {
  Testbed bed;
  auto dead = bed.Start("aaaaaaaa", {Tcp(8080, 80), Tcp(8081, 81)});
  dead->reservation.sockets.clear();  // its monitor is gone; nobody released it yet
  const auto next = bed.Start("bbbbbbbb", {Tcp(8080, 80)});
  const core::Fd server = ListenTcp(&next->inside, 80);
  EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), "172.19.0.1");
  // The late release takes nothing from the new holder.
  ASSERT_TRUE(bed.impl()->Release("aaaaaaaa").ok());
  EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), "172.19.0.1");
}

TEST(Network, FreePortIsChosenAndPublished) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(0, 80), Udp(0, 53)});
  EXPECT_GE(web->port(0), 32768);
  EXPECT_LE(web->port(0), 60999);
  const core::Fd server = ListenTcp(&web->inside, 80);
  EXPECT_EQ(SeenBy(server.get(), &bed.neighbour, "198.51.100.1", web->port(0)), "198.51.100.2");
}

TEST(Network, SeveralHandlesAndThreadsShareTheState) {
  Testbed bed;
  constexpr int kThreads = 4, kEach = 5;
  std::vector<std::thread> threads;
  std::vector<std::vector<std::unique_ptr<Namespace>>> alive(kThreads);
  std::vector<std::string> errors(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const NetworkImpl impl = ImplOf(bed.Open());
      for (int i = 0; i < kEach; ++i) {
        const std::string id = "t" + std::to_string(t) + "-" + std::to_string(i);
        alive[t].push_back(std::make_unique<Namespace>());
        auto reservation = impl->Reserve({id, "bridge", "", {Tcp(0, 80)}});
        Status status = reservation.status();
        if (status.ok()) {
          status = impl->Attach(reservation->endpoint, id, alive[t].back()->netns(),
                                alive[t].back()->rtnetlink());
        }
        if (!status.ok()) errors[t] = status.ToString();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  EXPECT_EQ(bed.impl()->List()->at(0).containers.size(), size_t{kThreads * kEach});
}

TEST(Network, FailureAtAnyStepLeavesNothing) {
  Testbed bed;
  ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
  const std::string rules = Output("nft list ruleset");
  int failed = 0;
  for (int n = 1;; ++n) {
    core::SetFailNth(n);
    auto container = bed.TryStart("aaaaaaaa", {Tcp(8080, 80)});
    const bool done = core::FailpointsPassed() < n;
    core::ClearFailpoints();
    if (done) {
      EXPECT_TRUE(container.ok()) << container.status().ToString();
      break;
    }
    ASSERT_FALSE(container.ok()) << n;
    ++failed;
    // What the runtime does with any failed start.
    ASSERT_TRUE(bed.impl()->Release("aaaaaaaa").ok());
    EXPECT_EQ(Output("nft list ruleset"), rules) << n;
    EXPECT_FALSE(LinkExists("veth-aaaaaaaa")) << n;
    EXPECT_TRUE(bed.impl()->List()->at(0).containers.empty()) << n;
    EXPECT_TRUE(std::filesystem::is_empty(bed.options.state_dir / "starting")) << n;
  }
  EXPECT_GE(failed, 3);
}

TEST(Network, SubnetThatOverlapsARouteIsAvoided) {
  Testbed bed;
  ASSERT_TRUE(Shell("ip route add 172.19.0.0/24 via 198.51.100.2"));
  const auto info = bed.impl()->EnsureDefault();
  ASSERT_TRUE(info.ok()) << info.status().ToString();
  EXPECT_EQ(info->subnet, "172.19.1.0/24");
  const auto container = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  EXPECT_EQ(container->ip(), "172.19.1.2");
  const core::Fd server = ListenTcp(&container->inside, 80);
  EXPECT_EQ(SeenBy(server.get(), nullptr, "127.0.0.1", 8080), "172.19.1.1");
}

TEST(Network, ForeignInterfaceOfTheNameIsAnError) {
  Testbed bed;
  ASSERT_TRUE(Shell("ip link add minibox0 type veth peer name other0"));
  const auto info = bed.impl()->EnsureDefault();
  ASSERT_FALSE(info.ok());
  EXPECT_NE(info.status().message().find("not a bridge"), std::string::npos);
  ASSERT_TRUE(Shell("ip link del minibox0"));
}

}  // namespace
}  // namespace minibox::testing
