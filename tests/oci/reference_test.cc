// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "minibox/types.h"

namespace minibox {
namespace {

const std::string kDigest = "sha256:" + std::string(64, '0');

struct Good {
  std::string text, normalised, shown;
};

TEST(ImageRef, Normalises) {
  const Good table[] = {
      {"alpine", "docker.io/library/alpine:latest", "alpine"},
      {"alpine:latest", "docker.io/library/alpine:latest", "alpine:latest"},
      {"library/alpine:3", "docker.io/library/alpine:3", "alpine:3"},
      {"docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine"},
      {"docker.io/alpine:latest", "docker.io/library/alpine:latest", "alpine:latest"},
      {"index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine"},
      {"registry-1.docker.io/alpine", "docker.io/library/alpine:latest", "alpine"},
      {"grafana/loki", "docker.io/grafana/loki:latest", "grafana/loki"},
      {"library/a/b", "docker.io/library/a/b:latest", "library/a/b"},
      {"docker.io/my.org/app", "docker.io/my.org/app:latest", "docker.io/my.org/app"},
      {"docker.io/localhost/app", "docker.io/localhost/app:latest", "docker.io/localhost/app"},
      {"localhost/app", "localhost/app:latest", "localhost/app"},
      {"localhost", "docker.io/library/localhost:latest", "localhost"},
      {"localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"},
      {"localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app"},
      {"localhost:5000/app:1.0", "localhost:5000/app:1.0", "localhost:5000/app:1.0"},
      {"ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"},
      {"GHCR/a", "GHCR/a:latest", "GHCR/a"},
      {"[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app"},
      {"[fe80::1]/app", "[fe80::1]/app:latest", "[fe80::1]/app"},
      {"alpine@" + kDigest, "docker.io/library/alpine@" + kDigest, "alpine@" + kDigest},
      {"alpine:3@" + kDigest, "docker.io/library/alpine:3@" + kDigest, "alpine:3@" + kDigest},
      {"a.b_c__d---e", "docker.io/library/a.b_c__d---e:latest", "a.b_c__d---e"},
      {"a:" + std::string(128, 'T'), "docker.io/library/a:" + std::string(128, 'T'),
       "a:" + std::string(128, 'T')},
      {"a:_x.y-Z", "docker.io/library/a:_x.y-Z", "a:_x.y-Z"},
  };
  for (const Good& row : table) {
    const auto ref = ImageRef::Parse(row.text);
    ASSERT_TRUE(ref.ok()) << row.text << ": " << ref.status().ToString();
    EXPECT_EQ(ref->ToString(), row.normalised);
    EXPECT_EQ(ref->Shown(), row.shown);
    EXPECT_FALSE(ref->is_local());
    for (const std::string& again : {ref->ToString(), ref->Shown()}) {
      const auto second = ImageRef::Parse(again);
      ASSERT_TRUE(second.ok()) << again;
      EXPECT_EQ(second->ToString(), row.normalised) << again;
    }
  }
}

TEST(ImageRef, PartsOfANormalisedName) {
  const auto ref = ImageRef::Parse("localhost:5000/a/b:1@" + kDigest);
  ASSERT_TRUE(ref.ok());
  EXPECT_EQ(ref->registry(), "localhost:5000");
  EXPECT_EQ(ref->repository(), "a/b");
  EXPECT_EQ(ref->tag(), "1");
  EXPECT_EQ(ref->digest(), kDigest);
}

TEST(ImageRef, DigestAloneHasNoTag) {
  const auto ref = ImageRef::Parse("alpine@" + kDigest);
  ASSERT_TRUE(ref.ok());
  EXPECT_EQ(ref->tag(), "");
}

TEST(ImageRef, LocalNamesAreCaseSensitive) {
  for (const char* text : {"MyApp", "_x", "a_-b", "a___b", "-", "APP-1"}) {
    const auto ref = ImageRef::Parse(text);
    ASSERT_TRUE(ref.ok()) << ref.status().ToString();
    EXPECT_TRUE(ref->is_local());
    EXPECT_EQ(ref->ToString(), std::string(text) + ":latest");
    EXPECT_EQ(ref->Shown(), text);
  }
  const auto tagged = ImageRef::Parse("MyApp:V1");
  ASSERT_TRUE(tagged.ok());
  EXPECT_EQ(tagged->ToString(), "MyApp:V1");
  EXPECT_EQ(tagged->tag(), "V1");
}

TEST(ImageRef, RefusesWhatTheGrammarDoesNotHave) {
  const std::string bad[] = {
      "",
      " alpine",
      "alpine ",
      "al pine",
      "alpine:",
      "alpine:-x",
      "alpine:.x",
      "alpine:a:b",
      "alpine:" + std::string(129, 'a'),
      "alpine@",
      "alpine@sha256:123",
      "alpine@sha512:" + std::string(128, 'a'),
      "alpine@" + kDigest + "0",
      "MyApp@" + kDigest,
      "a//b",
      "/a",
      "a/",
      "a/../b",
      "../a",
      "a/./b",
      "docker.io/",
      "docker.io/Foo",
      "foo/Bar",
      "localhost:x/app",
      "localhost:0/app",
      "localhost:65536/app",
      "localhost:/app",
      "-host.io/app",
      "host-.io/app",
      "host..io/app",
      ":5000/app",
      "[::1/app",
      "[]/app",
      "[::g]/app",
      "[::1]x/app",
      "a..b",
      "a._b",
      ".a",
      "a.",
      "a.B",
      "é",
      "a\nb",
      std::string("a\0b", 3),
      std::string(256, 'a'),
      std::string(248, 'a'),  // with library/ in front
      "x.io/" + std::string(256, 'a'),
      std::string(256, 'A'),
  };
  for (const std::string& text : bad) {
    const auto ref = ImageRef::Parse(text);
    ASSERT_FALSE(ref.ok()) << text << " became " << ref->ToString();
    EXPECT_EQ(ref.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(ref.status().reason(), "invalid_reference");
  }
}

TEST(ImageRef, MessagesCannotMoveTheCursor) {
  const auto ref = ImageRef::Parse("a\x1b[2Jb");
  ASSERT_FALSE(ref.ok());
  EXPECT_EQ(ref.status().message().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace minibox
