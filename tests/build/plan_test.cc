// SPDX-License-Identifier: Apache-2.0
#include "build/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build/parser.h"

namespace minibox::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

struct Result {
  File file;
  Plan plan;
  std::vector<std::string> errors, warnings;

  const PlannedBlock& Block(std::string_view name) const {
    return plan.blocks[static_cast<size_t>(FindBlock(file, name))];
  }
};

Result MakeFrom(std::string_view text, const oci::ImageConfig& base = {},
                std::map<std::string, std::string> given = {}, std::string_view target = "") {
  Diagnostics diagnostics;
  Result result;
  result.file = ParseFile(text, diagnostics);
  Arguments arguments{.given = std::move(given), .platform = {"linux", "arm64", "v8"}};
  const Graph graph = BuildGraph(result.file, arguments,
                                 target.empty() ? -1 : FindBlock(result.file, target), diagnostics);
  const oci::ImageConfig empty;
  BaseConfigs configs;
  for (const auto& name : graph.bases) configs.push_back(name.scratch() ? &empty : &base);
  if (!diagnostics.failed()) {
    result.plan = MakePlan(result.file, graph, arguments, configs, diagnostics);
  }
  for (const auto& diagnostic : diagnostics.Resolve(text, 20)) {
    (diagnostic.severity == Diagnostic::Severity::kError ? result.errors : result.warnings)
        .push_back(diagnostic.ToString());
  }
  return result;
}

std::vector<std::string> ErrorsOf(const std::string& lines) {
  return MakeFrom("BASE b\nBLOCK x\n" + lines).errors;
}

TEST(Plan, StateComesFromBaseColumnOneNeedsAndOwnLines) {
  oci::ImageConfig base;
  base.env = {"PATH=/bin", "A=base"};
  base.working_dir = "/home";
  base.user = "daemon";
  base.cmd = {"sh"};
  const auto result = MakeFrom(
      "BASE b\nENV B=one PATH=/x:$PATH\n"
      "BLOCK n\n  WORKDIR /n\n  ENV A=need C=need\n  USER 7\n  LABEL l=n\n"
      "BLOCK r\n  WORKDIR /\n  ENV C=later\n"
      "ENV B=two\n"
      "BLOCK t\n  RUN before\n  NEED n r\n  ENV D=$A-$B-$C\n  RUN after\n  WORKDIR sub\n"
      "LABEL z=$D\n",
      base);
  EXPECT_THAT(result.errors, ElementsAre());
  const auto& actions = result.Block("t").actions;
  ASSERT_EQ(actions.size(), 3u);
  EXPECT_EQ(result.Block("t").start_workdir, "/n");
  EXPECT_THAT(actions[0].variables->env, ElementsAre("PATH=/x:/bin", "A=need", "B=two", "C=later"));
  EXPECT_THAT(actions[1].variables->env,
              ElementsAre("PATH=/x:/bin", "A=need", "B=two", "C=later", "D=need-two-later"));
  EXPECT_EQ(actions[0].user, "7");
  EXPECT_EQ(actions[2].workdir, "/n/sub");
  EXPECT_EQ(result.plan.config.working_dir, "/n/sub");
  EXPECT_THAT(result.plan.config.labels, ElementsAre(Pair("l", "n"), Pair("z", "need-two-later")));
  EXPECT_THAT(result.plan.config.cmd, ElementsAre("sh"));
  EXPECT_EQ(result.Block("n").actions[0].user, "daemon");
}

TEST(Plan, ColumnOneWorkdirIsAnActionOfEachFollowingBlock) {
  const auto result =
      MakeFrom("BASE b\nBLOCK a\n  RUN x\nWORKDIR /w\nBLOCK c\n  RUN y\nWORKDIR z\n");
  EXPECT_EQ(result.Block("a").actions.size(), 1u);
  ASSERT_EQ(result.Block("c").actions.size(), 2u);
  EXPECT_EQ(result.Block("c").actions[0].kind, Directive::kWorkdir);
  EXPECT_EQ(result.plan.config.working_dir, "/w/z");
}

TEST(Plan, EntrypointWithoutStartEmptiesCmd) {
  oci::ImageConfig base;
  base.cmd = {"old"};
  EXPECT_THAT(MakeFrom("BASE b\nENTRYPOINT e\n", base).plan.config.cmd, ElementsAre());
  EXPECT_THAT(MakeFrom("BASE b\nSTART new\nBLOCK x\n  ENTRYPOINT [\"e\"]\n", base).plan.config.cmd,
              ElementsAre("new"));
  EXPECT_THAT(MakeFrom("BASE b\nBLOCK x\n  RUN a\n", base).plan.config.cmd, ElementsAre("old"));
}

TEST(Plan, Arguments) {
  const auto result = MakeFrom(
      "BASE b\nARG A=1 B C=3\nBLOCK x\n  ARG D=$A$B\n  ENV C=env E=$A$C\n  RUN r\n  ARG F=late\n",
      {}, {{"A", "given"}, {"nobody", "x"}, {"http_proxy", "p"}});
  const auto& variables = *result.Block("x").actions[0].variables;
  EXPECT_THAT(variables.arguments,
              ElementsAre(Pair("A", "given"), Pair("D", "given"), Pair("TARGETARCH", "arm64"),
                          Pair("TARGETOS", "linux"), Pair("TARGETPLATFORM", "linux/arm64/v8"),
                          Pair("TARGETVARIANT", "v8")));
  EXPECT_THAT(variables.proxies, ElementsAre(Pair("http_proxy", "p")));
  // An ENV line sees what stood before it.
  EXPECT_THAT(variables.env, ElementsAre("C=env", "E=given3"));
  EXPECT_THAT(result.warnings,
              ElementsAre("MiniBox:1:1: no ARG declares the build argument 'nobody'",
                          "MiniBox:5:7: ENV C hides the ARG of that name"));
}

TEST(Plan, VariableOperations) {
  const auto result = MakeFrom(
      "BASE b\nENV S=set E=\nLABEL a=${S:-w} b=${E:-w} c=${E-w} d=${N-w$S} e=${S:+y} f=${E:+y} "
      "g=${E+y} h=${N+y} i='$S' j=\"$S\" k=\\$S l=${N} m=${N:-${S:+in}}\n");
  std::string all;
  for (const auto& [key, value] : result.plan.config.labels) all += key + "=" + value + " ";
  EXPECT_EQ(all, "a=set b=w c= d=wset e=y f= g=y h= i=$S j=set k=$S l= m=in ");
}

TEST(Plan, ExpansionErrors) {
  EXPECT_THAT(ErrorsOf("  ENV A=${X:?needed}\n"), ElementsAre("MiniBox:3:9: X: needed"));
  EXPECT_THAT(
      ErrorsOf("  ARG P=x\n  PORT 80 $P 70000 5-3 1/sctp\n"),
      ElementsAre(
          "MiniBox:4:11: malformed port 'x': expected 1-65535 or a range, then /tcp or /udp",
          "MiniBox:4:14: malformed port '70000': expected 1-65535 or a range, then /tcp or /udp",
          "MiniBox:4:20: malformed port '5-3': expected 1-65535 or a range, then /tcp or /udp",
          "MiniBox:4:24: malformed port '1/sctp': expected 1-65535 or a range, then /tcp or /udp"));
  EXPECT_THAT(ErrorsOf("  COPY --chmod=8 a b\n"),
              ElementsAre("MiniBox:3:16: malformed octal mode '8'"));
  EXPECT_THAT(ErrorsOf("  COPY --chown=a:b:c a b\n"), ElementsAre(HasSubstr("malformed user")));
  EXPECT_THAT(ErrorsOf("  COPY a ../b c\n"),
              ElementsAre("MiniBox:3:10: path '../b' leads out of the context"));
  EXPECT_THAT(ErrorsOf("  VOLUME a /\n"), ElementsAre(HasSubstr("'a'"), HasSubstr("'/'")));
  EXPECT_THAT(ErrorsOf("  STOPSIGNAL NOPE\n"), ElementsAre(HasSubstr("unknown signal 'NOPE'")));
  EXPECT_THAT(ErrorsOf("  USER -x\n"), ElementsAre(HasSubstr("malformed user '-x'")));
  EXPECT_THAT(ErrorsOf("  PKG a@ -y\n"), ElementsAre(HasSubstr("'a@'"), HasSubstr("'-y'")));
}

TEST(Plan, ExpansionIsBounded) {
  std::string text = "BASE b\nENV A=" + std::string(1000, 'x') + "\n";
  for (int i = 0; i < 30; ++i) text += "ENV A=$A$A\n";
  EXPECT_THAT(MakeFrom(text).errors[0], HasSubstr("limit of 1 MiB"));
  std::string labels = "BASE b\nENV A=" + std::string(60000, 'x') + "\n";
  for (int i = 0; i < 2000; ++i) labels += "LABEL l=$A\n";
  EXPECT_THAT(MakeFrom(labels).errors, ElementsAre(HasSubstr("limit of 64 MiB")));
}

TEST(Plan, Metadata) {
  const auto config =
      MakeFrom(
          "BASE b\nPORT 80 53/udp 8000-8002\nVOLUME [\"/d/\"]\nVOLUME /e\nSTOPSIGNAL quit\n"
          "HEALTHCHECK --interval=1500ms wget -q x | y\nSHELL [\"/bin/bash\", \"-c\"]\n")
          .plan.config;
  EXPECT_THAT(config.exposed_ports,
              ElementsAre("53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp"));
  EXPECT_THAT(config.volumes, ElementsAre("/d", "/e"));
  EXPECT_EQ(config.stop_signal, "SIGQUIT");
  EXPECT_THAT(config.healthcheck->test, ElementsAre("CMD-SHELL", "wget -q x | y"));
  EXPECT_EQ(config.healthcheck->interval_ns, 1'500'000'000);
  EXPECT_EQ(config.healthcheck->timeout_ns, 30'000'000'000);
  EXPECT_EQ(config.healthcheck->retries, 3);
  EXPECT_THAT(config.labels, ElementsAre(Pair("mini.healthcheck.cmd", "wget -q x | y"),
                                         Pair("mini.healthcheck.interval", "2")));
  EXPECT_THAT(config.shell, ElementsAre("/bin/bash", "-c"));
}

TEST(Plan, HealthcheckNoneRemovesTheBasesLabels) {
  oci::ImageConfig base;
  base.labels = {{"mini.healthcheck.cmd", "x"}, {"mini.healthcheck.interval", "1"}};
  const auto config = MakeFrom("BASE b\nHEALTHCHECK none\n", base).plan.config;
  EXPECT_THAT(config.healthcheck->test, ElementsAre("NONE"));
  EXPECT_THAT(config.labels, ElementsAre());
}

TEST(Plan, RunForms) {
  const auto result = MakeFrom(
      "BASE b\nBLOCK x\n  RUN a $b\n  SHELL [\"/x\", \"-e\"]\n  RUN --network=none c\n"
      "  RUN [\"/d\", \"$e\"]\n  RUN <<E\n  #!/bin/f\n  g\n  E\n");
  const auto& actions = result.Block("x").actions;
  ASSERT_EQ(actions.size(), 4u);
  EXPECT_THAT(actions[0].argv, ElementsAre("/bin/sh", "-c", "a $b"));
  EXPECT_THAT(actions[1].argv, ElementsAre("/x", "-e", "c"));
  EXPECT_EQ(actions[1].network, "none");
  EXPECT_THAT(actions[2].argv, ElementsAre("/d", "$e"));
  EXPECT_EQ(actions[3].script, "#!/bin/f\ng\n");
}

TEST(Plan, CopyPaths) {
  const auto result = MakeFrom(
      "BASE b\nENV D=dest\nBLOCK y\nBLOCK x\n  WORKDIR /w\n  COPY --chown=$D:0 /a/./b c/ $D\n  "
      "COPY "
      ". .\n  COPY --chmod=0750 FROM=y / /q/../r/\n  COPY [\"$x y\", \"/z\"]\n");
  const auto& actions = result.Block("x").actions;
  ASSERT_EQ(actions.size(), 5u);
  EXPECT_THAT(actions[1].sources, ElementsAre("a/b", "c"));
  EXPECT_EQ(actions[1].destination, "/w/dest");
  EXPECT_FALSE(actions[1].into_directory);
  EXPECT_EQ(actions[1].chown, "dest:0");
  EXPECT_THAT(actions[2].sources, ElementsAre(""));
  EXPECT_TRUE(actions[2].into_directory);
  EXPECT_EQ(actions[3].from, 0);
  EXPECT_EQ(actions[3].destination, "/r");
  EXPECT_EQ(*actions[3].chmod, 0750u);
  EXPECT_THAT(actions[4].sources, ElementsAre("$x y"));
}

TEST(Plan, WithoutBlocksAndChangesTheBaseItself) {
  oci::ImageConfig base;
  base.cmd = {"x"};
  EXPECT_TRUE(MakeFrom("BASE b\n", base).plan.same_as_base);
  EXPECT_TRUE(MakeFrom("FROM b\n", base).plan.config.cmd == base.cmd);
  EXPECT_FALSE(MakeFrom("BASE b\nLABEL a=b\n", base).plan.same_as_base);
}

TEST(Plan, UncheckedValuesAreNoErrors) {
  const std::string text = "ARG P\nBASE b:$P\nBLOCK x\n  PORT $P\n  ENV Q=${PATH:?}\n  PORT $Q\n";
  Diagnostics diagnostics;
  const File file = ParseFile(text, diagnostics);
  const Arguments arguments{.platform = {}, .complete = false};
  const Graph graph = BuildGraph(file, arguments, -1, diagnostics);
  (void)MakePlan(file, graph, arguments, BaseConfigs(graph.bases.size(), nullptr), diagnostics);
  EXPECT_FALSE(diagnostics.failed()) << ToStatus(diagnostics.Resolve(text, 20)).message();
}

}  // namespace
}  // namespace minibox::build
