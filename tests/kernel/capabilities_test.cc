// SPDX-License-Identifier: Apache-2.0
#include "kernel/capabilities.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

namespace minibox::kernel {
namespace {

uint64_t Bit(int capability) { return uint64_t{1} << capability; }

TEST(Capabilities, NamesInAnySpelling) {
  EXPECT_EQ(ParseCapability("CAP_SYS_ADMIN"), CAP_SYS_ADMIN);
  EXPECT_EQ(ParseCapability("sys_admin"), CAP_SYS_ADMIN);
  EXPECT_EQ(ParseCapability("cap_Net_Raw"), CAP_NET_RAW);
  EXPECT_EQ(ParseCapability("CHECKPOINT_RESTORE"), CAP_CHECKPOINT_RESTORE);
  for (const char* wrong : {"", "CAP_", "ALL", "CAP_SYS_ADMIN ", "SYS-ADMIN", "21"}) {
    EXPECT_EQ(ParseCapability(wrong), std::nullopt) << wrong;
  }
}

TEST(Capabilities, EveryNumberRoundTrips) {
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    EXPECT_EQ(ParseCapability(CapabilityName(capability)), capability);
  }
  EXPECT_EQ(CapabilityName(CAP_CHOWN), "CAP_CHOWN");
  EXPECT_EQ(CapabilityName(63), "CAP_63");
}

TEST(Capabilities, TheDefaultIsDockers) {
  uint64_t expected = 0;
  for (const int capability : {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FSETID, CAP_FOWNER, CAP_MKNOD,
                               CAP_NET_RAW, CAP_SETGID, CAP_SETUID, CAP_SETFCAP, CAP_SETPCAP,
                               CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL, CAP_AUDIT_WRITE}) {
    expected |= Bit(capability);
  }
  EXPECT_EQ(DefaultCapabilities(), expected);
}

TEST(Capabilities, AllIsEveryoneTheKernelKnows) {
  EXPECT_EQ(AllCapabilities() & Bit(CAP_SYS_ADMIN), Bit(CAP_SYS_ADMIN));
  EXPECT_EQ(AllCapabilities() & (AllCapabilities() + 1), 0u) << "a row of ones";
  EXPECT_EQ(AllCapabilities() & DefaultCapabilities(), DefaultCapabilities());
}

TEST(Capabilities, DropComesBeforeAdd) {
  EXPECT_EQ(*ResolveCapabilities(DefaultCapabilities(), {"NET_ADMIN"}, {"ALL"}),
            Bit(CAP_NET_ADMIN));
  EXPECT_EQ(*ResolveCapabilities(Bit(CAP_CHOWN), {"chown"}, {"CAP_CHOWN"}), Bit(CAP_CHOWN));
  EXPECT_EQ(*ResolveCapabilities(DefaultCapabilities(), {"all"}, {}), AllCapabilities());
  EXPECT_EQ(*ResolveCapabilities(DefaultCapabilities(), {}, {"MKNOD", "KILL"}),
            DefaultCapabilities() & ~Bit(CAP_MKNOD) & ~Bit(CAP_KILL));
}

TEST(Capabilities, UnknownNameIsNamed) {
  const auto added = ResolveCapabilities(0, {"CHOWN", "SYS_ADMN"}, {});
  EXPECT_EQ(added.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(added.status().field(), "cap_add[1]");
  EXPECT_EQ(added.status().message(), "cap_add[1]: unknown capability 'SYS_ADMN'");
  EXPECT_EQ(ResolveCapabilities(0, {}, {""}).status().field(), "cap_drop[0]");
}

}  // namespace
}  // namespace minibox::kernel
