// SPDX-License-Identifier: Apache-2.0
#include "oci/digest.h"

#include <gtest/gtest.h>

namespace minibox {
namespace {

const std::string kHex(64, 'a');

TEST(Digest, ParsesItsOwnText) {
  const auto digest = Digest::Parse("sha256:" + kHex);
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(digest->ToString(), "sha256:" + kHex);
  EXPECT_EQ(digest->hex(), kHex);
}

TEST(Digest, RefusesWhatIsNoFileName) {
  const std::string bad[] = {
      "",
      kHex,
      "sha256:",
      "sha256:" + kHex.substr(1),
      "sha256:" + kHex + "a",
      "sha256:../../../../../../../../../../../../../../../../../../../etc/pass",
      "sha256:" + std::string(64, 'A'),
      "sha256:" + std::string(64, 'g'),
      "SHA256:" + kHex,
      "sha512:" + kHex,
      "sha256:" + kHex.substr(1) + std::string(1, '\0'),
  };
  for (const std::string& text : bad) {
    const auto digest = Digest::Parse(text);
    ASSERT_FALSE(digest.ok()) << text;
    EXPECT_EQ(digest.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(digest.status().reason(), "invalid_argument");
    EXPECT_EQ(digest.status().field(), "digest");
  }
}

TEST(Digest, OfBytes) {
  EXPECT_EQ(oci::DigestOf("abc").ToString(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace minibox
