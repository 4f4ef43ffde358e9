// SPDX-License-Identifier: Apache-2.0
// Containers that share another one's network and user namespace.
#include <gmock/gmock.h>

#include "core/root_dir.h"
#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class SharedNetwork : public RuntimeNetworkTest {
 protected:
  void TearDown() override {
    RuntimeTest::TearDown();
    auto network = Network::Open(network_options_);
    ASSERT_TRUE(network.ok());
    (void)network->Remove("bridge");
    RuntimeNetworkTest::TearDown();
  }
  ContainerInfo StartOwner(const std::string& name) {
    ContainerSpec spec = Shell("while :; do echo hello | nc -l -p 80; done");
    spec.network = "bridge";
    spec.name = name;
    return Start(spec);
  }
  static ContainerSpec Sharing(const std::string& owner, std::string script) {
    ContainerSpec spec = Shell(std::move(script));
    spec.network = "container:" + owner;
    return spec;
  }
  std::string IdEntries() const {
    std::string entries;
    const auto dir = core::RootDir::Open((options_.run_dir / "ids").string());
    const auto names = dir->List("");
    for (const std::string& name : *names) entries += name + " ";
    return entries;
  }
};

TEST_F(SharedNetwork, IsTheOwnersNetworkWithItsNamesAndIds) {
  const ContainerInfo owner = StartOwner("owner");
  const Output out = RunShell(
      Sharing("owner",
              "until nc 127.0.0.1 80; do usleep 10000; done; ip -4 addr show eth0; cat /etc/hosts "
              "/etc/resolv.conf; cat /proc/self/uid_map; hostname; ping -c 1 -W 2 127.0.0.1"));
  EXPECT_THAT(out.out, HasSubstr("hello\n"));
  EXPECT_THAT(out.out, HasSubstr("inet " + owner.ip + "/24"));
  EXPECT_THAT(out.out, HasSubstr(owner.ip + "\towner\n"));
  EXPECT_THAT(out.out, HasSubstr("nameserver 172.19.0.1\n"));
  EXPECT_THAT(out.out, HasSubstr(" 0% packet loss"));
  // Its own host name, though.
  EXPECT_THAT(out.out, HasSubstr("\n" + out.id.ToString() + "\n"));
  const auto record = Record(out.id);
  EXPECT_EQ(runtime().Inspect(out.id)->ip, "");
  const auto details = runtime().InspectDetails(out.id);
  ASSERT_TRUE(details.ok());
  EXPECT_EQ(details->config.network, "container:" + owner.id.ToString());
}

TEST_F(SharedNetwork, IsIsolatedInAllElse) {
  const ContainerInfo owner = StartOwner("owner");
  const ContainerInfo guest = Start(Sharing(owner.id.ToString().substr(0, 4),
                                            "echo mine > /dev/shm/x; echo ready; exec sleep "
                                            "1000"));
  AwaitLog(guest.id, "ready");
  std::string out;
  const auto read = [&](const ContainerId& id, const std::string& script) {
    out.clear();
    const auto exit =
        runtime().Exec(id, {.command = {"sh", "-c", script}}, [&](const OutputChunk& chunk) {
          out += chunk.bytes;
          return Status();
        });
    EXPECT_TRUE(exit.ok()) << exit.status().ToString();
    return out;
  };
  const std::string own = "for n in user net; do readlink /proc/self/ns/$n; done";
  const std::string shared = read(owner.id, own);
  EXPECT_EQ(read(guest.id, own), shared);
  const std::string others = "for n in mnt pid ipc uts cgroup; do readlink /proc/self/ns/$n; done";
  const std::string of_owner = read(owner.id, others), of_guest = read(guest.id, others);
  for (size_t at = 0; at < of_owner.size(); at = of_owner.find('\n', at) + 1) {
    const std::string line = of_owner.substr(at, of_owner.find('\n', at) - at);
    EXPECT_EQ(of_guest.find(line), std::string::npos) << line;
  }
  EXPECT_EQ(read(owner.id, "ls /dev/shm"), "");
  EXPECT_THAT(read(guest.id, "ps"), ::testing::Not(HasSubstr("nc -l")));
  // sysfs is of the shared network.
  EXPECT_THAT(read(guest.id, "ls /sys/class/net"), HasSubstr("eth0"));
  // One that shares a guest's shares the owner's.
  const auto third = runtime().Create(Sharing(guest.id.ToString(), "true"));
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(runtime().InspectDetails(third->id)->config.network,
            "container:" + owner.id.ToString());
}

TEST_F(SharedNetwork, IdsStayTakenUntilTheLastHasEnded) {
  const ContainerInfo owner = StartOwner("owner");
  const ContainerInfo guest = Start(Sharing("owner", "exec sleep 1000"));
  ASSERT_TRUE(runtime().Kill(owner.id).ok());
  EXPECT_EQ(IdEntries(), "0-" + guest.id.ToString() + " ");
  // Whoever comes gets others.
  const ContainerInfo other = Start(Shell("exec sleep 1000"));
  EXPECT_EQ(IdEntries(), "0-" + guest.id.ToString() + " 1 ");
  ASSERT_TRUE(runtime().Kill(guest.id).ok());
  EXPECT_EQ(IdEntries(), "1 ");
  ASSERT_TRUE(runtime().Remove(other.id, true).ok());
}

TEST_F(SharedNetwork, WithoutARunningOwnerThereIsNone) {
  const ContainerInfo owner = StartOwner("owner");
  const auto guest = runtime().Create(Sharing("owner", "exec sleep 1000"));
  ASSERT_TRUE(guest.ok());
  ASSERT_TRUE(runtime().Kill(owner.id).ok());
  const auto stopped = runtime().Start(guest->id);
  EXPECT_EQ(stopped.status().reason(), "container_not_running") << stopped.status().ToString();
  EXPECT_EQ(stopped.status().field(), "network");
  EXPECT_THAT(stopped.status().message(), HasSubstr(owner.id.ToString()));
  EXPECT_EQ(runtime().Inspect(guest->id)->state, ContainerState::kCreated);
  EXPECT_THAT(runtime().Inspect(guest->id)->error, HasSubstr("is not running"));
  EXPECT_EQ(runtime().Run(Sharing("owner", "true")).status().reason(), "container_not_running");
  EXPECT_EQ(Cgroups(), "");
  ASSERT_TRUE(runtime().Start(owner.id).ok());
  ASSERT_TRUE(runtime().Start(guest->id).ok());
  // A restart of the guest finds the network that the owner has by then.
  ASSERT_TRUE(runtime().Restart(owner.id, {.grace = milliseconds(0)}).ok());
  ASSERT_TRUE(runtime().Restart(guest->id, {.grace = milliseconds(0)}).ok());
  ASSERT_TRUE(runtime().Remove(owner.id, true).ok());
  ASSERT_TRUE(runtime().Kill(guest->id).ok());
  const auto gone = runtime().Start(guest->id);
  EXPECT_EQ(gone.status().reason(), "container_not_found") << gone.status().ToString();
  EXPECT_EQ(gone.status().field(), "network");
  const auto never = runtime().Create(Sharing("nobody", "true"));
  EXPECT_EQ(never.status().reason(), "container_not_found");
  EXPECT_EQ(never.status().field(), "network");
}

TEST_F(SharedNetwork, WhatBelongsToTheOwnerIsRefused) {
  StartOwner("owner");
  const auto refused = [&](const std::function<void(ContainerSpec&)>& change) {
    ContainerSpec spec = Sharing("owner", "true");
    change(spec);
    const auto created = runtime().Create(spec);
    EXPECT_EQ(created.status().code(), StatusCode::kInvalidArgument) << created.status().ToString();
    return created.status().field();
  };
  EXPECT_EQ(refused([](auto& spec) { spec.ports = {{"", 8080, 80}}; }), "ports[\"8080\"]");
  EXPECT_EQ(refused([](auto& spec) { spec.publish_all = true; }), "publish_all");
  EXPECT_EQ(refused([](auto& spec) { spec.ip = "172.19.0.9"; }), "ip");
  EXPECT_EQ(refused([](auto& spec) { spec.mac = "02:00:00:00:00:09"; }), "mac");
  EXPECT_EQ(refused([](auto& spec) { spec.dns = {"1.1.1.1"}; }), "dns");
  EXPECT_EQ(refused([](auto& spec) { spec.extra_hosts = {"a:1.1.1.1"}; }), "extra_hosts");
  EXPECT_EQ(refused([](auto& spec) { spec.hostname = "mine"; }), "hostname");
  EXPECT_EQ(refused([](auto& spec) {
              spec.sysctls = {{"net.core.somaxconn", "5"}};
            }),
            "sysctls[\"net.core.somaxconn\"]");
  EXPECT_EQ(refused([](auto& spec) { spec.network = "container:"; }), "network");
  // Two maps of ids cannot be one.
  ContainerSpec host = Sharing("owner", "true");
  host.security.host_userns = true;
  EXPECT_EQ(runtime().Run(host).status().field(), "network");
  EXPECT_EQ(runtime().List()->size(), 1u);
}

TEST_F(SharedNetwork, OfAContainerWithTheHostsIds) {
  ContainerSpec spec = Shell("exec sleep 1000");
  spec.security.host_userns = true;
  spec.name = "owner";
  Start(spec);
  const Output out = RunShell(Sharing("owner", "cat /proc/self/uid_map; ls /sys/class/net"));
  EXPECT_THAT(out.out, HasSubstr("4294967295"));
  EXPECT_THAT(out.out, HasSubstr("lo\n"));
  EXPECT_THAT(runtime().Inspect(out.id)->warnings,
              ::testing::Contains(HasSubstr("the owner of its network")));
}

}  // namespace
}  // namespace minibox::testing
