// SPDX-License-Identifier: Apache-2.0
#include "runtime/generated_files.h"

#include <gtest/gtest.h>

namespace minibox::runtime {
namespace {

constexpr const char* kHead =
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
    "\n";

ContainerId Id() { return *ContainerId::Parse("0a1b2c3d"); }

TEST(HostsText, NamesTheContainerItself) {
  ContainerSpec spec;
  spec.name = "web";
  spec.labels = {{"minibox.aliases", "api, www,"}};
  spec.extra_hosts = {"db:10.0.0.1", "gw:host-gateway", "v6:[::5]"};
  EXPECT_EQ(HostsText(spec, Id(), "172.19.0.2", "172.19.0.1"), std::string(kHead) +
                                                                   "172.19.0.2\tweb\n"
                                                                   "172.19.0.2\t0a1b2c3d\n"
                                                                   "172.19.0.2\tapi\n"
                                                                   "172.19.0.2\twww\n"
                                                                   "10.0.0.1\tdb\n"
                                                                   "172.19.0.1\tgw\n"
                                                                   "::5\tv6\n");
}

TEST(HostsText, WithoutAddressThereIsNothingToName) {
  ContainerSpec spec;
  spec.name = "web";
  spec.extra_hosts = {"gw:host-gateway"};
  EXPECT_EQ(HostsText(spec, Id(), "", ""), std::string(kHead) + "127.0.0.1\tgw\n");
}

}  // namespace
}  // namespace minibox::runtime
