// SPDX-License-Identifier: Apache-2.0
// Somebody removes what is ours.
#include <gtest/gtest.h>

#include "network/testbed.h"

namespace minibox::testing {
namespace {

std::string Publication(const Container& container) {
  const core::Fd server = ListenTcp(&container.inside, 80);
  return SeenBy(server.get(), nullptr, "127.0.0.1", 8080);
}

TEST(Repair, FlushedRulesetComesBack) {
  for (const char* damage : {"nft flush ruleset", "nft flush chain ip minibox prerouting",
                             "nft delete table bridge minibox",
                             "nft flush map ip minibox published", "nft flush table ip minibox"}) {
    Testbed bed;
    const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
    const std::string rules = Output("nft list ruleset");
    ASSERT_TRUE(Shell(damage)) << damage;
    ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
    EXPECT_EQ(Output("nft list ruleset"), rules) << damage;
    EXPECT_EQ(Publication(*web), "172.19.0.1") << damage;
    ASSERT_TRUE(Shell(damage)) << damage;
    ASSERT_TRUE(bed.impl()->Reconcile({{"aaaaaaaa", 0}}).ok());
    EXPECT_EQ(Publication(*web), "172.19.0.1") << damage;
  }
}

TEST(Repair, NextStartRestoresRulesAndBridge) {
  for (const char* damage :
       {"nft flush ruleset", "nft flush chain ip minibox output", "ip link del minibox0",
        "ip link set minibox0 down", "ip address flush dev minibox0"}) {
    Testbed bed;
    const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
    ASSERT_TRUE(Shell(damage)) << damage;
    const auto other = bed.Start("bbbbbbbb");
    EXPECT_EQ(Publication(*web), "172.19.0.1") << damage;
    const core::Fd server = ListenTcp(&web->inside, 80);
    EXPECT_EQ(SeenBy(server.get(), &other->inside, web->ip(), 80), other->ip()) << damage;
  }
}

TEST(Repair, LinkTakenOffTheBridgeIsPutBack) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  ASSERT_TRUE(Shell("ip link set veth-aaaaaaaa nomaster"));
  EXPECT_NE(Publication(*web), "172.19.0.1");
  ASSERT_TRUE(bed.impl()->Reconcile({{"aaaaaaaa", 0}}).ok());
  EXPECT_EQ(Publication(*web), "172.19.0.1");
}

TEST(Repair, ReleaseWorksWithoutTheFirewall) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80), Tcp(8081, 80)});
  ASSERT_TRUE(Shell("nft delete element ip minibox published '{ tcp . 8080 }'"));
  ASSERT_TRUE(bed.impl()->Release("aaaaaaaa").ok());
  EXPECT_EQ(Output("nft list map ip minibox published").find("8081"), std::string::npos);
  const auto again = bed.Start("bbbbbbbb", {Tcp(8082, 80)});
  ASSERT_TRUE(Shell("nft flush ruleset"));
  EXPECT_TRUE(bed.impl()->Release("bbbbbbbb").ok());
}

TEST(Repair, DamagedStateFileIsSetAside) {
  Testbed bed;
  ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
  bed.scratch.Write("networks/networks.json", "{");
  const Network reopened = bed.Open();
  EXPECT_EQ(ReadWholeFile(bed.scratch / "networks/networks.json.corrupt"), "{");
  EXPECT_TRUE(reopened.List().ok());
}

}  // namespace
}  // namespace minibox::testing
