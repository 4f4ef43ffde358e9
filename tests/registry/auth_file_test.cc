// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/base64.h"
#include "minibox/registry.h"
#include "support/scratch.h"

namespace minibox {
namespace {

using ::testing::HasSubstr;

class AuthFile : public ::testing::Test {
 protected:
  std::string Write(const std::string& text) { return scratch_.Write("config.json", text); }
  testing::Scratch scratch_;
  const std::string file_ = scratch_ / "dir/config.json";
};

TEST_F(AuthFile, FindsByHostInAnyForm) {
  const std::string file = Write(R"({"auths":{
      "https://index.docker.io/v1/":{"auth":"aHViOnB3"},
      "reg.example:5000":{"auth":"bWU6YTpi"},
      "https://other.example/v2/":{"identitytoken":"it","auth":"PHRva2VuPjo="},
      "plain.example":{"username":"u","password":"p"}}})");
  EXPECT_EQ(FindCredentials(file, "docker.io")->username, "hub");
  EXPECT_EQ(FindCredentials(file, "reg.example:5000")->password, "a:b");
  EXPECT_TRUE(FindCredentials(file, "reg.example")->empty());
  EXPECT_EQ(FindCredentials(file, "other.example")->identity_token, "it");
  EXPECT_EQ(FindCredentials(file, "plain.example")->username, "u");
}

TEST_F(AuthFile, MissingFilesAreEmpty) {
  EXPECT_TRUE(FindCredentials(file_, "a")->empty());
  EXPECT_TRUE(FindCredentials("", "a")->empty());
  EXPECT_FALSE(*RemoveCredentials(file_, "a"));
  EXPECT_TRUE(FindCredentials(Write(""), "a")->empty());
  EXPECT_TRUE(FindCredentials(Write("{}"), "a")->empty());
}

TEST_F(AuthFile, SavedIsFoundAndRemovedIsGoneAndTheRestStays) {
  ASSERT_TRUE(SaveCredentials(file_, "a.example", {.username = "u", .password = "p:q"}).ok());
  struct stat st {};
  ASSERT_EQ(stat(file_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  ASSERT_TRUE(SaveCredentials(file_, "docker.io", {.username = "d", .password = "x"}).ok());
  ASSERT_TRUE(SaveCredentials(file_, "a.example", {.username = "u2", .password = "p"}).ok());
  EXPECT_EQ(FindCredentials(file_, "a.example")->username, "u2");
  EXPECT_THAT(testing::ReadWholeFile(file_), HasSubstr("https://index.docker.io/v1/"));
  EXPECT_TRUE(*RemoveCredentials(file_, "docker.io"));
  EXPECT_TRUE(FindCredentials(file_, "docker.io")->empty());
  EXPECT_EQ(FindCredentials(file_, "a.example")->username, "u2");

  const std::string other =
      Write(R"({"credsStore":"x","auths":{"b":{"auth":"YTpi","email":"e"}}})");
  ASSERT_TRUE(SaveCredentials(other, "a", {.identity_token = "t"}).ok());
  const std::string text = testing::ReadWholeFile(other);
  EXPECT_THAT(text, HasSubstr("credsStore"));
  EXPECT_THAT(text, HasSubstr("email"));
  EXPECT_EQ(FindCredentials(other, "a")->identity_token, "t");
}

TEST_F(AuthFile, MalformedFilesAreErrorsThatQuoteNothing) {
  for (const char* text :
       {"{\"auths\":{\"a\":{\"auth\":\"secret!\"}}}", "[]", "{secret",
        "{\"auths\":{\"a\":{\"auth\":\"c2VjcmV0\"}}}", "{\"auths\":{\"a\":{\"auth\":1}}}"}) {
    const std::string file = Write(text);
    const auto found = FindCredentials(file, "a");
    EXPECT_EQ(found.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(found.status().message(), HasSubstr("config.json"));
    EXPECT_THAT(found.status().message(), ::testing::Not(HasSubstr("secret")));
  }
  // A file that nobody could read is not written over.
  const std::string file = Write("{broken");
  EXPECT_FALSE(SaveCredentials(file, "a", {.username = "u", .password = "p"}).ok());
  EXPECT_EQ(testing::ReadWholeFile(file), "{broken");
}

TEST(Base64, BothWays) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd", "\xff\xfe\xfd?>"}) {
    EXPECT_EQ(core::Base64Decode(core::Base64Encode(text)), text);
  }
  EXPECT_EQ(core::Base64Encode("abcd"), "YWJjZA==");
  EXPECT_EQ(core::Base64Decode("_-8"), "\xff\xef");
  EXPECT_EQ(core::Base64Decode("a"), std::nullopt);
  EXPECT_EQ(core::Base64Decode("a b="), std::nullopt);
}

}  // namespace
}  // namespace minibox
