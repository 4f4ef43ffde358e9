// SPDX-License-Identifier: Apache-2.0
#include "init/embedded.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

namespace minibox::init {
namespace {

TEST(EmbeddedInit, IsASmallStaticProgram) {
  const std::string_view program = EmbeddedInit();
  // Its size is most of what a bare spawn costs.
  EXPECT_LT(program.size(), 110'000u);
  Elf64_Ehdr header;
  ASSERT_GT(program.size(), sizeof header);
  std::memcpy(&header, program.data(), sizeof header);
  ASSERT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0);
  EXPECT_EQ(header.e_type, ET_EXEC);  // a PIE would have to relocate itself
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, program.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    EXPECT_NE(segment.p_type, static_cast<Elf64_Word>(PT_INTERP));
    EXPECT_NE(segment.p_type, static_cast<Elf64_Word>(PT_DYNAMIC));
    EXPECT_NE(segment.p_flags & (PF_W | PF_X), static_cast<Elf64_Word>(PF_W | PF_X));
  }
}

}  // namespace
}  // namespace minibox::init
