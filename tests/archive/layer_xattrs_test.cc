// SPDX-License-Identifier: Apache-2.0
#include "archive/layer_xattrs.h"

#include <gtest/gtest.h>

namespace minibox::archive {
namespace {

TEST(LayerXattrs, WhatIsUnpacked) {
  for (const char* name : {"security.capability", "user.x", "system.posix_acl_access",
                           "system.posix_acl_default", "trusted.x"}) {
    EXPECT_EQ(RuleForUnpacking(name), XattrRule::kKeep) << name;
  }
  for (const char* name : {"security.selinux", "security.ima", "security.evm", "btrfs.compression",
                           "system.nfs4_acl", "com.apple.quarantine", ""}) {
    EXPECT_EQ(RuleForUnpacking(name), XattrRule::kIgnore) << name;
  }
  for (const char* name : {"trusted.overlay.opaque", "trusted.overlay.redirect",
                           "user.overlay.whiteout", "user.overlay."}) {
    EXPECT_EQ(RuleForUnpacking(name), XattrRule::kRefuse) << name;
  }
}

TEST(LayerXattrs, WhatIsPacked) {
  EXPECT_TRUE(IsPacked("security.capability"));
  EXPECT_TRUE(IsPacked("user.mime_type"));
  for (const char* name :
       {"user.overlay.opaque", "trusted.x", "system.posix_acl_access", "security.selinux"}) {
    EXPECT_FALSE(IsPacked(name)) << name;
  }
}

}  // namespace
}  // namespace minibox::archive
