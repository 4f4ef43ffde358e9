// SPDX-License-Identifier: Apache-2.0
#include "wire/ports.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

TEST(Ports, EveryFormIsReadAndWrittenBack) {
  struct Case {
    const char *host, *container, *ip;
    uint16_t host_port, container_port;
    bool udp;
    const char *host_side, *container_side;
  };
  for (const Case& c : {
           Case{"8080", "80", "", 8080, 80, false, "8080", "80"},
           Case{"0", "80", "", 0, 80, false, "0", "80"},
           Case{"127.0.0.1:8080", "80/tcp", "127.0.0.1", 8080, 80, false, "127.0.0.1:8080", "80"},
           Case{"[::1]:8080", "80", "::1", 8080, 80, false, "[::1]:8080", "80"},
           Case{"53/udp", "53", "", 53, 53, true, "53/udp", "53/udp"},
           Case{"53", "53/udp", "", 53, 53, true, "53/udp", "53/udp"},
           Case{"65535/udp", "65535/udp", "", 65535, 65535, true, "65535/udp", "65535/udp"},
       }) {
    const auto ports = ParsePorts(c.host, c.container);
    ASSERT_TRUE(ports.ok()) << c.host << ": " << ports.status().ToString();
    ASSERT_EQ(ports->size(), 1u);
    const PortMapping& port = ports->front();
    EXPECT_EQ(port.host_ip, c.ip);
    EXPECT_EQ(port.host_port, c.host_port);
    EXPECT_EQ(port.container_port, c.container_port);
    EXPECT_EQ(port.protocol == PortMapping::Protocol::kUdp, c.udp);
    EXPECT_EQ(HostSide(port), c.host_side);
    EXPECT_EQ(ContainerSide(port), c.container_side);
  }
}

TEST(Ports, RangesBecomeOneMappingPerPort) {
  const auto ports = ParsePorts("127.0.0.1:8000-8002", "80-82");
  ASSERT_TRUE(ports.ok());
  ASSERT_EQ(ports->size(), 3u);
  EXPECT_EQ(ports->at(2).host_port, 8002);
  EXPECT_EQ(ports->at(2).container_port, 82);
  EXPECT_EQ(ports->at(2).host_ip, "127.0.0.1");
}

TEST(Ports, MalformedTextIsRefused) {
  const std::pair<const char*, const char*> kBad[] = {{"", "80"},
                                                      {"80", ""},
                                                      {"80", "0"},
                                                      {"65536", "80"},
                                                      {"80", "65536"},
                                                      {"-1", "80"},
                                                      {"+80", "80"},
                                                      {" 80", "80"},
                                                      {"80x", "80"},
                                                      {"80-90", "80"},
                                                      {"90-80", "90-80"},
                                                      {"0-3", "80-83"},
                                                      {"80/sctp", "80"},
                                                      {"80/tcp", "80/udp"},
                                                      {"localhost:80", "80"},
                                                      {"1.2.3:80", "80"},
                                                      {"::1:80", "80"},
                                                      {"[::1]80", "80"},
                                                      {"[1.2.3.4]:80", "80"},
                                                      {"80", "tcp/80"},
                                                      {"99999999999999999999", "80"}};
  for (const auto& [host, container] : kBad) {
    const auto ports = ParsePorts(host, container);
    ASSERT_FALSE(ports.ok()) << host << " -> " << container;
    EXPECT_EQ(ports.status().reason(), "invalid_argument");
  }
}

}  // namespace
}  // namespace minibox::wire
