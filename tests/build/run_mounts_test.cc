// SPDX-License-Identifier: Apache-2.0
#include "build/run_mounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build/graph.h"
#include "build/parser.h"
#include "build/plan.h"

namespace minibox::build {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Planned {
  std::vector<Action> actions;
  std::vector<std::string> errors;
};

// Of block x, whose WORKDIR is /w; block y is there to mount from.
Planned PlanRun(const std::string& options) {
  const std::string text =
      "BASE b\nBLOCK y\nBLOCK x\nENV V=/v\n"
      "BLOCK z\n  BNEED y\n  WORKDIR /w\n  RUN " +
      options + " true\n";
  Diagnostics diagnostics;
  const File file = ParseFile(text, diagnostics);
  const Arguments arguments{.platform = {"linux", "amd64", ""}};
  const Graph graph = BuildGraph(file, arguments, -1, diagnostics);
  const oci::ImageConfig base;
  Planned out;
  const Plan plan =
      MakePlan(file, graph, arguments, BaseConfigs(graph.bases.size(), &base), diagnostics);
  out.actions = plan.blocks.back().actions;
  for (const auto& diagnostic : diagnostics.Resolve(text, 20)) {
    out.errors.push_back(diagnostic.ToString());
  }
  return out;
}

std::vector<StepMount> MountsOf(const std::string& options) {
  const Planned planned = PlanRun(options);
  EXPECT_THAT(planned.errors, IsEmpty());
  return planned.actions.back().mounts;
}

TEST(RunMounts, DefaultsAreFilledIn) {
  const auto cache = MountsOf("--mount=type=cache,target=npm");
  ASSERT_EQ(cache.size(), 1u);
  EXPECT_EQ(cache[0].target, "/w/npm");
  EXPECT_EQ(cache[0].id, "/w/npm");
  EXPECT_EQ(cache[0].sharing, "shared");
  EXPECT_EQ(cache[0].mode, 0755u);
  const auto secret = MountsOf("--mount=type=secret,id=key");
  EXPECT_EQ(secret[0].target, "/run/secrets/key");
  EXPECT_EQ(secret[0].mode, 0400u);
  EXPECT_TRUE(secret[0].required);
  EXPECT_EQ(MountsOf("--mount=type=secret,id=key,env=KEY")[0].target, "");
  const auto bind = MountsOf("--mount=type=bind,target=/x,from=y");
  EXPECT_EQ(bind[0].from, 0);
  EXPECT_EQ(bind[0].source, "");
  EXPECT_FALSE(bind[0].writable);
  EXPECT_TRUE(MountsOf("--mount=type=bind,target=/x,rw")[0].writable);
}

TEST(RunMounts, ValuesAreWordsWithVariables) {
  const auto mounts = MountsOf(
      "--mount=type=cache,target=${V}/c,id='a,b=c',mode=700,uid=5,gid=6,sharing=locked "
      "--mount=\"type=tmpfs,target=${V}/t,size=64m\"");
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_EQ(mounts[0].target, "/v/c");
  EXPECT_EQ(mounts[0].id, "a,b=c");
  EXPECT_EQ(mounts[0].mode, 0700u);
  EXPECT_EQ(mounts[0].uid, 5u);
  EXPECT_EQ(mounts[1].target, "/v/t");
  EXPECT_EQ(mounts[1].bytes, 64u << 20);
}

TEST(RunMounts, OrderOfOptionsAndKeysIsInNoKey) {
  const auto canonical = [](const std::string& options) {
    return PlanRun(options).actions.back().canonical;
  };
  EXPECT_EQ(canonical("--mount=type=cache,target=/a,id=i --mount=type=tmpfs,target=/b"),
            canonical("--mount=target=/b,type=tmpfs --mount=id=i,target=/a,type=cache"));
  EXPECT_NE(canonical("--mount=type=cache,target=/a"), canonical("--mount=type=cache,target=/b"));
  // Who else uses a cache changes nothing of what it is.
  EXPECT_EQ(canonical("--mount=type=cache,target=/a"),
            canonical("--mount=type=cache,target=/a,sharing=private"));
}

TEST(RunMounts, ABlockThatIsMountedIsADependency) {
  const std::string text =
      "BASE b\nBLOCK y\nBLOCK x\n  RUN --mount=type=bind,from=y,target=/y true\n";
  Diagnostics diagnostics;
  const File file = ParseFile(text, diagnostics);
  const Graph graph = BuildGraph(file, {}, -1, diagnostics);
  EXPECT_THAT(graph.nodes[1].build_needs, ElementsAre(0));
  EXPECT_TRUE(graph.nodes[0].wanted);
}

TEST(RunMounts, WhatIsWrongIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"--mount=target=/x", "MiniBox:8:7: --mount needs type=cache, secret, tmpfs or bind"},
      {"--mount=type=cahce,target=/x",
       "MiniBox:8:20: unknown mount type 'cahce' (did you mean 'cache'?)"},
      {"--mount=type=cache,tarGet=/x",
       "MiniBox:8:26: unknown mount key 'tarGet' of type 'cache' (did you mean 'target'?): it has "
       "target, id, sharing, mode, uid and gid"},
      {"--mount=type=tmpfs,target=/x,mode=1",
       "MiniBox:8:36: unknown mount key 'mode' of type 'tmpfs': it has target and "
       "size"},
      {"--mount=type=cache", "MiniBox:8:7: a mount of type 'cache' needs the key 'target'"},
      {"--mount=type=secret,target=/x", "MiniBox:8:7: a mount of type 'secret' needs the key 'id'"},
      {"--mount=type=tmpfs,target=/x,target=/y", "MiniBox:8:36: mount key 'target' is given twice"},
      {"--mount=type=tmpfs,target", "MiniBox:8:26: mount key 'target' needs a value"},
      {"--mount=type=tmpfs,target=/", "MiniBox:8:33: the target of a mount may not be '/'"},
      {"--mount=type=tmpfs,target=/x,size=big", "MiniBox:8:41: malformed size 'big'"},
      {"--mount=type=cache,target=/x,mode=9", "MiniBox:8:41: malformed octal mode '9'"},
      {"--mount=type=cache,target=/x,uid=me", "MiniBox:8:40: malformed number 'me'"},
      {"--mount=type=cache,target=/x,sharing=sharde",
       "MiniBox:8:44: sharing 'sharde' is none of 'shared', 'private', 'locked' (did you mean "
       "'shared'?)"},
      {"--mount=type=secret,id=a/b", "MiniBox:8:30: malformed id 'a/b'"},
      {"--mount=type=secret,id=a,required=maybe",
       "MiniBox:8:41: malformed value 'maybe': expected 'true' or 'false'"},
      {"--mount=type=bind,target=/x,source=../..",
       "MiniBox:8:42: path '../..' leads out of its root"},
      {"--mount=type=bind,target=/x,from=$V",
       "MiniBox:8:40: the name of a block may not hold variables"},
      {"--mount=type=bind,target=/x,from=none", "MiniBox:8:40: unknown block 'none'"},
      {"--mount=type=tmpfs,target=/x --mount=type=tmpfs,target=/x/",
       "MiniBox:8:36: two mounts on '/x'"},
  };
  for (const auto& [options, error] : cases) {
    EXPECT_THAT(PlanRun(options).errors, ElementsAre(error)) << options;
  }
}

}  // namespace
}  // namespace minibox::build
