// SPDX-License-Identifier: Apache-2.0
#include "completion.h"

#include <gtest/gtest.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "man_page.h"

namespace minibox::cli {
namespace {

using Names = std::vector<std::string>;

class CompletionTest : public ::testing::Test {
 protected:
  CompletionTest() : app_("MiniBox: builds.", "minibox") {
    app_.add_option("--host", text_, "the daemon");
    CLI::App* stop = app_.add_subcommand("stop", "stop containers");
    stop->add_option("-t,--timeout", number_, "seconds");
    stop->add_flag("--all", flag_, "all\n.of them");
    stop->add_option("container", list_, "which");
    stop->footer("Example:\n  minibox stop web");
    CLI::App* run = app_.add_subcommand("run", "run one");
    run->prefix_command();
    run->add_option("--network", text_, "where");
    run->add_flag("-d,--detach", flag_, "go on");
    app_.add_subcommand("volume", "volumes")
        ->add_subcommand("rm", "remove")
        ->add_option("volume", list_, "which");
    app_.add_subcommand("secretly", "not for people")->group("");
  }
  Names Complete(const Names& words) {
    return Candidates(app_, words, [](std::string_view kind) -> Names {
      if (kind == "container") return {"web", "db", "web2"};
      if (kind == "image") return {"alpine", "busybox"};
      if (kind == "network") return {"bridge", "back"};
      if (kind == "volume") return {"data"};
      return {};
    });
  }

  CLI::App app_;
  std::string text_;
  int number_ = 0;
  bool flag_ = false;
  Names list_;
};

TEST_F(CompletionTest, CommandsOptionsAndLivingNames) {
  EXPECT_EQ(Complete({""}), (Names{"run", "stop", "volume"}));
  EXPECT_EQ(Complete({"s"}), Names{"stop"});
  EXPECT_EQ(Complete({"--h"}), (Names{"--help", "--host"}));
  EXPECT_EQ(Complete({"stop", ""}), (Names{"db", "web", "web2"}));
  EXPECT_EQ(Complete({"stop", "web", "w"}), (Names{"web", "web2"}));
  EXPECT_EQ(Complete({"stop", "--"}), (Names{"--all", "--help", "--timeout"}));
  // The value of an option is no container, and what follows it is one.
  EXPECT_EQ(Complete({"stop", "-t", ""}), Names{});
  EXPECT_EQ(Complete({"stop", "-t", "3", "d"}), Names{"db"});
  EXPECT_EQ(Complete({"stop", "--timeout=3", "d"}), Names{"db"});
  EXPECT_EQ(Complete({"--host", "x", "st"}), Names{"stop"});
  EXPECT_EQ(Complete({"volume", ""}), Names{"rm"});
  EXPECT_EQ(Complete({"volume", "rm", ""}), Names{"data"});
  EXPECT_EQ(Complete({"run", "--network", "b"}), (Names{"back", "bridge"}));
  EXPECT_EQ(Complete({"run", "-d", "a"}), Names{"alpine"});
  // Behind the image another program's command line begins.
  EXPECT_EQ(Complete({"run", "alpine", "-"}), Names{});
  EXPECT_EQ(Complete({}), Names{});
}

TEST_F(CompletionTest, ScriptsForTheThreeShells) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_NE(CompletionScript(shell).find("minibox __complete "), std::string::npos) << shell;
  }
  EXPECT_EQ(CompletionScript("tcsh"), "");
}

TEST_F(CompletionTest, TheManualPageHasEveryCommand) {
  const std::string page = ManPage(app_);
  for (const char* part : {".TH MINIBOX 1", ".SS stop [container]...\nstop containers.\n",
                           "\\fB\\-t, \\-\\-timeout\\fR \\fIvalue\\fR\nseconds\n",
                           "\\fB\\-\\-all\\fR\nall\n\\&.of them\n", ".SS volume rm",
                           "  minibox stop web", ".SH EXIT STATUS", "\\fB\\-\\-host\\fR"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part << "\n" << page;
  }
  EXPECT_EQ(page.find("secretly"), std::string::npos);
}

}  // namespace
}  // namespace minibox::cli
