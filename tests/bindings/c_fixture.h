// SPDX-License-Identifier: Apache-2.0
// A store of the test's own behind the C ABI.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "minibox.h"
#include "support/scratch.h"

namespace minibox::testing {

// An error as text, freed: "<code> <reason> <field>"; "ok" for NULL.
std::string Taken(minibox_error* error);
// Its message, freed.
std::string MessageOf(minibox_error* error);
// A result, freed; fails the test if there is an error.
std::string Json(minibox_error* error, char* json);

class CTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override { minibox_store_free(store_); }

  minibox_store* OpenStore(const std::string& root);
  // A descriptor of the tar of a root file system with one file of `size` bytes.
  int Tar(size_t size) const;
  // An image of that tar.
  void Import(const char* name, size_t size = 100);

  Scratch scratch_;
  minibox_store* store_ = nullptr;
};

}  // namespace minibox::testing
