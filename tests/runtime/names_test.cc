// SPDX-License-Identifier: Apache-2.0
// Networks of the user's own, and what containers are called there.
#include "runtime/names.h"

#include <gmock/gmock.h>

#include "runtime/generated_files.h"
#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Names, OfAContainer) {
  const ContainerId id = *ContainerId::Parse("0a1b2c3d");
  const Labels labels = {{"minibox.aliases", " api ,, bad name, WEB, x..y"},
                         {"minibox.service", "front"}};
  EXPECT_EQ(runtime::DnsNames("web", "Web", labels, id),
            (std::vector<std::string>{"web", "0a1b2c3d", "front", "api"}));
  EXPECT_EQ(runtime::HostsNames("web", labels, id),
            (std::vector<std::string>{"web", "0a1b2c3d", "api", "WEB"}));
  EXPECT_EQ(runtime::DnsNames("", "", {}, id), std::vector<std::string>{"0a1b2c3d"});
}

TEST(MergeHosts, KeepsWhatTheWorkloadAdded) {
  EXPECT_EQ(runtime::MergeHosts("", "", "a\n\nb\n"), "a\n\nb\n");
  EXPECT_EQ(runtime::MergeHosts("a\n\nb\n10.0.0.1\tmine\n", "a\n\nb\n", "a\n\nc\n"),
            "a\n\nc\n10.0.0.1\tmine\n");
  // A line that is ours as well as its own stays once more.
  EXPECT_EQ(runtime::MergeHosts("a\na\n", "a\n", "b\n"), "b\na\n");
  // What it has removed comes back.
  EXPECT_EQ(runtime::MergeHosts("x\n", "a\n", "a\n"), "a\nx\n");
}

class NamedContainers : public RuntimeNetworkTest {
 protected:
  void TearDown() override {
    RuntimeTest::TearDown();
    auto network = Network::Open(network_options_);
    ASSERT_TRUE(network.ok());
    const auto all = network->List();
    ASSERT_TRUE(all.ok());
    for (const NetworkInfo& info : *all) EXPECT_TRUE(network->Remove(info.name).ok());
    RuntimeNetworkTest::TearDown();
  }
  ContainerSpec Member(std::string name, std::string script = "exec sleep 1000") {
    ContainerSpec spec = Shell(std::move(script));
    spec.network = "bridge";
    spec.name = std::move(name);
    spec.project = "shop";
    return spec;
  }
  std::string Hosts(const ContainerId& id) {
    return ReadWholeFile(DataPath("containers/" + id.ToString() + "/hosts"));
  }
};

TEST_F(NamedContainers, HostsFilesFollowSiblings) {
  const ContainerInfo web =
      Start(Member("web", "echo 10.0.0.9 mine >> /etc/hosts; exec sleep 1000"));
  const ContainerInfo db = Start(Member("db"));
  const std::string db_line = db.ip + "\tdb\n", web_line = web.ip + "\tweb\n";
  EXPECT_THAT(Hosts(web.id), HasSubstr(db_line));
  EXPECT_THAT(Hosts(db.id), HasSubstr(web_line));
  // In the container it is the same file.
  ContainerSpec other = Member("other", "cat /etc/hosts; cat /etc/resolv.conf");
  const std::string seen = RunShell(other).out;
  EXPECT_THAT(seen, HasSubstr(db_line));
  EXPECT_THAT(seen, HasSubstr("nameserver 172.19.0.1\n"));
  other.project = "elsewhere";
  EXPECT_THAT(RunShell(other).out, Not(HasSubstr(db_line)));
  EXPECT_THAT(Hosts(web.id), Not(HasSubstr("other")));
  ASSERT_TRUE(runtime().Kill(db.id).ok());
  EXPECT_THAT(Hosts(web.id), Not(HasSubstr(db_line)));
  EXPECT_THAT(Hosts(web.id), HasSubstr("10.0.0.9 mine\n"));
  ASSERT_TRUE(runtime().Start(db.id).ok());
  EXPECT_THAT(Hosts(web.id), HasSubstr("\tdb\n"));
}

TEST_F(NamedContainers, ARenameReachesSiblingsAndNameServers) {
  const ContainerInfo web =
      Start(Member("web", "echo 10.0.0.9 mine >> /etc/hosts; echo ready; exec sleep 1000"));
  AwaitLog(web.id, "ready");
  const ContainerInfo db = Start(Member("db"));
  ASSERT_TRUE(runtime().Rename(web.id, "shopfront").ok());
  const std::string before = web.ip + "\tweb\n", after = web.ip + "\tshopfront\n";
  for (const ContainerId& id : {web.id, db.id}) {
    EXPECT_THAT(Hosts(id), HasSubstr(after));
    EXPECT_THAT(Hosts(id), Not(HasSubstr(before)));
  }
  EXPECT_THAT(Hosts(web.id), HasSubstr(db.ip + "\tdb\n"));
  EXPECT_THAT(Hosts(web.id), HasSubstr("10.0.0.9 mine\n"));
  // Its host name is the old one until it is started again, and is found by both.
  const std::string asked =
      RunShell(Member("asker", "for n in shopfront web; do nslookup $n 172.19.0.1; done; true"))
          .out;
  EXPECT_THAT(asked, ::testing::ContainsRegex("Name:\tshopfront[^N]*" + web.ip));
  EXPECT_THAT(asked, ::testing::ContainsRegex("Name:\tweb[^N]*" + web.ip));
  ASSERT_TRUE(runtime().Restart(web.id, {.grace = std::chrono::milliseconds(0)}).ok());
  EXPECT_THAT(RunShell(Member("asker", "nslookup web 172.19.0.1 2>&1; true")).out,
              Not(HasSubstr("Name:\tweb")));
}

TEST_F(NamedContainers, ARenameKeepsWhatAContainerWithoutProjectAdded) {
  ContainerSpec spec =
      Member("alone", "echo 10.0.0.9 mine >> /etc/hosts; echo ready; exec sleep 1000");
  spec.project.clear();
  const ContainerInfo info = Start(spec);
  AwaitLog(info.id, "ready");
  ASSERT_TRUE(runtime().Rename(info.id, "single").ok());
  EXPECT_THAT(Hosts(info.id), HasSubstr(info.ip + "\tsingle\n"));
  EXPECT_THAT(Hosts(info.id), Not(HasSubstr("\talone\n")));
  EXPECT_THAT(Hosts(info.id), HasSubstr("10.0.0.9 mine\n"));
}

TEST_F(NamedContainers, NamesResolveInTheFirstInstruction) {
  const ContainerInfo web = Start(Member("web"));
  EXPECT_THAT(RunShell(Member("asker", "nslookup WEB 172.19.0.1; true")).out, HasSubstr(web.ip));
}

TEST_F(NamedContainers, UserNetworksAndFixedAddresses) {
  auto network = Network::Open(network_options_);
  ASSERT_TRUE(network.ok());
  for (const char* name : {"back", "front"}) {
    NetworkSpec spec;
    spec.name = name;
    ASSERT_TRUE(network->Create(spec).ok());
  }
  ContainerSpec spec = Member("web");
  spec.network = "back,front";
  spec.ip = "172.19.1.9";
  spec.mac = "02:00:00:00:00:09";
  const ContainerInfo web = Start(spec);
  EXPECT_EQ(web.ip, "172.19.1.9");
  EXPECT_EQ(web.mac, "02:00:00:00:00:09");
  ASSERT_EQ(web.networks.size(), 2u);
  EXPECT_EQ(web.networks[1].network, "front");
  EXPECT_EQ(web.networks[1].ip, "172.19.2.2");
  EXPECT_EQ(runtime().Inspect(web.id)->networks.size(), 2u);
  EXPECT_EQ(network->Remove("front").reason(), "network_in_use");
  // Reserved while it exists.
  ASSERT_TRUE(runtime().Kill(web.id).ok());
  ContainerSpec second = Member("second");
  second.network = "back";
  second.ip = "172.19.1.9";
  EXPECT_EQ(runtime().Create(second).status().reason(), "address_in_use");
  Reopen();
  EXPECT_EQ(runtime().Run(second).status().reason(), "address_in_use");
  EXPECT_EQ(runtime().List()->size(), 1u);
  EXPECT_EQ(runtime().Start(web.id)->ip, "172.19.1.9");
  ASSERT_TRUE(runtime().Remove(web.id, true).ok());
  EXPECT_EQ(Start(second).ip, "172.19.1.9");
  second.network = "nosuch";
  const auto missing = runtime().Create(second);
  EXPECT_EQ(missing.status().reason(), "network_not_found");
  EXPECT_EQ(missing.status().field(), "network");
}

TEST_F(NamedContainers, ALinkThatSomebodyDeletedComesBack) {
  const ContainerInfo web = Start(Member("web"));
  ASSERT_EQ(system(("ip link del veth-" + web.id.ToString()).c_str()), 0);
  Reopen();
  EXPECT_EQ(system(("ip link show veth-" + web.id.ToString() + " >/dev/null").c_str()), 0);
  EXPECT_THAT(RunShell(Member("asker", "ping -c 1 -W 2 web")).out, HasSubstr(" 0% packet loss"));
}

}  // namespace
}  // namespace minibox::testing
