// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/leak_check.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  minibox::testing::InstallLeakCheck();
  return RUN_ALL_TESTS();
}
