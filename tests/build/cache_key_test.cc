// SPDX-License-Identifier: Apache-2.0
#include "build/cache_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <set>

#include "build/copy_plan.h"
#include "build/parser.h"

namespace minibox::build {
namespace {

struct Input {
  std::string previous = std::string(64, 'a');
  Action action{};
  std::string network = "bridge";
  KeySettings settings{"linux/amd64", 0};
  std::vector<KeyEntry> entries{};

  Input() {
    auto variables = std::make_shared<Variables>();
    variables->env = {"A=1"};
    variables->arguments = {{"B", "2"}};
    action.variables = variables;
    action.canonical = {"RUN", "shell", "x"};
    action.shell = {"/bin/sh", "-c"};
    entries = {{.target = "f", .type = S_IFREG, .mode = 0644, .size = 3, .content = "abc"}};
  }
  void SetVariables(const std::function<void(Variables&)>& edit) {
    auto variables = std::make_shared<Variables>(*action.variables);
    edit(*variables);
    action.variables = variables;
  }
  std::string Key() const { return ActionKey(previous, action, network, settings, entries); }
};

TEST(CacheKey, EverythingThatMattersChangesIt) {
  const std::vector<std::function<void(Input&)>> changes = {
      [](Input& in) { in.previous[0] = 'b'; },
      [](Input& in) { in.action.canonical[2] = "y"; },
      [](Input& in) {
        in.action.canonical = {"RUN", "shellx"};
      },
      [](Input& in) { in.action.workdir = "/w"; },
      [](Input& in) { in.action.user = "u"; },
      [](Input& in) {
        in.action.shell = {"/bin/sh", "-e"};
      },
      [](Input& in) { in.network = "none"; },
      [](Input& in) { in.settings.platform = "linux/arm64"; },
      [](Input& in) { in.settings.epoch = 1; },
      [](Input& in) { in.SetVariables([](Variables& v) { v.env = {"A=2"}; }); },
      [](Input& in) { in.SetVariables([](Variables& v) {
                        v.env = {"A=1", "C="};
                      }); },
      [](Input& in) { in.SetVariables([](Variables& v) { v.arguments["B"] = "3"; }); },
      [](Input& in) { in.SetVariables([](Variables& v) { v.arguments.clear(); }); },
      [](Input& in) { in.entries[0].target = "g"; },
      [](Input& in) { in.entries[0].type = S_IFLNK; },
      [](Input& in) { in.entries[0].mode = 0600; },
      [](Input& in) { in.entries[0].size = 4; },
      [](Input& in) { in.entries[0].content = "abd"; },
      [](Input& in) { in.entries[0].link = "l"; },
      [](Input& in) { in.entries[0].capability = "c"; },
      [](Input& in) { in.entries[0].device = 5; },
      [](Input& in) { in.entries[0].owner = "1:1"; },
      [](Input& in) { in.entries.clear(); },
      [](Input& in) { in.entries.push_back(in.entries[0]); },
  };
  std::set<std::string> keys = {Input().Key()};
  for (size_t i = 0; i < changes.size(); ++i) {
    Input input;
    changes[i](input);
    EXPECT_TRUE(keys.insert(input.Key()).second) << "change " << i;
  }
}

TEST(CacheKey, WhatDoesNotMatterDoesNot) {
  const std::vector<std::function<void(Input&)>> changes = {
      [](Input& in) { in.action.display = "RUN something else"; },
      [](Input& in) { in.action.offset = 7; },
      [](Input& in) { in.action.from = 3; },
      [](Input& in) { in.SetVariables([](Variables& v) { v.proxies["http_proxy"] = "p"; }); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    Input input;
    changes[i](input);
    EXPECT_EQ(input.Key(), Input().Key()) << "change " << i;
  }
}

TEST(CacheKey, BlockStart) {
  const std::string a(64, 'a'), b(64, 'b');
  const std::set<std::string> keys = {
      BlockStartKey("scratch", {}),     BlockStartKey("sha256:1", {}),
      BlockStartKey("scratch", {a}),    BlockStartKey("scratch", {b}),
      BlockStartKey("scratch", {a, b}), BlockStartKey("scratch", {b, a})};
  EXPECT_EQ(keys.size(), 6u);
  EXPECT_EQ(keys.begin()->size(), 64u);
}

// Names of blocks, comments and metadata lines are in no key.
TEST(CacheKey, OfAPlanIsTheSameWhateverItsBlocksAreCalled) {
  const auto canonical = [](const std::string& text) {
    Diagnostics diagnostics;
    const File file = ParseFile(text, diagnostics);
    const Arguments arguments{.platform = {"linux", "amd64", ""}};
    const Graph graph = BuildGraph(file, arguments, -1, diagnostics);
    const oci::ImageConfig base;
    const Plan plan =
        MakePlan(file, graph, arguments, BaseConfigs(graph.bases.size(), &base), diagnostics);
    EXPECT_FALSE(diagnostics.failed());
    std::vector<std::string> keys;
    for (const auto& block : plan.blocks) {
      for (const auto& action : block.actions) {
        keys.push_back(ActionKey("", action, "bridge", {}, {}));
      }
    }
    return keys;
  };
  EXPECT_EQ(canonical("BASE b\nBLOCK a\n  RUN x\nBLOCK c\n  COPY FROM=a /x /y\n"),
            canonical("BASE b\n# hello\nLABEL l=1\nBLOCK other\n  PORT 80\n  run x\nBLOCK c\n  "
                      "COPY --from=other /x /y\n  START z\n"));
}

}  // namespace
}  // namespace minibox::build
