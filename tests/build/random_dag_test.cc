// SPDX-License-Identifier: Apache-2.0
// Graphs of blocks, drawn by lot: built in parallel they have the digests that they have one block
// at a time, and whatever several blocks or builds share is executed once.
// MINIBOX_RANDOM_DAGS says how many, MINIBOX_RANDOM_SEED where to begin.
#include <gmock/gmock.h>

#include <filesystem>
#include <random>
#include <regex>
#include <thread>

#include "build/build_fixture.h"
#include "support/memory_disk.h"

namespace minibox::testing {
namespace {

namespace fs = std::filesystem;

uint64_t Setting(const char* name, uint64_t fallback) {
  const char* text = getenv(name);
  return text == nullptr ? fallback : strtoull(text, nullptr, 10);
}

// What an engine executed, told by its logs, and how many results that gave.
struct Executions {
  int actions = 0;
  void Add(const std::vector<std::string>& lines) {
    static const std::regex action(R"(\[[a-z0-9]+\]    ---> [0-9]+/[0-9]+ (.*))");
    std::smatch match;
    for (const auto& line : lines) {
      if (!std::regex_match(line, match, action)) continue;
      if (!match[1].str().ends_with(" (cached)")) ++actions;
    }
  }
};

int Snapshots(const Engine& engine) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(engine.root + "/data/layers")) {
    count += entry.path().extension() == ".json" ? 1 : 0;
  }
  return count;
}

// Blocks that copy files, make directories, take from each other and now and then run a step;
// each needs some of those above it.
class RandomFile {
 public:
  explicit RandomFile(uint64_t seed) : random_(seed) {}

  std::string Text() {
    // Half of them share their base with all others, so that they share results as well.
    text_ = "BASE busybox\nARG A=1\n";
    if (Pick(4) == 0) text_ += "ENV TOP=" + std::to_string(Pick(3)) + "\n";
    const int blocks = 2 + Pick(4);
    int last = 0;
    for (int i = 0; i < blocks; ++i) last = AddBlock(i);
    if (Pick(8) == 0) {
      text_ += "BLOCK end\n  NEED b" + std::to_string(last) +
               "\n  RUN mkdir -p /d0 && echo $A > /d0/end && rm -rf /d1\n";
    }
    return text_;
  }

 private:
  int Pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

  int AddBlock(int i) {
    text_ += "BLOCK b" + std::to_string(i) + "\n";
    // Nothing above it is needed with a base of its own.
    if (Pick(10) == 0) text_ += "  BASE scratch\n";
    for (int on = 0; on < i; ++on) {
      const int kind = Pick(8);
      if (kind < 2) text_ += "  NEED b" + std::to_string(on) + "\n";
      if (kind == 2) text_ += "  BNEED b" + std::to_string(on) + "\n";
    }
    const int actions = 1 + Pick(2);
    for (int j = 0; j < actions; ++j) AddAction(i);
    return i;
  }

  void AddAction(int block) {
    // Few places, so that equal and overlapping ones occur.
    const std::string place = "/d" + std::to_string(Pick(3)) + "/x" + std::to_string(Pick(3));
    const std::string file = "f" + std::to_string(Pick(6));
    switch (Pick(6)) {
      case 0:
        text_ += "  WORKDIR " + place + "\n";
        break;
      case 1:
        text_ += "  COPY --chown=" + std::to_string(Pick(3)) + " tree " + place + "/\n";
        break;
      case 2:
        text_ += "  ENV E" + std::to_string(block) + "=" + std::to_string(Pick(4)) + "\n";
        [[fallthrough]];
      case 3:
        text_ += "  COPY --chmod=0" + std::to_string(640 + Pick(2)) + " " + file + " " + place +
                 "." + file + "\n";
        break;
      case 4:
        text_ += "  COPY " + file + " /all/\n";
        break;
      default:
        if (block > 0) {
          text_ += "  COPY FROM=b" + std::to_string(Pick(block)) + " /*d* " + place + "-from/\n";
        } else {
          text_ += "  COPY f[0-3] /all/\n";
        }
    }
  }

  std::mt19937_64 random_;
  std::string text_;
};

TEST_F(BuildTest, RandomGraphsGiveTheSameInParallelAndInSequence) {
  // What is compared does not depend on the disk, and thousands of results are made durable.
  const MemoryDisk memory(root_ + "/memory", "1g");
  ASSERT_TRUE(memory.mounted());
  for (int i = 0; i < 6; ++i) {
    Write("f" + std::to_string(i), std::string(100, static_cast<char>('a' + i)));
  }
  Write("tree/d/one", "1");
  Write("tree/two", "2");
  const auto count = static_cast<int>(Setting("MINIBOX_RANDOM_DAGS", 1000));
  const uint64_t first_seed = Setting("MINIBOX_RANDOM_SEED", std::random_device()());
  std::printf("MINIBOX_RANDOM_SEED=%llu\n", static_cast<unsigned long long>(first_seed));
  Engine parallel(root_ + "/memory/parallel", 4);
  Engine sequential(root_ + "/memory/sequential", 1);
  for (Engine* engine : {&parallel, &sequential}) {
    ASSERT_EQ(engine->failure, "");
    ASSERT_TRUE(AddBusyboxImage(*engine->store).ok());
  }
  int built = 0;
  Executions executed;
  for (int i = 0; i < count; ++i) {
    const uint64_t seed = first_seed + static_cast<uint64_t>(i);
    const BuildOptions options = Options(RandomFile(seed).Text());
    Result reference;
    std::thread sequence([&] { reference = BuildWith(sequential, options); });
    const Result result = BuildWith(parallel, options);
    sequence.join();
    executed.Add(result.lines);
    const std::string shown = "MINIBOX_RANDOM_SEED=" + std::to_string(seed) + "\n" +
                              options.file_text + result.Text() + "\n" + reference.Text();
    ASSERT_EQ(result.image.ok(), reference.image.ok()) << shown;
    if (!result.image.ok()) {
      // A block may have nothing that another wants of it. Which of several failures comes first
      // depends on the order.
      ASSERT_EQ(result.image.status().code(), reference.image.status().code()) << shown;
      continue;
    }
    ++built;
    ASSERT_EQ(result.image->manifest, reference.image->manifest) << shown;
  }
  EXPECT_GT(built, count / 2);
  EXPECT_EQ(executed.actions, Snapshots(parallel));
}

// A graph in which everything is shared: every layer of it needs all of the one above.
std::string SharedGraph() {
  std::string text = "BASE busybox\n";
  for (int level = 0; level < 3; ++level) {
    for (int i = 0; i < 3; ++i) {
      const std::string name = "l" + std::to_string(level) + std::to_string(i);
      text += "BLOCK " + name + "\n";
      if (level > 0)
        text += "  NEED l" + std::to_string(level - 1) + "0 l" + std::to_string(level - 1) + "1 l" +
                std::to_string(level - 1) + "2\n";
      text += "  RUN echo ran " + name + "; echo > /" + name + "\n";
    }
  }
  return text + "BLOCK end\n  NEED l20 l21 l22\n  RUN ls /l00 /l11 /l22\n";
}

// How often each block's step ran, by what it said.
void CountRuns(const std::vector<std::string>& lines, std::map<std::string, int>& runs) {
  static const std::regex ran(R"(\[[a-z0-9]+\] ran ([a-z0-9]+))");
  std::smatch match;
  for (const auto& line : lines) {
    if (std::regex_match(line, match, ran)) ++runs[match[1].str()];
  }
}

TEST_F(BuildTest, EachSharedBlockIsExecutedOnceInABuild) {
  Engine many(root_ + "/many", 8);
  ASSERT_EQ(many.failure, "");
  ASSERT_TRUE(AddBusyboxImage(*many.store).ok());
  const auto result = BuildWith(many, Options(SharedGraph()));
  ASSERT_TRUE(result.image.ok()) << result.Text();
  std::map<std::string, int> runs;
  CountRuns(result.lines, runs);
  EXPECT_EQ(runs.size(), 9u);
  for (const auto& [name, count] : runs) EXPECT_EQ(count, 1) << name;
  EXPECT_EQ(Snapshots(many), 10);
}

// Builders of several processes: each has handles of its own on the data root.
TEST_F(BuildTest, EachSharedBlockIsExecutedOnceInBuildsAtOnce) {
  std::vector<std::unique_ptr<Engine>> others;
  for (int i = 0; i < 2; ++i) {
    others.push_back(std::make_unique<Engine>(engine_->root, 4));
    ASSERT_EQ(others.back()->failure, "");
  }
  std::vector<Engine*> engines = {&*engine_, &*engine_, others[0].get(), others[1].get()};
  std::vector<Result> results(engines.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < engines.size(); ++i) {
    threads.emplace_back([&, i] {
      // Each wants another part of the graph as well as what all want.
      BuildOptions options = Options(SharedGraph());
      options.image = "image" + std::to_string(i);
      if (i < 3) options.target = "l2" + std::to_string(i);
      results[i] = BuildWith(*engines[i], options);
    });
  }
  for (auto& thread : threads) thread.join();
  std::map<std::string, int> runs;
  for (const auto& result : results) {
    ASSERT_TRUE(result.image.ok()) << result.Text();
    CountRuns(result.lines, runs);
  }
  EXPECT_EQ(runs.size(), 9u);
  for (const auto& [name, count] : runs) EXPECT_EQ(count, 1) << name;
  for (auto& other : others) other->builder.reset();
}

}  // namespace
}  // namespace minibox::testing
