// SPDX-License-Identifier: Apache-2.0
#include "network/state.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/scratch.h"

namespace minibox::network {
namespace {

State Sample() {
  NetworkRecord network;
  network.name = "bridge";
  network.bridge = "minibox0";
  network.configured = {0xac130000, 24};
  network.subnet = {0x0adb0000, 24};
  network.pool = {0x0adb0005, {0x0adb0004, 0x0adb0002}};
  network.leases = {{"ab12cd34",
                     0x0adb0003,
                     {{"", 8080, 80, PortMapping::Protocol::kTcp},
                      {"127.0.0.1", 5353, 53, PortMapping::Protocol::kUdp}}}};
  return {{network}};
}

StatusOr<State> Reread(const std::string& leases, std::string_view boot_id) {
  auto state = ParseNetworks(FormatNetworks(Sample()));
  if (!state.ok()) return state;
  const Status parsed = ParseLeases(leases, boot_id, &*state);
  if (!parsed.ok()) return parsed;
  return state;
}

TEST(NetworkState, IsReadAsWritten) {
  const std::string leases = FormatLeases(Sample(), "boot-1");
  const auto state = Reread(leases, "boot-1");
  ASSERT_TRUE(state.ok()) << state.status().ToString();
  EXPECT_EQ(FormatNetworks(*state), FormatNetworks(Sample()));
  EXPECT_EQ(FormatLeases(*state, "boot-1"), leases);
  ASSERT_EQ(state->networks.size(), 1u);
  ASSERT_NE(state->networks[0].FindLease("ab12cd34"), nullptr);
  EXPECT_EQ(state->networks[0].FindLease("ab12cd34")->ports[1].host_ip, "127.0.0.1");
}

TEST(NetworkState, LeasesOfAnotherBootAreFreeAgain) {
  const auto state = Reread(FormatLeases(Sample(), "boot-1"), "boot-2");
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(state->networks[0].leases.empty());
  EXPECT_EQ(state->networks[0].pool.released,
            (std::vector<Ipv4>{0x0adb0004, 0x0adb0002, 0x0adb0003}));
}

TEST(NetworkState, LeasesOfAnotherSubnetAreForgotten) {
  State before = Sample();
  before.networks[0].subnet = {0x0adb0100, 24};
  const auto state = Reread(FormatLeases(before, "boot"), "boot");
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(state->networks[0].leases.empty());
  EXPECT_EQ(state->networks[0].pool.next, 0x0adb0002u);
}

TEST(NetworkState, RemovedLeaseReturnsItsAddress) {
  NetworkRecord network = Sample().networks[0];
  EXPECT_TRUE(network.RemoveLease("ab12cd34").has_value());
  EXPECT_FALSE(network.RemoveLease("ab12cd34").has_value());
  EXPECT_EQ(network.pool.released.back(), 0x0adb0003u);
}

TEST(NetworkState, DamagedTextIsAnErrorWithItsPlace) {
  std::string text = FormatLeases(Sample(), "boot");
  text.replace(text.find("\"udp\""), 5, "\"sctp\"");
  const auto state = Reread(text, "boot");
  ASSERT_FALSE(state.ok());
  EXPECT_NE(state.status().message().find("ports[1].protocol"), std::string::npos)
      << state.status().message();
  EXPECT_FALSE(Reread("", "boot").ok());
  EXPECT_FALSE(ParseNetworks("").ok());
  EXPECT_FALSE(ParseNetworks("{\"version\":2,\"networks\":[]}").ok());
}

TEST(StateDir, IsPrivateAndStartsEmpty) {
  const testing::Scratch scratch;
  const auto dir = StateDir::Open(scratch / "a/networks");
  ASSERT_TRUE(dir.ok()) << dir.status().ToString();
  struct stat info {};
  ASSERT_EQ(stat((scratch / "a/networks").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  const auto state = dir->Load();
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(state->networks.empty());
}

TEST(StateDir, SavedStateIsSeenByAnother) {
  const testing::Scratch scratch;
  const auto one = StateDir::Open(scratch / "n"), two = StateDir::Open(scratch / "n");
  ASSERT_TRUE(one.ok() && two.ok());
  ASSERT_TRUE(one->Save(Sample()).ok());
  const auto seen = two->Load();
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen->networks[0].leases.size(), 1u);
}

TEST(StateDir, DamagedFilesAreSetAsideNotOverwritten) {
  const testing::Scratch scratch;
  const auto dir = StateDir::Open(scratch / "n");
  ASSERT_TRUE(dir.ok());
  ASSERT_TRUE(dir->Save(Sample()).ok());
  scratch.Write("n/leases.json", "");  // as a power cut may leave it
  EXPECT_EQ(dir->Load().status().code(), StatusCode::kDataLoss);
  auto state = dir->LoadOrSetAside();
  ASSERT_TRUE(state.ok()) << state.status().ToString();
  ASSERT_EQ(state->networks.size(), 1u);
  EXPECT_TRUE(state->networks[0].leases.empty());
  EXPECT_EQ(testing::ReadWholeFile(scratch / "n/leases.json.corrupt"), "");

  scratch.Write("n/networks.json", "{\"version\":1,");
  scratch.Write("n/leases.json", "[");
  state = dir->LoadOrSetAside();
  ASSERT_TRUE(state.ok()) << state.status().ToString();
  EXPECT_TRUE(state->networks.empty());
  EXPECT_EQ(testing::ReadWholeFile(scratch / "n/networks.json.corrupt"), "{\"version\":1,");
}

TEST(StateDir, MarkLivesAsLongAsItsHolder) {
  const testing::Scratch scratch;
  const auto dir = StateDir::Open(scratch / "n");
  ASSERT_TRUE(dir.ok());
  {
    const auto mark = dir->MarkStarting("ab12cd34");
    ASSERT_TRUE(mark.ok());
    EXPECT_TRUE(*dir->IsStarting("ab12cd34"));
    EXPECT_EQ(*dir->ListMarks(), std::vector<std::string>{"ab12cd34"});
  }
  EXPECT_FALSE(*dir->IsStarting("ab12cd34"));
  dir->RemoveMark("ab12cd34");
  EXPECT_TRUE(dir->ListMarks()->empty());
}

}  // namespace
}  // namespace minibox::network
