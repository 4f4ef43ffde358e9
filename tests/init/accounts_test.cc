// SPDX-License-Identifier: Apache-2.0
#include "init/accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace minibox::init {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StrEq;

constexpr char kPasswd[] =
    "root:x:0:0:root:/root:/bin/sh\n"
    "\n"
    "short:x:1\n"
    "nonumber:x:a:1::/:/bin/sh\n"
    "toomany:x:2:2::/:/bin/sh:more\n"
    ":x:3:3::/:/bin/sh\n"
    "www:x:33:34:web:/var/www:/usr/sbin/nologin\n"
    "www:x:99:99:second:/nowhere:/bin/sh\n"
    "1000:x:1500:1500::/home/number:/bin/sh\n"
    "homeless:x:40:40:::\n"
    "far:x:70000:1::/far:/bin/sh\n"
    "last:x:50:51::/last:/bin/sh";
constexpr char kGroup[] =
    "root:x:0:\n"
    "broken:x\n"
    "adm:x:4:syslog,www\n"
    "www-data:x:34:\n"
    "tape:x:26:www,last\n"
    "wwwx:x:27:wwwx\n"
    "far:x:70000:far\n"
    "last:x:51:";

struct Result {
  AccountError error;
  Identity identity;
};

Result Resolve(const char* user, std::string_view passwd = kPasswd, std::string_view group = kGroup,
               uint64_t limit = 65536) {
  Result result;
  result.error = ResolveIdentity(user, {passwd.data(), passwd.size()}, {group.data(), group.size()},
                                 limit, &result.identity);
  return result;
}

std::vector<uint32_t> Groups(const Result& result) {
  return {result.identity.groups, result.identity.groups + result.identity.group_count};
}

TEST(ResolveIdentity, OfNobodyInParticularIsRoot) {
  const Result result = Resolve("");
  EXPECT_EQ(result.error, AccountError::kNone);
  EXPECT_EQ(result.identity.uid, 0u);
  EXPECT_EQ(result.identity.gid, 0u);
  EXPECT_THAT(result.identity.home.c_str(), StrEq("/root"));
  EXPECT_THAT(result.identity.name.c_str(), StrEq("root"));
}

TEST(ResolveIdentity, OfANameHasItsGroups) {
  const Result result = Resolve("www");
  EXPECT_EQ(result.identity.uid, 33u);
  EXPECT_EQ(result.identity.gid, 34u);
  EXPECT_THAT(Groups(result), ElementsAre(4u, 26u));
  EXPECT_THAT(result.identity.home.c_str(), StrEq("/var/www"));
}

TEST(ResolveIdentity, WithAGroupHasNoOthers) {
  EXPECT_THAT(Groups(Resolve("www:adm")), IsEmpty());
  EXPECT_EQ(Resolve("www:adm").identity.gid, 4u);
  EXPECT_EQ(Resolve("www:12").identity.gid, 12u);
  EXPECT_EQ(Resolve("www:nosuch").error, AccountError::kUnknownGroup);
  EXPECT_EQ(Resolve("www:").error, AccountError::kUnknownGroup);
}

TEST(ResolveIdentity, OfANumberUsesItsEntry) {
  const Result known = Resolve("33");
  EXPECT_EQ(known.identity.gid, 34u);
  EXPECT_THAT(Groups(known), ElementsAre(4u, 26u));
  EXPECT_THAT(known.identity.name.c_str(), StrEq("www"));
  const Result unknown = Resolve("4711");
  EXPECT_EQ(unknown.error, AccountError::kNone);
  EXPECT_EQ(unknown.identity.uid, 4711u);
  EXPECT_EQ(unknown.identity.gid, 4711u);
  EXPECT_THAT(unknown.identity.home.c_str(), StrEq("/"));
  EXPECT_THAT(unknown.identity.name.c_str(), StrEq("4711"));
}

TEST(ResolveIdentity, PrefersANameThatLooksLikeANumber) {
  EXPECT_EQ(Resolve("1000").identity.uid, 1500u);
}

TEST(ResolveIdentity, ReadsALastLineWithoutEnd) {
  EXPECT_EQ(Resolve("last").identity.uid, 50u);
  EXPECT_EQ(Resolve("33:last").identity.gid, 51u);
}

TEST(ResolveIdentity, SkipsMalformedLines) {
  for (const char* name : {"short", "nonumber", "toomany", "nosuch", "x", ":0"}) {
    EXPECT_EQ(Resolve(name).error, AccountError::kUnknownUser) << name;
  }
  EXPECT_EQ(Resolve("homeless").error, AccountError::kNone);
  EXPECT_THAT(Resolve("homeless").identity.home.c_str(), StrEq("/"));
}

TEST(ResolveIdentity, StaysInTheRange) {
  EXPECT_EQ(Resolve("65535").error, AccountError::kNone);
  EXPECT_EQ(Resolve("65536").error, AccountError::kOutOfRange);
  EXPECT_EQ(Resolve("0:65536").error, AccountError::kOutOfRange);
  EXPECT_EQ(Resolve("far").error, AccountError::kOutOfRange);
  EXPECT_EQ(Resolve("4294967295", "", "", UINT32_MAX).error, AccountError::kOutOfRange);
  EXPECT_EQ(Resolve("4294967294", "", "", UINT32_MAX).error, AccountError::kNone);
  EXPECT_EQ(Resolve("4294967296", "", "", UINT32_MAX).error, AccountError::kOutOfRange);
  EXPECT_EQ(Resolve("99999999999999999999").error, AccountError::kUnknownUser);
  EXPECT_EQ(Resolve("-1").error, AccountError::kUnknownUser);
}

TEST(ResolveIdentity, LimitsTheGroups) {
  std::string group;
  for (uint32_t i = 0; i <= kMaxGroups; ++i) group += "g:x:" + std::to_string(i) + ":www\n";
  EXPECT_EQ(Resolve("www", kPasswd, group).error, AccountError::kTooManyGroups);
}

TEST(ResolveIdentity, SurvivesNoise) {
  std::mt19937 random(2);
  for (int round = 0; round < 5000; ++round) {
    std::string passwd = kPasswd, group = kGroup;
    for (int i = 0; i < 10; ++i) {
      passwd[random() % passwd.size()] = ":\n,0a"[random() % 5];
      group[random() % group.size()] = ":\n,0a"[random() % 5];
    }
    (void)Resolve("www", passwd, group);
    (void)Resolve("last:last", passwd, group);
  }
}

}  // namespace
}  // namespace minibox::init
