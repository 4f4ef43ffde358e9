// SPDX-License-Identifier: Apache-2.0
#include "network/resolv.h"

#include <gtest/gtest.h>

namespace minibox::network {
namespace {

TEST(ResolvConf, KeepsServersOutsideLoopbackSearchAndOptions) {
  const auto text = ContainerResolvConf(
      "# comment\nnameserver 127.0.0.53\n nameserver\t10.0.0.1 # first\nnameserver ::1\n"
      "nameserver 10.0.0.2\nsearch a.example\nsearch b.example c.example\r\n"
      "options ndots:2 edns0\nsortlist 1.2.3.4\n",
      {});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text,
            "nameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch b.example c.example\n"
            "options ndots:2 edns0\n");
}

TEST(ResolvConf, GivenServersReplaceTheHosts) {
  const auto text =
      ContainerResolvConf("nameserver 10.0.0.1\ndomain corp.example\n", {"9.9.9.9", "2001:db8::1"});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "nameserver 9.9.9.9\nnameserver 2001:db8::1\nsearch corp.example\n");
}

TEST(ResolvConf, RefusesServersThatAreNoAddress) {
  for (const std::string& bad : {std::string("dns.example"), std::string(""),
                                 std::string("1.1.1.1\noptions x"), std::string("::1\0\nx", 6)}) {
    const auto text = ContainerResolvConf("", {bad});
    ASSERT_FALSE(text.ok()) << bad;
    EXPECT_EQ(text.status().field(), "dns");
  }
}

TEST(ResolvConf, StubOnlyFileHasNoReachableServer) {
  EXPECT_FALSE(HasReachableServer("nameserver 127.0.0.53\noptions edns0\n"));
  EXPECT_FALSE(HasReachableServer(""));
  EXPECT_TRUE(HasReachableServer("nameserver 127.0.0.53\nnameserver 192.0.2.1\n"));
}

}  // namespace
}  // namespace minibox::network
