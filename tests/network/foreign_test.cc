// SPDX-License-Identifier: Apache-2.0
// The firewall tables of others: what they drop is reported, and none of them is ever changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "network/testbed.h"

namespace minibox::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Somebody's table `guard` of the family with this content, as long as it lives.
class ForeignTable {
 public:
  ForeignTable(const std::string& family, const std::string& content) : family_(family) {
    EXPECT_TRUE(Shell("nft 'table " + family + " guard { " + content + " }'")) << content;
  }
  ForeignTable(const ForeignTable&) = delete;
  ForeignTable& operator=(const ForeignTable&) = delete;
  ~ForeignTable() { EXPECT_TRUE(Shell("nft delete table " + family_ + " guard")); }

 private:
  std::string family_;
};

std::string Forward(const std::string& policy, const std::string& rules) {
  return "chain fw { type filter hook forward priority 0; policy " + policy + "; " + rules + " };";
}

TEST(ForeignFirewall, ChainsThatDropWhatTheyDoNotAcceptAreReported) {
  Testbed bed;
  ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
  EXPECT_THAT(*bed.impl()->Warnings(), IsEmpty());
  const std::string contents[] = {
      Forward("drop", ""),
      Forward("drop", "ip saddr 192.0.2.1 accept;"),
      // As firewalld does it.
      Forward("accept", "ct state established accept; counter reject;"),
      Forward("accept", "counter drop;"),
      // As the program iptables does it: all go to the user's chain, which returns.
      "chain user { counter return; }; " + Forward("drop", "jump user;"),
      "chain sink { drop; }; chain way { jump sink; }; " + Forward("accept", "jump way;"),
      "chain nothing { return; }; " + Forward("drop", "goto nothing; accept;"),
  };
  for (const std::string family : {"ip", "inet"}) {
    for (const std::string& content : contents) {
      const ForeignTable table(family, content);
      const auto warnings = bed.impl()->Warnings();
      ASSERT_TRUE(warnings.ok()) << warnings.status().ToString();
      EXPECT_THAT(*warnings,
                  ElementsAre(AllOf(HasSubstr("'fw'"), HasSubstr("'" + family + " guard'"))))
          << content;
    }
  }
}

TEST(ForeignFirewall, WhatDropsNothingOfOursIsNotReported) {
  Testbed bed;
  ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
  const std::string contents[] = {
      Forward("accept", ""),
      Forward("accept", "ip saddr 192.0.2.1 drop; accept; drop;"),
      Forward("drop", "accept;"),
      "chain every { accept; }; " + Forward("drop", "jump every; drop;"),
      "chain nothing { return; drop; }; " + Forward("accept", "goto nothing; drop;"),
      "chain in { type filter hook input priority 0; policy drop; };",
      "chain unused { drop; }; " + Forward("accept", "ip saddr 192.0.2.1 jump unused;"),
  };
  for (const std::string& content : contents) {
    const ForeignTable table("ip", content);
    EXPECT_THAT(*bed.impl()->Warnings(), IsEmpty()) << content;
  }
  // There is no IPv6 that it could drop.
  const ForeignTable table("ip6", Forward("drop", ""));
  EXPECT_THAT(*bed.impl()->Warnings(), IsEmpty());
}

TEST(ForeignFirewall, DroppedIpv6IsReportedWhereThereIsIpv6) {
  Testbed bed;
  bed.options.ipv6 = true;
  bed.Reopen();
  ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
  const ForeignTable table("ip6", Forward("drop", ""));
  EXPECT_THAT(*bed.impl()->Warnings(), ElementsAre(HasSubstr("'ip6 guard'")));
}

// What is reported is what happens.
TEST(ForeignFirewall, ReportedChainReallyDrops) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  const core::Fd server = ListenTcp(&web->inside, 80);
  ASSERT_EQ(SeenBy(server.get(), &bed.neighbour, "198.51.100.1", 8080), "198.51.100.2");
  {
    const ForeignTable table("inet", Forward("accept", "drop;"));
    EXPECT_EQ(SeenBy(server.get(), &bed.neighbour, "198.51.100.1", 8080), "silent");
    EXPECT_EQ(bed.impl()->Warnings()->size(), 1u);
  }
  EXPECT_EQ(SeenBy(server.get(), &bed.neighbour, "198.51.100.1", 8080), "198.51.100.2");
}

// All tables but ours, each as `nft` lists it.
std::string ForeignRules() {
  return Output(
      "nft list tables | while read -r _ family name; do [ \"$name\" = minibox ] || "
      "nft list table \"$family\" \"$name\"; done");
}

TEST(ForeignFirewall, StaysAsItIsWhateverHappensToOurs) {
  Testbed bed;
  const std::string set_up =
      "nft -f - <<'END'\n"
      "table ip guard { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; "
      "chain pre { type nat hook prerouting priority -100; ip daddr @s dnat to 192.0.2.2; }; "
      "chain fw { type filter hook forward priority 0; ct state invalid drop; }; }\n"
      "table ip6 guard { chain in { type filter hook input priority 0; tcp dport 22 accept; }; }\n"
      "table inet guard { counter c { }; chain in { type filter hook input priority 5; "
      "ip saddr 192.0.2.1 counter name c drop; }; }\n"
      "table bridge guard { chain fw { type filter hook forward priority 0; }; }\n"
      "table arp guard { chain in { type filter hook input priority 0; }; }\n"
      "END";
  ASSERT_TRUE(Shell("(" + set_up + "\n)"));
  const std::string before = ForeignRules();
  ASSERT_THAT(before, HasSubstr("table arp guard"));

  ASSERT_TRUE(bed.impl()->EnsureDefault().ok());
  EXPECT_EQ(ForeignRules(), before);
  NetworkSpec spec;
  spec.name = "back";
  spec.subnet6 = "fd00:77::/64";
  ASSERT_TRUE(bed.impl()->Create(spec).ok());
  {
    const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80), Udp(0, 53)});
    const auto back = bed.StartOn("back", "bbbbbbbb", {Tcp(8081, 80, "127.0.0.1")});
    EXPECT_EQ(ForeignRules(), before);
    ASSERT_TRUE(Shell("nft delete table ip minibox; nft flush table bridge minibox"));
    ASSERT_TRUE(bed.impl()->Reconcile({{"aaaaaaaa", 0}, {"bbbbbbbb", 0}}).ok());
    EXPECT_EQ(ForeignRules(), before);
    ASSERT_TRUE(bed.impl()->Release("bbbbbbbb").ok());
  }
  ASSERT_TRUE(bed.impl()->Reconcile({}).ok());
  ASSERT_TRUE(bed.impl()->Remove("back").ok());
  ASSERT_TRUE(bed.impl()->Remove("bridge").ok());
  EXPECT_EQ(Output("nft list ruleset"), before);
  ASSERT_TRUE(Shell("for f in ip ip6 inet bridge arp; do nft delete table $f guard; done"));
}

}  // namespace
}  // namespace minibox::testing
