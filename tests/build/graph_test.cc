// SPDX-License-Identifier: Apache-2.0
#include "build/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build/parser.h"

namespace minibox::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Result {
  File file;
  Graph graph;
  std::vector<std::string> errors;

  std::vector<std::string> Names(const std::vector<int>& indices) const {
    std::vector<std::string> names;
    for (const int index : indices) names.push_back(file.blocks[static_cast<size_t>(index)].name);
    return names;
  }
  const Graph::Node& Node(std::string_view name) const {
    return graph.nodes[static_cast<size_t>(FindBlock(file, name))];
  }
  std::string BaseOf(std::string_view name) const {
    const int base = Node(name).base;
    return base < 0 ? "none" : graph.bases[static_cast<size_t>(base)].text;
  }
};

Result Build(std::string_view text, std::string_view target = "",
             std::map<std::string, std::string> given = {}) {
  Diagnostics diagnostics;
  Result result;
  result.file = ParseFile(text, diagnostics);
  Arguments arguments{.given = std::move(given), .platform = {"linux", "amd64", ""}};
  result.graph = BuildGraph(result.file, arguments,
                            target.empty() ? -1 : FindBlock(result.file, target), diagnostics);
  for (const auto& diagnostic : diagnostics.Resolve(text, 20)) {
    if (diagnostic.severity == Diagnostic::Severity::kError) {
      result.errors.push_back(diagnostic.ToString());
    }
  }
  return result;
}

constexpr std::string_view kExample =
    "ARG NODE=20\nBASE node:${NODE}-alpine\nBLOCK layout\n  RUN a\nBLOCK source\n  BASE scratch\n"
    "  COPY a /b\nBLOCK tools\n  RUN x\nBLOCK deps\n  NEED layout source\n  RUN y\nBLOCK assets\n"
    "  NEED tools\n  RUN z\nBLOCK app\n  NEED deps\n  COPY FROM=assets /out /p\n";

TEST(Graph, ExampleOfTheSpecification) {
  const auto result = Build(kExample);
  EXPECT_THAT(result.errors, ElementsAre());
  EXPECT_THAT(result.Names(result.graph.order),
              ElementsAre("layout", "source", "tools", "deps", "assets", "app"));
  std::vector<int> generations;
  for (const auto& node : result.graph.nodes) generations.push_back(node.generation);
  EXPECT_THAT(generations, ElementsAre(1, 1, 1, 2, 2, 3));
  EXPECT_THAT(result.Names(result.Node("app").stack), ElementsAre("layout", "source", "deps"));
  EXPECT_THAT(result.Names(result.Node("app").build_needs), ElementsAre("assets"));
  EXPECT_EQ(result.BaseOf("app"), "node:20-alpine");
  EXPECT_EQ(result.BaseOf("source"), "scratch");
}

TEST(Graph, OnlyWhatTheTargetNeedsIsWanted) {
  const auto result = Build(kExample, "assets");
  std::vector<std::string> wanted;
  for (size_t i = 0; i < result.graph.nodes.size(); ++i) {
    if (result.graph.nodes[i].wanted) wanted.push_back(result.file.blocks[i].name);
  }
  EXPECT_THAT(wanted, ElementsAre("tools", "assets"));
}

TEST(Graph, OrderIsDependenciesFirstOtherwiseFileOrder) {
  const auto result = Build("BASE a\nBLOCK c\n  NEED a\nBLOCK a\nBLOCK b\n  BNEED c\n");
  EXPECT_THAT(result.Names(result.graph.order), ElementsAre("a", "c", "b"));
}

TEST(Graph, SharedNeedIsStackedOnce) {
  const auto result =
      Build("BASE x\nBLOCK a\nBLOCK b\n  NEED a\nBLOCK c\n  NEED a a\nBLOCK d\n  NEED c b\n");
  EXPECT_THAT(result.Names(result.Node("d").stack), ElementsAre("a", "b", "c"));
  EXPECT_THAT(result.Names(result.Node("d").needs), ElementsAre("c", "b"));
}

TEST(Graph, BuildNeedsBringNoLayers) {
  const auto result = Build("BASE x\nBLOCK a\nBLOCK b\n  BNEED a\nBLOCK c\n  NEED b\n");
  EXPECT_THAT(result.Names(result.Node("c").stack), ElementsAre("b"));
  EXPECT_EQ(result.Node("c").generation, 3);
}

TEST(Graph, CycleIsPrinted) {
  EXPECT_THAT(Build("BASE x\nBLOCK a\n  NEED b\nBLOCK b\n  COPY FROM=a /a /b\n").errors,
              ElementsAre("MiniBox:3:8: dependency cycle: a → b → a"));
  EXPECT_THAT(Build("BASE x\nBLOCK a\n  NEED a\n").errors,
              ElementsAre("MiniBox:3:8: dependency cycle: a → a"));
  EXPECT_THAT(Build("BASE x\nBLOCK z\nBLOCK c\n  NEED z a\nBLOCK b\n  NEED c\nBLOCK a\n  NEED b\n"
                    "BLOCK q\n  BNEED q\n")
                  .errors,
              ElementsAre("MiniBox:4:10: dependency cycle: c → a → b → c",
                          "MiniBox:10:9: dependency cycle: q → q"));
}

TEST(Graph, UnknownBlockSuggests) {
  EXPECT_THAT(Build("BASE x\nBLOCK source\nBLOCK b\n  NEED surce nothing\n").errors,
              ElementsAre("MiniBox:4:8: unknown block 'surce' (did you mean 'source'?)",
                          "MiniBox:4:14: unknown block 'nothing'"));
}

TEST(Graph, BaseIsOwnThenOfTheNeedsThenOfTheFile) {
  const auto result = Build(
      "BASE f\nBLOCK own\n  BASE o\nBLOCK s\n  BASE scratch\nBLOCK inherits\n  NEED s own\n"
      "BLOCK file\n  NEED s\nBLOCK again\n  BASE docker.io/library/o:latest\n  NEED inherits\n");
  EXPECT_THAT(result.errors, ElementsAre());
  EXPECT_EQ(result.BaseOf("own"), "o");
  EXPECT_EQ(result.BaseOf("inherits"), "o");
  EXPECT_EQ(result.BaseOf("file"), "f");
  EXPECT_EQ(result.BaseOf("again"), "docker.io/library/o:latest");
}

TEST(Graph, TwoBasesAreAConflictThatNamesBoth) {
  EXPECT_THAT(Build("BASE f\nBLOCK a\n  BASE o\nBLOCK b\nBLOCK c\n  NEED a b\n").errors,
              ElementsAre("MiniBox:6:10: block 'c' would have two bases: block 'a' has the base "
                          "'o', block 'b' has 'f'"));
  EXPECT_THAT(Build("BASE f\nBLOCK a\n  BASE o\nBLOCK c\n  BASE scratch\n  NEED a\n").errors,
              ElementsAre("MiniBox:6:8: block 'c' would have two bases: its own base is 'scratch', "
                          "block 'a' has 'o'"));
}

TEST(Graph, WantedBlockWithoutBase) {
  EXPECT_THAT(Build("BLOCK a\n  RUN x\nBLOCK b\n  BASE x\n  BNEED a\n").errors,
              ElementsAre("MiniBox:1:1: block 'a' has no base"));
  EXPECT_THAT(Build("BLOCK a\n  RUN x\nBLOCK b\n  BASE x\n").errors, ElementsAre());
}

TEST(Graph, BaseSeesArgumentsAndEnvAboveIt) {
  const std::string text =
      "ARG A=1\nENV B=2\nBASE x:$A$B${C:-3}\nBLOCK a\n  ARG A=9\n  BASE y:$A\nARG A=7\n";
  EXPECT_EQ(Build(text).graph.bases[0].text, "x:123");
  EXPECT_EQ(Build(text).BaseOf("a"), "y:9");
  EXPECT_EQ(Build(text, "", {{"A", "5"}}).BaseOf("a"), "y:5");
  EXPECT_THAT(Build("BASE ${X:?which one}\n").errors, ElementsAre("MiniBox:1:6: X: which one"));
}

TEST(Graph, MalformedBase) {
  EXPECT_THAT(Build("BASE a:b:c\nBLOCK x\n").errors,
              ElementsAre(HasSubstr("malformed base 'a:b:c'")));
  EXPECT_THAT(Build("BASE --platform=amd64 a\n").errors,
              ElementsAre(HasSubstr("malformed platform 'amd64'")));
}

TEST(Graph, ManyBlocksInLinearTime) {
  std::string text = "BASE x\n";
  for (int i = 0; i < 1000; ++i) {
    text += "BLOCK b" + std::to_string(i) + "\n";
    if (i > 0) text += "  NEED";
    for (int j = 0; j < i; ++j) text += " b" + std::to_string(j);
    text += "\n";
  }
  const auto result = Build(text);
  EXPECT_THAT(result.errors, ElementsAre());
  EXPECT_EQ(result.Node("b999").stack.size(), 999u);
  EXPECT_EQ(result.Node("b999").generation, 1000);
}

}  // namespace
}  // namespace minibox::build
