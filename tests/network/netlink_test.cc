// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "kernel/nftables.h"
#include "kernel/rtnetlink.h"
#include "network/testbed.h"

namespace minibox::testing {
namespace {

TEST(Netlink, RefusalCarriesTheKernelsWords) {
  auto rtnetlink = kernel::Rtnetlink::Open();
  ASSERT_TRUE(rtnetlink.ok());
  const Status status = rtnetlink->SetLink({.index = 12345, .up = true});
  EXPECT_EQ(status.sys_errno(), ENODEV);
  EXPECT_EQ(rtnetlink->GetLink("nosuch0").status().code(), StatusCode::kNotFound);
  // "Nexthop has invalid gateway" and the like.
  const Namespace other;
  auto inside = kernel::Rtnetlink::Wrap(other.rtnetlink());
  const Status route = inside->SetUpEndpoint({0x0a000001, 24, 1}, 0xc0000201);
  ASSERT_FALSE(route.ok());
  EXPECT_NE(route.message().find("(Nexthop"), std::string::npos) << route.message();
}

TEST(Netlink, SocketOfAnotherNamespaceActsThere) {
  const Namespace other;
  ASSERT_TRUE(kernel::Rtnetlink::Wrap(other.rtnetlink())
                  ->CreateBridge({"only-there", {2, 0, 0, 0, 0, 1}, 0})
                  .ok());
  EXPECT_FALSE(LinkExists("only-there"));
  bool there = false;
  other.Run([&] { there = LinkExists("only-there"); });
  EXPECT_TRUE(there);
}

TEST(Netlink, AnswersToSomebodyElseAreSkipped) {
  const Namespace other;
  // A dump that nobody read.
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = 7;
  ASSERT_EQ(send(other.rtnetlink(), &request, sizeof request, 0),
            static_cast<ssize_t>(sizeof request));
  const auto lo = kernel::Rtnetlink::Wrap(other.rtnetlink())->GetLink("lo");
  ASSERT_TRUE(lo.ok()) << lo.status().ToString();
  EXPECT_EQ(lo->index, 1);
}

TEST(Nftables, TransactionIsAllOrNothing) {
  auto nftables = kernel::Nftables::Open();
  ASSERT_TRUE(nftables.ok());
  kernel::NftTable table;
  table.name = "mbxtest";
  table.sets = {{"ports", 13, 2, 0, 0, {{"\x01\x02", ""}}}};
  kernel::NftTransaction create;
  create.ReplaceTable(table);
  const Status created = nftables->Commit(create);
  ASSERT_TRUE(created.ok()) << created.ToString();

  kernel::NftTransaction change;
  change.AddElements(table.family, "mbxtest", "ports", {{"\x01\x03", ""}});
  change.DeleteElements(table.family, "mbxtest", "ports", {{"\x07\x07", ""}});
  const Status refused = nftables->Commit(change);
  EXPECT_EQ(refused.code(), StatusCode::kNotFound) << refused.ToString();
  EXPECT_EQ(Output("nft list set ip mbxtest ports").find("259"), std::string::npos);

  kernel::NftTransaction remove;
  remove.DeleteTable(table.family, "mbxtest");
  remove.DeleteTable(table.family, "mbxtest-never-there");
  EXPECT_TRUE(nftables->Commit(remove).ok());
}

TEST(Nftables, ThousandsOfElementsInOneTransaction) {
  auto nftables = kernel::Nftables::Open();
  ASSERT_TRUE(nftables.ok());
  kernel::NftTable table;
  table.name = "mbxtest";
  table.sets = {{"addresses", 7, 4, 0, 0}};
  for (uint32_t i = 0; i < 5000; ++i) {
    table.sets[0].elements.push_back({std::string(reinterpret_cast<const char*>(&i), 4), ""});
  }
  kernel::NftTransaction create;
  create.ReplaceTable(table);
  const Status created = nftables->Commit(create);
  EXPECT_TRUE(created.ok()) << created.ToString();
  kernel::NftTransaction remove;
  remove.DeleteTable(table.family, "mbxtest");
  EXPECT_TRUE(nftables->Commit(remove).ok());
}

}  // namespace
}  // namespace minibox::testing
