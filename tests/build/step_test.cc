// SPDX-License-Identifier: Apache-2.0
// What a step sees, and what of it gets into layers.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "build/build_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
namespace fs = std::filesystem;

TEST_F(BuildTest, StepsRunLikeContainers) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n"
      "  RUN hostname; id -u; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; "
      "grep Seccomp: /proc/self/status; cat /proc/self/uid_map | wc -l; cat /proc/kcore | wc -c; "
      "ls /sys/class/net; readlink /proc/self/fd/0; echo > /proc/sys/kernel/hostname || echo ro\n");
  const auto lines = result.Of("[a] ");
  EXPECT_THAT(lines, Contains("minibox-build"));
  EXPECT_THAT(lines, Contains("0"));
  EXPECT_THAT(lines, Contains("CapEff:\t00000000a80425fb"));
  EXPECT_THAT(lines, Contains("NoNewPrivs:\t1"));
  EXPECT_THAT(lines, Contains("Seccomp:\t2"));
  EXPECT_THAT(lines, Contains("lo"));
  EXPECT_THAT(lines, Contains("/dev/null"));
  EXPECT_THAT(lines, Contains("ro"));
}

TEST_F(BuildTest, PlumbingEntersNoLayer) {
  // The base has neither /proc nor /sys, /dev, /etc/resolv.conf.
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN cat /etc/resolv.conf /etc/hosts > /dev/null && echo x > "
      "/etc/resolv.conf && mkdir -p /tmp /etc && echo > /etc/mine\n");
  ASSERT_TRUE(result.image.ok());
  std::vector<std::string> names;
  for (const auto& [path, what] : TopLayer(*result.image)) names.push_back(path);
  EXPECT_THAT(names, ElementsAre("etc", "etc/mine"));
}

TEST_F(BuildTest, MountPointsThatAreHiddenOrLinkedAwayEnterNoLayer) {
  const auto result = BuildOk(
      "BASE busybox\n"
      "BLOCK prepare\n  RUN mkdir -p /real && ln -s ../real/deep/resolv.conf /etc/resolv.conf.new "
      "&& ln -sf passwd /etc/alias\n"
      "BLOCK link\n  BASE scratch\n  COPY link /etc/\n"
      "BLOCK app\n  NEED prepare\n  RUN cat /etc/resolv.conf >/dev/null; echo > /app\n");
  // `link` is not needed; the copy fails only if it is built.
  ASSERT_TRUE(result.image.ok());
  EXPECT_THAT(TopLayer(*result.image), ElementsAre(::testing::Pair("app", StartsWith("file"))));

  fs::create_symlink("../run/deep/resolv.conf", context_ + "/resolv.conf");
  Write("dummy", "");
  const auto linked = BuildOk(
      "BASE busybox\nBLOCK l\n  COPY . /etc/\n  RUN rm /etc/dummy\n"
      "BLOCK app\n  NEED l\n  RUN cat /run/deep/resolv.conf > /dev/null && echo > /app\n");
  ASSERT_TRUE(linked.image.ok());
  EXPECT_THAT(TopLayer(*linked.image), ElementsAre(::testing::Pair("app", StartsWith("file"))));
}

TEST_F(BuildTest, EnvironmentIsWhatTheFileSays) {
  BuildOptions options = Options(
      "BASE busybox\nARG A=1\nARG B\nENV C=c\nBLOCK a\n  ARG D=$A-$C\n  ENV A=env\n  RUN env\n");
  options.args = {{"B", "given"}, {"http_proxy", "proxy"}};
  ASSERT_EQ(setenv("MBX_LEAK", "x", 1), 0);
  const auto result = Build(options);
  unsetenv("MBX_LEAK");
  ASSERT_TRUE(result.image.ok()) << result.Text();
  auto lines = result.Of("[a] ");
  std::erase_if(lines, [](const std::string& line) { return line.find('=') == line.npos; });
  std::erase_if(lines, [](const std::string& line) {
    return line.starts_with("TARGET") || line.starts_with("START") || line.starts_with("SHLVL") ||
           line.starts_with("PWD");
  });
  EXPECT_THAT(lines, UnorderedElementsAre("PATH=/bin", "C=c", "A=env", "B=given", "D=1-c",
                                          "http_proxy=proxy", "HOSTNAME=minibox-build",
                                          "HOME=/root", "USER=root"));
  // In the image is only the ENV.
  EXPECT_THAT(Open(*result.image).config.env, ElementsAre("PATH=/bin", "C=c", "A=env"));
}

TEST_F(BuildTest, UserAndWorkdirAreInForce) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  USER www\n  WORKDIR /home/www/work\n  RUN id -un; pwd; id -G; echo "
      "> "
      "file\n  USER 1234:77\n  RUN id -u; id -g\n");
  const auto lines = result.Of("[a] ");
  for (const char* line : {"www", "/home/www/work", "1000 2000", "1234", "77"}) {
    EXPECT_THAT(lines, Contains(line)) << result.Text();
  }
  const auto layer = TopLayer(*result.image);
  EXPECT_EQ(layer.at("home/www"), "dir 755 0:0");
  EXPECT_EQ(layer.at("home/www/work"), "dir 755 1000:1000");
  EXPECT_EQ(layer.at("home/www/work/file"), "file 644 1000:1000");
}

TEST_F(BuildTest, UnknownUserFailsTheNextAction) {
  EXPECT_THAT(Build("BASE busybox\nBLOCK a\n  USER nobody-here\n  WORKDIR /x\n").lines.back(),
              "Build failed: line 4 (block 'a'): WORKDIR /x: user: unknown user 'nobody-here'");
  EXPECT_FALSE(Build("BASE busybox\nBLOCK a\n  USER nobody-here\n  RUN true\n").image.ok());
}

TEST_F(BuildTest, ExecFormAndScriptsAndShell) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN [\"echo\", \"$HOME\"]\n"
      "  RUN <<EOF\n  #!/bin/awk -f\n  BEGIN { print \"from awk\" }\n  EOF\n"
      "  RUN cat <<A && cat <<B\n    first $HOME\n    A\n    second\n    B\n"
      "  SHELL [\"/bin/sh\", \"-ec\"]\n  RUN echo $0; false || echo caught\n");
  const auto lines = result.Of("[a] ");
  for (const char* line : {"$HOME", "from awk", "first /root", "second", "caught"}) {
    EXPECT_THAT(lines, Contains(line)) << result.Text();
  }
  // Nothing was changed, so there is no layer: the script is in none.
  EXPECT_EQ(Open(*result.image).trees.size(), 1u);
}

TEST_F(BuildTest, FailingStepNamesItsPlaceAndLeavesNothing) {
  const auto result = Build(
      "BASE busybox\nBLOCK first\n  RUN echo > /first\nBLOCK second\n  NEED first\n"
      "  RUN echo before; echo > /garbage; exit 7\n  RUN echo never\n");
  EXPECT_FALSE(result.image.ok());
  EXPECT_EQ(result.lines.back(),
            "Build failed: line 6 (block 'second'): RUN echo before; echo > /garbage; exit 7: exit "
            "status 7");
  EXPECT_TRUE(result.Has("[second] before"));
  EXPECT_TRUE(result.Has("[second] FAILED (<d>)"));
  EXPECT_EQ(result.Count("never"), 0);
  EXPECT_FALSE(engine_->store->GetImage("built").ok());
  // What was finished stays for the next build.
  EXPECT_EQ(DataEntries("layers").size(), 2u);  // a tree and its record
  const auto next = BuildOk("BASE busybox\nBLOCK first\n  RUN echo > /first\n");
  EXPECT_TRUE(next.Has("[first] CACHED (<d>)"));
}

TEST_F(BuildTest, CausesOfFailure) {
  const auto cause = [&](const std::string& line) {
    return Build("BASE busybox\nBLOCK a\n  " + line + "\n").lines.back();
  };
  EXPECT_THAT(cause("RUN kill -9 $$"), ::testing::EndsWith("signal: KILL"));
  EXPECT_THAT(cause("RUN [\"/no/such\"]"), HasSubstr("/no/such"));
  EXPECT_THAT(cause("COPY nothing /"), HasSubstr("'nothing' does not exist in the context"));
  EXPECT_THAT(cause("WORKDIR /bin/busybox"), HasSubstr("'/bin/busybox' is no directory"));
  EXPECT_THAT(cause("PKG vim"), HasSubstr("none of the package managers"));
}

TEST_F(BuildTest, MemoryLimitHoldsForAStep) {
  BuildOptions options = Options(
      "BASE busybox\nBLOCK a\n  RUN [\"awk\", \"BEGIN { x = \\\"0123456789\\\"; while (1) x "
      "= x x }\"]\n");
  options.step_resources.memory_bytes = 32 << 20;
  EXPECT_THAT(Build(options).lines.back(), ::testing::EndsWith(": out of memory"));
}

TEST_F(BuildTest, WhatAStepLeavesRunningIsKilled) {
  const auto result = BuildOk("BASE busybox\nBLOCK a\n  RUN sleep 1000 & echo started\n");
  EXPECT_TRUE(result.Has("[a] started"));
}

TEST_F(BuildTest, OutputIsNeitherLostNorReordered) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN seq 1 20000; printf 'no end'; echo; printf 'a\\rb\\r\\nc'\n");
  const auto lines = result.Of("[a] ");
  ASSERT_EQ(lines.size(), 2u + 20000 + 4 + 1) << lines.size();
  for (int i = 0; i < 20000; ++i) {
    ASSERT_EQ(lines[static_cast<size_t>(i) + 2], std::to_string(i + 1));
  }
  EXPECT_THAT(std::vector<std::string>(lines.end() - 5, lines.end() - 1),
              ElementsAre("no end", "a", "b", "c"));
}

TEST_F(BuildTest, CancelKillsTheStepsAtOnceAndKeepsWhatIsDone) {
  std::stop_source stop;
  std::chrono::steady_clock::time_point asked;
  const BuildOptions options = Options(
      "BASE busybox\nBLOCK done\n  RUN echo > /done\nBLOCK slow\n  NEED done\n  RUN trap '' TERM; "
      "echo waiting; sleep 1000\nBLOCK other\n  NEED done\n  RUN echo waiting; sleep 1000\n"
      "BLOCK app\n  NEED slow other\n");
  std::vector<std::string> lines;
  int waiting = 0;
  const auto image = engine_->builder->Build(
      options,
      [&](const BuildEvent& event) {
        lines.emplace_back(event.text);
        if (event.text.ends_with("] waiting") && ++waiting == 2) {
          asked = std::chrono::steady_clock::now();
          stop.request_stop();
        }
        return Status();
      },
      stop.get_token());
  const auto took = std::chrono::steady_clock::now() - asked;
  EXPECT_EQ(image.status().code(), StatusCode::kCancelled) << image.status().ToString();
  EXPECT_EQ(waiting, 2);
  EXPECT_LT(took, std::chrono::seconds(1));
  EXPECT_THAT(lines.back(), StartsWith("Build failed: "));
  EXPECT_FALSE(engine_->store->GetImage("built").ok());
  EXPECT_EQ(DataEntries("layers").size(), 2u);
}

TEST_F(BuildTest, ErrorOfTheCallbackCancels) {
  const auto image =
      engine_->builder->Build(Options("BASE busybox\nBLOCK a\n  RUN echo waiting; sleep 1000\n"),
                              [](const BuildEvent& event) {
                                if (event.text == "[a] waiting")
                                  return Status(StatusCode::kUnavailable, "client is gone");
                                return Status();
                              });
  EXPECT_EQ(image.status().message(), "client is gone");
}

}  // namespace
}  // namespace minibox::testing
