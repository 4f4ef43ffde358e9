// SPDX-License-Identifier: Apache-2.0
#include "network/ipam.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace minibox::network {
namespace {

const Subnet kSubnet = {0xac130000, 24};

struct Leases {
  AddressPool pool{};
  std::vector<Ipv4> held{};

  std::string Take() {
    const auto address = TakeAddress(kSubnet, held, &pool);
    if (!address.ok()) return address.status().reason();
    held.push_back(*address);
    return FormatIpv4(*address);
  }
  std::string Take(std::string_view requested) {
    const auto address = TakeAddress(kSubnet, held, requested, &pool);
    if (!address.ok()) return address.status().reason();
    held.push_back(*address);
    return FormatIpv4(*address);
  }
  void Return(std::string_view address) {
    std::erase(held, *ParseIpv4(address));
    ReturnAddress(*ParseIpv4(address), &pool);
  }
};

TEST(Ipam, LowestNeverUsedFirst) {
  Leases leases;
  EXPECT_EQ(leases.Take(), "172.19.0.2");
  EXPECT_EQ(leases.Take(), "172.19.0.3");
  leases.Return("172.19.0.2");
  EXPECT_EQ(leases.Take(), "172.19.0.4");
}

TEST(Ipam, ThenTheOneThatIsFreeForLongest) {
  Leases leases;
  for (int i = 0; i < 253; ++i) leases.Take();
  EXPECT_EQ(leases.Take(), "no_address");
  leases.Return("172.19.0.77");
  leases.Return("172.19.0.5");
  leases.Return("172.19.0.200");
  EXPECT_EQ(leases.Take(), "172.19.0.77");
  leases.Return("172.19.0.77");
  EXPECT_EQ(leases.Take(), "172.19.0.5");
  EXPECT_EQ(leases.Take(), "172.19.0.200");
  EXPECT_EQ(leases.Take(), "172.19.0.77");
  EXPECT_EQ(leases.Take(), "no_address");
}

TEST(Ipam, ThousandsOfStartsNeverRunOut) {
  Leases leases;
  std::vector<std::string> running;
  for (int i = 0; i < 5000; ++i) {
    running.push_back(leases.Take());
    ASSERT_NE(running.back(), "no_address") << i;
    if (running.size() > 10) {
      leases.Return(running.front());
      running.erase(running.begin());
    }
  }
  EXPECT_LE(leases.pool.released.size(), 253u);
}

TEST(Ipam, RequestedAddressMustBeFreeAndInTheSubnet) {
  Leases leases;
  EXPECT_EQ(leases.Take("172.19.0.3"), "172.19.0.3");
  EXPECT_EQ(leases.Take("172.19.0.3"), "address_in_use");
  for (const char* bad : {"172.19.0.0", "172.19.0.1", "172.19.0.255", "172.19.1.2"}) {
    EXPECT_EQ(leases.Take(bad), "address_in_use") << bad;
  }
  for (const char* bad : {"x", "", "172.19.0.4 ", "172.19.0.256"}) {
    EXPECT_EQ(leases.Take(bad), "invalid_argument") << bad;
  }
  EXPECT_EQ(leases.Take(), "172.19.0.2");
  EXPECT_EQ(leases.Take(), "172.19.0.4");
  leases.Return("172.19.0.2");
  EXPECT_EQ(leases.Take("172.19.0.2"), "172.19.0.2");
  EXPECT_TRUE(leases.pool.released.empty());
}

TEST(Ipam, RequestedAddressIsNotGivenOutTwice) {
  Leases leases;
  leases.Take("172.19.0.2");
  leases.Return("172.19.0.2");
  EXPECT_EQ(leases.Take(), "172.19.0.3");  // never used, unlike .2
}

}  // namespace
}  // namespace minibox::network
