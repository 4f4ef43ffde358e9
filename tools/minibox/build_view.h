// SPDX-License-Identifier: Apache-2.0
// How a build looks: its log lines, and on a terminal a live list of blocks below them. Also
// plans and diagnostics as text.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/image_builder.h"
#include "terminal.h"

namespace minibox::cli {

// Follows the log of one build. Returns what to write to the terminal; knows no clock and no
// descriptor of its own.
class BuildView {
 public:
  using Clock = std::chrono::steady_clock;
  // `live`: keep the list of blocks at the bottom; needs a terminal. `width`: of the terminal.
  BuildView(const Terminal& terminal, bool live, int width)
      : terminal_(terminal), live_(live), width_(width) {}

  // One line of the log, with its end.
  std::string Line(std::string_view line, Clock::time_point now);
  // The list anew, with the time that has passed. "" if there is none.
  std::string Tick(Clock::time_point now);
  // Takes the list away.
  std::string Finish();

  // What the block that failed said last, to be shown once more; empty if none has failed.
  struct Failure {
    std::string block{};
    std::vector<std::string> lines{};
  };
  Failure failure() const;

 private:
  enum class State { kWaiting, kRunning, kCached, kDone, kFailed };
  struct Block {
    State state = State::kWaiting;
    Clock::time_point since{};
    std::string step{}, took{};
    std::deque<std::string> last{};  // lines of output
  };
  void Follow(std::string_view line, Clock::time_point now);
  std::string Erase();
  std::string List(Clock::time_point now);
  std::string Row(const std::string& name, const Block& block, Clock::time_point now) const;

  const Terminal& terminal_;
  const bool live_;
  const int width_;
  std::map<std::string, Block> blocks_;
  std::vector<std::string> order_;  // of blocks, as they became known
  std::string failed_{};
  int total_ = 0;
  size_t rows_ = 0;  // of the list, on the screen
};

// "MiniBox:7:5: message", the line itself and a caret below the column.
std::string WithSource(const std::vector<Diagnostic>& diagnostics, std::string_view source);

std::string PlanText(const BuildPlan& plan);
// Graphviz. Solid edges are NEED, dashed ones BNEED and FROM; what is cached is filled.
std::string PlanGraph(const BuildPlan& plan);

}  // namespace minibox::cli
