// SPDX-License-Identifier: Apache-2.0
// Hosts that cannot have networks: no nftables, no permission. Each on a thread of its own, which
// alone lacks it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <thread>

#include "network/testbed.h"

namespace minibox::testing {
namespace {

void OnThread(const std::function<void()>& function) { std::thread(function).join(); }

// For this thread, NETLINK_NETFILTER is not there.
void LoseNftables() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NETLINK_NETFILTER, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {std::size(program), program};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), 0);
}

// For this thread, networks are not its to change.
void LosePermission() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
  data[0].effective &= ~(1u << CAP_NET_ADMIN);
  ASSERT_EQ(syscall(SYS_capset, &header, data), 0);
}

// All that a network that was not made could have left in the kernel and in the records.
std::string Traces(const Testbed& bed) {
  std::string traces = Output("ip -br link; nft list ruleset; cat /proc/sys/net/ipv4/ip_forward");
  const auto networks = bed.Open().List();
  EXPECT_TRUE(networks.ok());
  for (const NetworkInfo& network : *networks) {
    traces += network.name + ": " + std::to_string(network.containers.size()) + "\n";
  }
  for (const auto& mark : std::filesystem::directory_iterator(bed.options.state_dir / "starting")) {
    traces += mark.path().string() + "\n";
  }
  return traces;
}

NetworkSpec Back() {
  NetworkSpec spec;
  spec.name = "back";
  return spec;
}

TEST(HostLacks, NftablesIsNamedAndNothingIsLeft) {
  Testbed bed;
  const std::string before = Traces(bed);
  OnThread([&] {
    LoseNftables();
    const NetworkImpl impl = ImplOf(bed.Open());
    for (const Status& status :
         {impl->EnsureDefault().status(), impl->Create(Back()).status(),
          impl->Reserve({"aaaaaaaa", "bridge", "", {Tcp(8080, 80)}}).status(),
          impl->Claim({"aaaaaaaa", "bridge", "172.19.0.9", {}})}) {
      EXPECT_EQ(status.code(), StatusCode::kInternal);
      EXPECT_EQ(status.reason(), "unsupported_by_host") << status.ToString();
      EXPECT_NE(status.message().find("nftables"), std::string::npos) << status.ToString();
      EXPECT_EQ(Traces(bed), before);
    }
  });
  // Another one, with nftables, finds nothing left and nothing in its way.
  EXPECT_EQ(Traces(bed), before);
  EXPECT_TRUE(bed.TryStart("aaaaaaaa", {Tcp(8080, 80)}).ok());
}

TEST(HostLacks, PermissionIsNamedAndNothingIsLeft) {
  Testbed bed;
  const std::string before = Traces(bed);
  OnThread([&] {
    LosePermission();
    const NetworkImpl impl = ImplOf(bed.Open());
    for (const Status& status :
         {impl->EnsureDefault().status(), impl->Create(Back()).status(),
          impl->Reserve({"aaaaaaaa", "bridge", "", {Tcp(8080, 80)}}).status()}) {
      EXPECT_EQ(status.code(), StatusCode::kPermissionDenied) << status.ToString();
      EXPECT_NE(status.message().find("Operation not permitted"), std::string::npos)
          << status.ToString();
      EXPECT_EQ(Traces(bed), before);
    }
  });
  EXPECT_TRUE(bed.TryStart("aaaaaaaa", {Tcp(8080, 80)}).ok());
}

// One that already runs is not disturbed, and goes when it ends.
TEST(HostLacks, PermissionLostLaterLosesNothing) {
  Testbed bed;
  const auto web = bed.Start("aaaaaaaa", {Tcp(8080, 80)});
  OnThread([&] {
    LosePermission();
    const NetworkImpl impl = ImplOf(bed.Open());
    auto refused = impl->Reserve({"bbbbbbbb", "bridge", "", {Tcp(8081, 80)}});
    if (refused.ok()) {
      const Namespace* inside = &web->inside;
      EXPECT_FALSE(
          impl->Attach(refused->endpoint, "bbbbbbbb", inside->netns(), inside->rtnetlink()).ok());
    }
    (void)impl->Release("bbbbbbbb");  // says that it may not change the firewall
  });
  const core::Fd server = ListenTcp(&web->inside, 80);
  EXPECT_EQ(SeenBy(server.get(), &bed.neighbour, "198.51.100.1", 8080), "198.51.100.2");
  ASSERT_TRUE(bed.impl()->Reconcile({{"aaaaaaaa", 0}}).ok());
  EXPECT_FALSE(LinkExists("veth-bbbbbbbb"));
  EXPECT_EQ(bed.impl()->List()->at(0).containers.size(), 1u);
}

}  // namespace
}  // namespace minibox::testing
