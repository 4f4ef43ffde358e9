// SPDX-License-Identifier: Apache-2.0
#include "build/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build/limits.h"

namespace minibox::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Messages(std::string_view text,
                                  Diagnostic::Severity severity = Diagnostic::Severity::kError) {
  Diagnostics diagnostics;
  (void)ParseFile(text, diagnostics);
  std::vector<std::string> out;
  for (const auto& diagnostic : diagnostics.Resolve(text, kMaxDiagnostics)) {
    if (diagnostic.severity == severity) out.push_back(diagnostic.ToString());
  }
  return out;
}

File Parse(std::string_view text) {
  Diagnostics diagnostics;
  File file = ParseFile(text, diagnostics);
  EXPECT_FALSE(diagnostics.failed()) << ToStatus(diagnostics.Resolve(text, 20)).message();
  return file;
}

// The only instruction of the only block.
Instruction ParseLine(const std::string& line) {
  const File file = Parse("BASE scratch\nBLOCK a\n  " + line + "\n");
  if (file.blocks.size() != 1 || file.blocks[0].instructions.size() != 1) {
    ADD_FAILURE() << "not one instruction: " << line;
    return {};
  }
  return file.blocks[0].instructions[0];
}

struct Golden {
  const char* name;
  const char* text;
  std::vector<std::string> errors;
};

class ParserDiagnostics : public ::testing::TestWithParam<Golden> {};

TEST_P(ParserDiagnostics, AreExactlyThese) {
  EXPECT_EQ(Messages(GetParam().text), GetParam().errors) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Table, ParserDiagnostics,
    ::testing::Values(
        Golden{"spec_example",
               "BASE a\nBLOCK x\n\n\n\n\n    RNU echo\n",
               {"MiniBox:7:5: unknown directive 'RNU' (did you mean 'RUN'?)"}},
        Golden{"empty",
               "",
               {"MiniBox:1:1: no base: the file has none of BASE, FROM, BOX and "
                "START-WITH"}},
        Golden{"no_base",
               "BLOCK a\n  RUN x\n",
               {"MiniBox:1:1: no base: the file has none of BASE, FROM, BOX and START-WITH"}},
        Golden{"outside_indented",
               "BASE a\n  RUN x\n",
               {"MiniBox:2:3: RUN outside a block: no BLOCK line above it"}},
        Golden{"outside_column_1",
               "BASE a\nRUN x\n",
               {"MiniBox:2:1: RUN outside a block: indent it below a BLOCK line"}},
        Golden{"after_column_1_line_block_is_over",
               "BASE a\nBLOCK b\n  RUN x\nENV A=1\n  RUN y\n",
               {"MiniBox:5:3: RUN outside a block: no BLOCK line above it"}},
        Golden{"unknown_column_1_line_does_not_cascade",
               "BASE a\nBLOK b\n  RUN x\n",
               {"MiniBox:2:1: unknown directive 'BLOK' (did you mean 'BLOCK'?)"}},
        Golden{"all_at_once",
               "BASE\nBLOCK\nBLOCK -x\n  NEED\n  SHELL sh\n  COPY a\n  ENV A\n",
               {"MiniBox:1:1: BASE needs 'scratch', an image or an archive",
                "MiniBox:2:1: BLOCK needs the name of a block",
                "MiniBox:3:7: malformed block name '-x': expected a letter or digit, then also "
                "'.', '_' and '-', at most 64",
                "MiniBox:4:3: NEED needs the name of a block",
                "MiniBox:5:3: SHELL needs a JSON array of strings",
                "MiniBox:6:3: COPY needs a source and a destination",
                "MiniBox:7:3: ENV needs a value"}},
        Golden{"surplus",
               "BASE a b\nBLOCK x y\n  WORKDIR /a /b\n",
               {"MiniBox:1:8: surplus argument: BASE takes one",
                "MiniBox:2:9: surplus argument: BLOCK takes one",
                "MiniBox:3:14: surplus argument: WORKDIR takes one"}},
        Golden{"duplicate_block",
               "BASE a\nBLOCK x\nBLOCK y\nBLOCK x\n",
               {"MiniBox:4:7: duplicate block 'x': line 2 has it too"}},
        Golden{"base_after_action",
               "BASE a\nBLOCK x\n  COPY a b\n  BASE c\n",
               {"MiniBox:4:3: BASE after an action: it must precede all of the block"}},
        Golden{"mixed",
               "BASE a\nFROM b\n",
               {"MiniBox:2:1: mixed formats: 'FROM' in line 2 does not go with 'BASE' in line 1, "
                "which makes this a block file"}},
        Golden{"block_in_linear",
               "FROM a\nBLOCK b\nRUN x\n",
               {"MiniBox:2:1: mixed formats: 'BLOCK' in line 2 does not go with 'FROM' in line 1, "
                "which makes this a linear file"}},
        Golden{"second_base_in_linear",
               "FROM a\nRUN x\nBOX b\n",
               {"MiniBox:3:1: second base: a linear file has one, 'FROM' in line 1"}},
        Golden{"action_above_linear_base",
               "RUN x\nFROM a\n",
               {"MiniBox:1:1: RUN above 'FROM' in line 2: the base must precede all actions"}},
        Golden{"quote",
               "BASE a\nBLOCK x\n  COPY 'a b\n  ENV X=\"y\n",
               {"MiniBox:3:8: unterminated quote", "MiniBox:4:9: unterminated quote"}},
        Golden{"variables",
               "BASE ${}\nBLOCK x\n  ENV A=${B\n  ENV A=${B:=c} C=${D:-e\n",
               {"MiniBox:1:6: a variable's name is missing after '${'",
                "MiniBox:3:9: unterminated '${'",
                "MiniBox:4:9: malformed variable: expected '}', ':-', '-', ':+', '+' or ':?'"}},
        Golden{"options",
               "BASE a\nBLOCK x\n  COPY --chwon=a b c\n  RUN --network=lan x\n"
               "  COPY --chown b c\n  COPY --chmod=1 --chmod=2 a b\n  RUN --mount=x y\n",
               {"MiniBox:3:8: unknown option '--chwon' (did you mean '--chown'?)",
                "MiniBox:4:7: network 'lan' is neither 'bridge' nor 'none'",
                "MiniBox:5:8: option '--chown' needs a value",
                "MiniBox:6:18: option '--chmod' is given twice",
                "MiniBox:7:7: --mount needs type=cache, secret, tmpfs or bind"}},
        Golden{"json",
               "BASE a\nBLOCK x\n  RUN [\"a\", ]\n  START [\"a\" b\n  COPY [\"a\"]\n",
               {"MiniBox:3:7: malformed JSON: expected an array of strings",
                "MiniBox:4:9: malformed JSON: expected an array of strings",
                "MiniBox:5:3: COPY needs a source and a destination"}},
        Golden{"health",
               "BASE a\nBLOCK x\n  HEALTHCHECK --interval=0 x\n  HEALTHCHECK "
               "--timeout=-1s x\n  HEALTHCHECK --retries=0 x\n  HEALTHCHECK --interval=x "
               "x\n  HEALTHCHECK\n",
               {"MiniBox:3:15: '--interval' may not be zero",
                "MiniBox:4:15: malformed duration '-1s': expected seconds, or a value as '1m30s'",
                "MiniBox:5:15: malformed number '0': expected 1 or more",
                "MiniBox:6:15: malformed duration 'x': expected seconds, or a value as '1m30s'",
                "MiniBox:7:3: HEALTHCHECK needs NONE or a command"}},
        Golden{"names",
               "BASE a\nARG 1a\nENV 1=2\nLABEL a\nENV a b\nLABEL =x\n",
               {"MiniBox:2:5: malformed name '1a'", "MiniBox:3:5: expected NAME=value after ENV",
                "MiniBox:4:7: expected NAME=value after LABEL",
                "MiniBox:6:7: expected NAME=value after LABEL"}},
        Golden{"heredoc",
               "BASE a\nBLOCK x\n  RUN cat <<EOF\n  a\n",
               {"MiniBox:3:11: no line ends the here-document 'EOF'"}},
        Golden{"columns_count_code_points",
               "BASE a\nBLOCK x\n  COPY ä ö 'ü\n",
               {"MiniBox:3:12: unterminated quote"}},
        Golden{"column_after_continuation",
               "BASE a\nBLOCK x\n  COPY a \\\n   \"b\n",
               {"MiniBox:4:4: unterminated quote"}},
        Golden{"bytes", "BASE a\nLABEL a=\xff\n", {"MiniBox:2:9: invalid UTF-8"}},
        Golden{"auto_deps",
               "BASE a\nBLOCK x\n  AUTO-DEPS --prod\n  AUTO-DEPS now\n",
               {"MiniBox:4:13: surplus argument: AUTO-DEPS takes none"}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Parser, NulByteIsAnError) {
  EXPECT_THAT(Messages(std::string_view("BASE a\n\0", 8)), ElementsAre("MiniBox:2:1: a NUL byte"));
}

TEST(Parser, BomAndCrLfAndCommentsAreNothing) {
  const std::string_view text = WithoutBom(
      "\xEF\xBB\xBF# c\r\nBASE a\r\n\r\nBLOCK x\r\n\tRUN echo \\\r\n  # comment\r\n\r\n    b\r\n");
  const File file = Parse(text);
  ASSERT_EQ(file.blocks.size(), 1u);
  EXPECT_EQ(file.blocks[0].instructions[0].shell_text, "echo     b");
}

TEST(Parser, ContinuationNeedsAnOddNumberOfBackslashes) {
  EXPECT_EQ(ParseLine("RUN echo a\\\\").shell_text, "echo a\\\\");
  EXPECT_EQ(ParseLine("RUN echo a\\\\\\\nb").shell_text, "echo a\\\\b");
  EXPECT_EQ(ParseLine("RUN echo a\\   \nb").shell_text, "echo ab");
}

TEST(Parser, KeywordsInAnyCase) {
  EXPECT_EQ(ParseLine("run echo a").directive, Directive::kRun);
  EXPECT_EQ(ParseLine("ruN echo  'a  b'").shell_text, "echo  'a  b'");
}

TEST(Parser, ShellTextIsVerbatim) {
  EXPECT_EQ(ParseLine("RUN --network=none  echo \"$A\"  'b' # no comment").shell_text,
            "echo \"$A\"  'b' # no comment");
  EXPECT_EQ(ParseLine("RUN [ -f x ] && y").shell_text, "[ -f x ] && y");
}

TEST(Parser, JsonForm) {
  EXPECT_THAT(*ParseLine("RUN [\"a\", \"b c\"]").json, ElementsAre("a", "b c"));
  EXPECT_THAT(*ParseLine("RUN [ \"$x\" ]").json, ElementsAre("$x"));
  EXPECT_FALSE(ParseLine("RUN [ \"$x\" = 1 ]").json.has_value());
}

TEST(Parser, WordsQuoteAsInAShell) {
  const auto line = ParseLine(R"(COPY a'b c'"d\"e\$f\\g\h"i\ j "" /x)");
  ASSERT_EQ(line.words.size(), 3u);
  EXPECT_EQ(line.words[0].Text(), R"(ab cd"e$f\g\hi j)");
  EXPECT_EQ(line.words[1].Text(), "");
}

TEST(Parser, EnvForms) {
  const auto pairs = ParseLine("ENV A=1 B='x y' C=");
  ASSERT_EQ(pairs.assignments.size(), 3u);
  EXPECT_EQ(pairs.assignments[1].value->Text(), "x y");
  EXPECT_EQ(pairs.assignments[2].value->Text(), "");
  const auto rest = ParseLine("ENV A  one 'two  three' four=5");
  ASSERT_EQ(rest.assignments.size(), 1u);
  EXPECT_EQ(rest.assignments[0].value->Text(), "one two  three four=5");
}

TEST(Parser, StartIsWordsWithoutShell) {
  EXPECT_THAT(*ParseLine("START sh -c \"a && $b\"").json, ElementsAre("sh", "-c", "a && $b"));
  EXPECT_THAT(Messages("BASE a\nBLOCK x\n  START a && b\n", Diagnostic::Severity::kWarning),
              ElementsAre("MiniBox:3:11: START runs no shell: '&&' is passed on as it is"));
  EXPECT_THAT(Messages("BASE a\nSTART sh -c 'a && b'\n", Diagnostic::Severity::kWarning),
              ElementsAre());
}

TEST(Parser, SecondColumnOneLineWarns) {
  EXPECT_THAT(
      Messages("BASE a\nSTART a\nBASE b\nSTART c\nENTRYPOINT x\n", Diagnostic::Severity::kWarning),
      ElementsAre("MiniBox:3:1: second BASE: it replaces that of line 1",
                  "MiniBox:4:1: second START: it replaces that of line 2"));
}

TEST(Parser, HeredocWithCommand) {
  EXPECT_EQ(
      ParseLine("RUN cat <<EOF > /x && echo <<-'B'\n   a  \n  b $c\n  EOF\n\t\tq\n\tB").shell_text,
      "cat <<EOF > /x && echo <<-'B'\n a  \nb $c\nEOF\nq\nB");
}

TEST(Parser, HeredocAloneIsTheScript) {
  const auto script = ParseLine("RUN <<EOF\n    set -e\n      x\n    EOF");
  EXPECT_EQ(script.shell_text, "set -e\n  x\n");
  EXPECT_FALSE(script.script_file);
  EXPECT_TRUE(ParseLine("RUN <<\"E\"\n#!/bin/awk\nx\nE").script_file);
}

TEST(Parser, NoHeredocInQuotesArithmeticAndHereStrings) {
  for (const char* text : {"echo '<<EOF'", "echo \"<<EOF\"", "echo $((1<<EOF))", "cat <<<EOF",
                           "echo \\<<\\<EOF", "echo 1<<2"}) {
    EXPECT_EQ(ParseLine(std::string("RUN ") + text).shell_text, text);
  }
}

TEST(Parser, LinearKeywords) {
  const File file = Parse(
      "ARG V=1\nFROM python:${V}\nGOTO-FOLDER /app\nRUN-COMMAND pip install \\\n  x\nSYNC-PACK\n"
      "INSTALL-DEPS now\nCLONE-REPO https://x/y z\nLAUNCH python main.py\n");
  EXPECT_EQ(file.format, File::Format::kLinear);
  ASSERT_EQ(file.top.size(), 2u);
  ASSERT_EQ(file.blocks.size(), 1u);
  std::vector<std::string> shown;
  for (const auto& line : file.blocks[0].instructions) shown.push_back(line.display);
  EXPECT_THAT(shown,
              ElementsAre("WORKDIR /app", "RUN pip install   x", "COPY . /app", "RUN npm install",
                          "RUN git clone https://x/y z", "START python main.py"));
}

TEST(Parser, CopyFromBothForms) {
  const auto word = ParseLine("COPY --chmod=755 FROM=x /a /b");
  EXPECT_EQ(word.from->name, "x");
  EXPECT_EQ(word.words.size(), 2u);
  EXPECT_EQ(ParseLine("COPY --from=x /a /b").from->name, "x");
  EXPECT_THAT(Messages("BASE a\nBLOCK b\nBLOCK x\n  COPY FROM=b  --chmod=755 /c /d\n"),
              ElementsAre("MiniBox:4:16: options of COPY come before FROM="));
  EXPECT_EQ(ParseLine("COPY FROM=x ./--chmod=755 /b").words.size(), 2u);
  EXPECT_THAT(Messages("BASE a\nBLOCK x\n  COPY FROM=$a /b /c\n"),
              ElementsAre("MiniBox:3:8: malformed block name '${a}': expected a letter or digit, "
                          "then also '.', '_' and '-', at most 64"));
}

TEST(Parser, LimitsAreNamed) {
  EXPECT_THAT(Messages(std::string(kMaxFileBytes + 1, 'x')),
              ElementsAre(HasSubstr("limit of 16 MiB")));
  EXPECT_THAT(Messages("BASE a\nBLOCK b\n  RUN " + std::string(kMaxLineBytes, 'x') + "\n"),
              ElementsAre(HasSubstr("limit of 1 MiB")));
  std::string blocks = "BASE a\n", lines = "BASE a\nBLOCK b\n";
  for (size_t i = 0; i <= kMaxBlocks; ++i) blocks += "BLOCK b" + std::to_string(i) + "\n";
  for (size_t i = 0; i <= kMaxInstructions; ++i) lines += "  RUN x\n";
  EXPECT_THAT(Messages(blocks), ElementsAre(HasSubstr("limit of 1000")));
  EXPECT_THAT(Messages(lines), ElementsAre(HasSubstr("limit of 20000")));
  std::string nested = "BASE a\nBLOCK b\n  ENV A=";
  for (int i = 0; i < 100; ++i) nested += "${A:-";
  EXPECT_THAT(Messages(nested), ElementsAre(HasSubstr("nested more than 32 deep")));
}

TEST(Parser, AtMostTwentyDiagnosticsInFileOrder) {
  std::string text = "BASE a\n";
  for (int i = 0; i < 5000; ++i) text += "NOPE\n";
  const auto messages = Messages(text);
  ASSERT_EQ(messages.size(), kMaxDiagnostics);
  EXPECT_THAT(messages[19], HasSubstr("MiniBox:21:1"));
}

}  // namespace
}  // namespace minibox::build
