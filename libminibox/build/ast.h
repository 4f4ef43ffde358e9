// SPDX-License-Identifier: Apache-2.0
// A MiniBox file as read: nothing expanded, nothing looked up (spec §7.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "build/run_mounts.h"
#include "build/words.h"

namespace minibox::build {

enum class Directive : uint8_t {
  kBase,
  kBlock,
  kNeed,
  kBneed,
  kArg,
  kWorkdir,
  kUser,
  kShell,
  kEnv,
  kStart,
  kEntrypoint,
  kStopsignal,
  kLabel,
  kPort,
  kVolume,
  kHealthcheck,
  kRun,
  kPkg,
  kAutoDeps,
  kCopy,
};

// "RUN"
std::string_view DirectiveName(Directive directive);

struct Assignment {
  std::string name{};
  size_t offset = 0;
  std::optional<Word> value{};  // ARG NAME has none
};

struct BlockName {
  std::string name{};
  size_t offset = 0;
};

// One instruction. Which fields hold something follows from the directive.
struct Instruction {
  Directive directive = Directive::kRun;
  size_t offset = 0;      // of the keyword in the source
  std::string display{};  // for people: canonical keyword and arguments on one line

  std::vector<Word> words{};  // operands; COPY: sources and destination; WORKDIR, USER, …: one
  std::optional<std::vector<std::string>> json{};  // RUN, COPY, START, VOLUME, … in JSON form
  std::vector<Assignment> assignments{};           // ENV, ARG, LABEL
  std::vector<BlockName> blocks{};                 // BLOCK, NEED, BNEED: names
  std::optional<BlockName> from{};                 // COPY
  std::string shell_text{};                        // RUN, HEALTHCHECK
  bool script_file = false;                        // RUN: shell_text begins with #!, a file to run
  bool none = false;                               // HEALTHCHECK NONE

  std::optional<Word> platform{};        // BASE
  std::optional<Word> chown{}, chmod{};  // COPY
  std::string network{};                 // RUN: "", "bridge" or "none"
  std::vector<MountOption> mounts{};     // RUN
  bool prod = false;                     // AUTO-DEPS
  std::optional<int64_t> interval_ns{}, timeout_ns{}, start_period_ns{};  // HEALTHCHECK
  std::optional<int> retries{};
};

struct Block {
  std::string name{};
  size_t offset = 0;
  std::vector<Instruction> instructions{};
};

// Column-1 ARG, state, meta and BASE lines.
struct TopInstruction {
  Instruction instruction;
  size_t blocks_before = 0;  // how many blocks begin above it
};

struct File {
  // kLinear: one block without a name holds everything but the base.
  enum class Format { kDag, kLinear };
  Format format = Format::kDag;
  std::vector<TopInstruction> top{};
  std::vector<Block> blocks{};
};

}  // namespace minibox::build
