// SPDX-License-Identifier: Apache-2.0
#include "wire/network.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

NetworkInfo Sample() {
  NetworkInfo network;
  network.id = "0a1b2c3d";
  network.name = "back";
  network.bridge = "mb-0a1b2c3d";
  network.subnet = "10.219.0.0/24";
  network.gateway = "10.219.0.1";
  network.subnet6 = "fd00:1::/64";
  network.internal = true;
  network.dns = false;
  network.mtu = 1400;
  network.labels = {{"app", "web"}};
  network.containers = {{"0123abcd", {"10.219.0.2", "02:4d:0a:db:00:02", "fd00:1::2"}},
                        {"ffffffff", {"10.219.0.3", "02:4d:0a:db:00:03"}}};
  return network;
}

TEST(NetworkJson, HasTheKeysOfTheContract) {
  ContainerInfo info{.id = *ContainerId::Parse("0123abcd")};
  info.name = "web";
  EXPECT_EQ(
      ToJson(Sample(), {info}),
      R"({"id":"0a1b2c3d","name":"back","bridge":"mb-0a1b2c3d","subnet":"10.219.0.0/24",)"
      R"("gateway":"10.219.0.1","subnet6":"fd00:1::/64","internal":true,"dns":false,"mtu":1400,"labels":{"app":"web"},)"
      R"("containers":{"0123abcd":{"name":"web","ip":"10.219.0.2","ipv6":"fd00:1::2",)"
      R"("mac":"02:4d:0a:db:00:02"},)"
      R"("ffffffff":{"ip":"10.219.0.3","mac":"02:4d:0a:db:00:03"}}})");
}

TEST(NetworkJson, IsReadAsWritten) {
  const std::string text = ToJson(std::vector{Sample()}, {});
  const auto networks = ParseNetworks(text);
  ASSERT_TRUE(networks.ok()) << networks.status().ToString();
  EXPECT_EQ(ToJson(*networks, {}), text);
  EXPECT_EQ(networks->at(0).containers.at("ffffffff").ip, "10.219.0.3");
  EXPECT_FALSE(ParseNetworks("{}").ok());
  EXPECT_FALSE(ParseNetwork("[]").ok());
}

TEST(NetworkJson, SpecSaysWhatIsNotTheDefault) {
  NetworkSpec spec;
  spec.name = "back";
  EXPECT_EQ(ToJson(spec), R"({"name":"back","dns":true})");
  spec.subnet = "10.9.0.0/24";
  spec.gateway = "10.9.0.9";
  spec.subnet6 = "fd00::/64";
  spec.internal = true;
  spec.dns = false;
  spec.mtu = 1400;
  spec.labels = {{"a", "b"}};
  EXPECT_EQ(ToJson(spec), R"({"name":"back","subnet":"10.9.0.0/24","gateway":"10.9.0.9",)"
                          R"("subnet6":"fd00::/64","internal":true,)"
                          R"("dns":false,"mtu":1400,"labels":{"a":"b"}})");
}

}  // namespace
}  // namespace minibox::wire
