// SPDX-License-Identifier: Apache-2.0
// Containers on the default bridge and in the host's network, in a network namespace of the
// test's own.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/failpoint.h"
#include "core/fd.h"
#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ContainerNetwork : public RuntimeNetworkTest {
 protected:
  static ContainerSpec OnBridge(std::string script) {
    ContainerSpec spec = Shell(std::move(script));
    spec.network = "bridge";
    return spec;
  }
  // What a TCP server on that address sends until it closes; "" if nobody listens.
  static std::string Fetch(const std::string& ip, uint16_t port) {
    const core::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return "";
    }
    std::string text;
    char buffer[256];
    for (ssize_t n; (n = read(fd.get(), buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(n));
    }
    return text;
  }
  void RemoveBridge() {
    auto network = Network::Open(network_options_);
    ASSERT_TRUE(network.ok());
    EXPECT_TRUE(network->Remove("bridge").ok());
  }
};

TEST_F(ContainerNetwork, BridgeGivesAddressRouteAndName) {
  ContainerSpec spec = OnBridge(
      "cat /etc/hosts; ip -4 addr show eth0; ip route; "
      "ping -c 1 -W 2 172.19.0.1; exec sleep 1000");
  spec.name = "web";
  const ContainerInfo info = Start(spec);
  EXPECT_THAT(info.ip, StartsWith("172.19.0."));
  EXPECT_EQ(info.gateway, "172.19.0.1");
  EXPECT_THAT(info.mac, StartsWith("02:4d:"));
  AwaitLog(info.id, "packet loss");
  const std::string log = Log(info.id);
  EXPECT_THAT(log, HasSubstr(info.ip + "\tweb\n"));
  EXPECT_THAT(log, HasSubstr(info.ip + "\t" + info.id.ToString() + "\n"));
  EXPECT_THAT(log, HasSubstr("inet " + info.ip + "/24"));
  EXPECT_THAT(log, HasSubstr("default via 172.19.0.1 dev eth0"));
  EXPECT_THAT(log, HasSubstr(" 0% packet loss"));
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  EXPECT_EQ(runtime().Inspect(info.id)->ip, "");
  RemoveBridge();
}

TEST_F(ContainerNetwork, ContainersReachEachOther) {
  const ContainerInfo server = Start(OnBridge("while :; do echo hello | nc -l -p 80; done"));
  ContainerSpec spec = OnBridge("until nc " + server.ip + " 80; do usleep 10000; done");
  EXPECT_EQ(RunShell(spec).out, "hello\n");
  ASSERT_TRUE(runtime().Remove(server.id, true).ok());
  RemoveBridge();
}

TEST_F(ContainerNetwork, PublishedPortsReachTheContainer) {
  ContainerSpec spec = OnBridge("while :; do echo hello | nc -l -p 80; done");
  spec.ports = {{"", 0, 80}};
  const ContainerInfo info = Start(spec);
  ASSERT_EQ(info.ports.size(), 1u);
  const uint16_t port = info.ports[0].host_port;
  EXPECT_GT(port, 0);
  std::string got;
  // The server needs a moment to listen; until then the connection is refused.
  for (int i = 0; i < 100000 && got.empty(); ++i) got = Fetch("127.0.0.1", port);
  EXPECT_EQ(got, "hello\n");

  // Taken: nothing of the second is left.
  spec.ports = {{"", port, 80}};
  const auto second = runtime().Run(spec);
  EXPECT_EQ(second.status().reason(), "port_in_use");
  EXPECT_EQ(StartFailureExitCode(second.status()), 125);
  EXPECT_EQ(runtime().List()->size(), 1u);

  // Still there for another handle, gone with the container.
  Reopen();
  EXPECT_EQ(Fetch("127.0.0.1", port), "hello\n");
  ASSERT_TRUE(runtime().Remove(info.id, true).ok());
  EXPECT_TRUE(runtime().Run(spec).ok());
  ASSERT_TRUE(runtime().Remove(runtime().List()->front().id, true).ok());
  RemoveBridge();
}

TEST_F(ContainerNetwork, HostNetworkIsTheHosts) {
  ContainerSpec spec = Shell("readlink /proc/self/ns/net; ls /sys/class/net");
  spec.network = "host";
  char netns[64] = {};
  ASSERT_GT(readlink("/proc/thread-self/ns/net", netns, sizeof netns - 1), 0);
  EXPECT_THAT(RunShell(spec).out, StartsWith(std::string(netns) + "\n"));
}

TEST_F(ContainerNetwork, NoneHasALoopbackThatIsUp) {
  EXPECT_THAT(
      Stdout("ip -4 addr show lo; ls /sys/class/net"),
      ::testing::AllOf(HasSubstr("127.0.0.1/8"), HasSubstr("UP"), ::testing::EndsWith("\nlo\n")));
}

TEST_F(ContainerNetwork, EveryUserMayPingAndTakeLowPorts) {
  ContainerSpec spec = OnBridge(
      "cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start; "
      "cat ping_group_range; timeout 0.2 nc -l -p 80; echo $?");
  spec.user = "www";
  EXPECT_EQ(RunShell(spec).out, "0\n0\t65535\n143\n");
  RemoveBridge();
}

TEST_F(ContainerNetwork, AFailureAnywhereInARunLeavesNothing) {
  ContainerSpec spec = OnBridge("exec sleep 1000");
  spec.ports = {{"", 18080, 80}};
  ASSERT_TRUE(runtime().Run(spec).ok());  // bridge and firewall are there afterwards
  ASSERT_TRUE(runtime().Remove(runtime().List()->front().id, true).ok());
  int n = 1;
  for (; n < 300; ++n) {
    core::SetFailNth(n);
    const auto info = runtime().Run(spec);
    const bool passed_all = core::FailpointsPassed() < n;
    core::ClearFailpoints();
    if (info.ok()) {
      if (passed_all) break;
      // Something in the background met it.
      ASSERT_TRUE(runtime().Remove(info->id, true).ok());
      continue;
    }
    EXPECT_EQ(runtime().List()->size(), 0u) << "after " << info.status().ToString();
    ExpectNothingLeft();
    auto network = Network::Open(network_options_);
    ASSERT_TRUE(network.ok());
    const auto networks = network->List();
    ASSERT_TRUE(networks.ok());
    for (const NetworkInfo& each : *networks) {
      EXPECT_TRUE(each.containers.empty()) << "after " << info.status().ToString();
    }
  }
  EXPECT_GT(n, 25);
  EXPECT_LT(n, 300);
  ASSERT_TRUE(runtime().Remove(runtime().List()->front().id, true).ok());
  RemoveBridge();
}

TEST_F(ContainerNetwork, DeathAnywhereInARunLeavesNothing) {
  ASSERT_EQ(Agent(0, "run", "bridge"), 0);
  ASSERT_TRUE(runtime().Remove(runtime().List()->front().id, true).ok());
  int n = 1;
  for (; n < 300; ++n) {
    const int status = Agent(n, "run", "bridge");
    Reopen();
    const auto all = runtime().List();
    ASSERT_TRUE(all.ok());
    for (const ContainerInfo& info : *all) {
      EXPECT_EQ(info.state, ContainerState::kRunning) << "killed at " << n;
      EXPECT_TRUE(runtime().Remove(info.id, true).ok());
    }
    ExpectNothingLeft();
    EXPECT_EQ(Cgroups(), "") << "killed at " << n;
    auto network = Network::Open(network_options_);
    ASSERT_TRUE(network.ok());
    const auto networks = network->List();
    ASSERT_TRUE(networks.ok());
    for (const NetworkInfo& each : *networks) {
      EXPECT_TRUE(each.containers.empty()) << "killed at " << n;
    }
    if (!WasKilled(status)) {
      EXPECT_EQ(status, 0);
      break;
    }
  }
  EXPECT_GT(n, 25);
  EXPECT_LT(n, 300);
  RemoveBridge();
}

}  // namespace
}  // namespace minibox::testing
