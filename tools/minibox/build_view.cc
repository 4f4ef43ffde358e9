// SPDX-License-Identifier: Apache-2.0
#include "build_view.h"

#include <algorithm>
#include <utility>

#include "render.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr size_t kRememberedLines = 10;
constexpr size_t kMaxRows = 12;
constexpr size_t kShortKey = 12;
constexpr size_t kMaxSourceLine = 160;

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// At most `width` characters.
std::string Cut(std::string_view text, size_t width) {
  size_t shown = 0, at = 0;
  for (; at < text.size(); ++at) {
    if (!IsContinuation(text[at]) && ++shown > width) break;
  }
  return std::string(text.substr(0, at));
}

std::string Seconds(BuildView::Clock::duration duration) {
  const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count() / 100;
  return StrCat(tenths / 10, ".", tenths % 10, "s");
}

// "[name] rest" of a line without its end; false if it has no tag.
bool SplitTag(std::string_view line, std::string_view* tag, std::string_view* rest) {
  const size_t close = line.find("] ");
  if (!line.starts_with('[') || close == line.npos) return false;
  *tag = line.substr(1, close - 1);
  *rest = line.substr(close + 2);
  return true;
}

// What stands in parentheses at the end: "(1.2s)".
std::string Took(std::string_view rest) {
  const size_t open = rest.rfind('(');
  return open == rest.npos ? "" : std::string(rest.substr(open + 1, rest.size() - open - 2));
}

std::string Joined(const std::vector<std::string>& names) {
  return names.empty() ? "-" : wire::StrJoin(names, ",");
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

void BuildView::Follow(std::string_view line, Clock::time_point now) {
  std::string_view tag, rest;
  if (!SplitTag(line, &tag, &rest)) return;
  if (tag == "build") {
    constexpr std::string_view kBlocks = "mode=dag blocks=";
    if (rest.starts_with(kBlocks)) {
      total_ = static_cast<int>(wire::ParseInt64(rest.substr(kBlocks.size())).value_or(0));
    }
    return;
  }
  if (tag == "dag") {
    const size_t ready = rest.find(" ready=");
    if (ready == rest.npos) return;
    for (const auto name : wire::StrSplit(rest.substr(ready + 7), ',')) {
      if (blocks_.try_emplace(std::string(name)).second) order_.emplace_back(name);
    }
    return;
  }
  const auto found = blocks_.find(std::string(tag));
  if (found == blocks_.end()) return;
  Block& block = found->second;
  if (block.state == State::kWaiting && rest.starts_with("START ")) {
    block.state = State::kRunning;
    block.since = now;
  } else if (block.state != State::kRunning) {
    return;
  } else if (rest.starts_with("CACHED (") || rest.starts_with("DONE (") ||
             rest.starts_with("FAILED (")) {
    block.state = rest[0] == 'C' ? State::kCached : rest[0] == 'D' ? State::kDone : State::kFailed;
    block.took = Took(rest);
    if (block.state == State::kFailed && failed_.empty()) failed_ = tag;
  } else if (rest.starts_with("   ---> ")) {
    block.step = rest.substr(8);
    block.last.clear();
  } else {
    block.last.emplace_back(rest);
    if (block.last.size() > kRememberedLines) block.last.pop_front();
  }
}

std::string BuildView::Erase() {
  std::string out;
  for (; rows_ > 0; --rows_) out += "\033[1A\033[2K";
  return out;
}

std::string BuildView::Row(const std::string& name, const Block& block,
                           Clock::time_point now) const {
  const auto row = [&](Colour colour, std::string_view mark, std::string_view time,
                       std::string_view more) {
    const std::string text = StrCat(mark, " ", name, "  ", time, more.empty() ? "" : "  ", more);
    return terminal_.Paint(colour, Cut(text, static_cast<size_t>(std::max(10, width_ - 1))));
  };
  switch (block.state) {
    case State::kWaiting:
      return row(Colour::kNone, "·", "waiting", "");
    case State::kRunning:
      return row(Colour::kCyan, "▸", Seconds(now - block.since), wire::EscapeControl(block.step));
    case State::kCached:
      return row(Colour::kGreen, "✓", "cached", "");
    case State::kDone:
      return row(Colour::kGreen, "✓", block.took, "");
    case State::kFailed:
      return row(Colour::kBoldRed, "✗", block.took, wire::EscapeControl(block.step));
  }
  return {};
}

std::string BuildView::List(Clock::time_point now) {
  size_t counts[5] = {};
  for (const auto& [name, block] : blocks_) ++counts[static_cast<size_t>(block.state)];
  const size_t over = counts[2] + counts[3] + counts[4];
  if (!live_ || blocks_.empty() ||
      (over == blocks_.size() && over >= static_cast<size_t>(total_))) {
    return {};
  }
  std::string out;
  // Running ones first, so that they are seen; the rest as far as there is room.
  for (const State wanted :
       {State::kRunning, State::kFailed, State::kWaiting, State::kDone, State::kCached}) {
    for (const auto& name : order_) {
      const Block& block = blocks_.at(name);
      if (block.state != wanted || rows_ == kMaxRows) continue;
      out += Row(name, block, now) + "\n";
      ++rows_;
    }
  }
  out += StrCat("blocks: ", over, "/", std::max<size_t>(static_cast<size_t>(total_), over),
                "  running ", counts[1], "  cached ", counts[2], "  built ", counts[3], "\n");
  ++rows_;
  return out;
}

std::string BuildView::Line(std::string_view line, Clock::time_point now) {
  const bool whole = line.ends_with('\n');
  Follow(whole ? line.substr(0, line.size() - 1) : line, now);
  std::string out = Erase();
  out += terminal_.PaintTag(line);
  if (!whole) out += "\n";
  return out + List(now);
}

std::string BuildView::Tick(Clock::time_point now) {
  if (rows_ == 0) return {};
  std::string out = Erase();
  return out + List(now);
}

std::string BuildView::Finish() { return Erase(); }

BuildView::Failure BuildView::failure() const {
  const auto found = blocks_.find(failed_);
  if (found == blocks_.end()) return {};
  return {failed_, {found->second.last.begin(), found->second.last.end()}};
}

std::string WithSource(const std::vector<Diagnostic>& diagnostics, std::string_view source) {
  if (source.starts_with("\xEF\xBB\xBF")) source.remove_prefix(3);
  const auto lines = wire::StrSplit(source, '\n');
  std::string out;
  for (const auto& diagnostic : diagnostics) {
    const bool warning = diagnostic.severity == Diagnostic::Severity::kWarning;
    out += StrCat("MiniBox:", diagnostic.line, ":", diagnostic.column, ": ",
                  warning ? "warning: " : "", wire::EscapeControl(diagnostic.message), "\n");
    const auto index = static_cast<size_t>(diagnostic.line) - 1;
    if (diagnostic.line < 1 || index >= lines.size()) continue;
    std::string_view text = lines[index];
    if (text.ends_with('\r')) text.remove_suffix(1);
    // A tab is one column here; whatever else moves a cursor is no text.
    std::string shown, caret;
    int column = 1;
    for (size_t at = 0; at < text.size(); ++at) {
      if (at > 0 && !IsContinuation(text[at])) ++column;
      const char c = text[at];
      const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
      shown += c == '\t' ? ' ' : control ? '?' : c;
      if (column < diagnostic.column && !IsContinuation(c)) caret += ' ';
    }
    if (!wire::IsValidUtf8(shown)) continue;
    const std::string number = std::to_string(diagnostic.line);
    const std::string margin(number.size() < 5 ? 5 - number.size() : 0, ' ');
    out += StrCat(margin, number, " | ", Cut(shown, kMaxSourceLine), "\n");
    if (caret.size() < kMaxSourceLine) {
      out += StrCat(std::string(margin.size() + number.size(), ' '), " | ", caret, "^\n");
    }
  }
  return out;
}

std::string PlanText(const BuildPlan& plan) {
  std::string out = StrCat("mode ", plan.linear ? "linear" : "dag");
  if (!plan.target.empty()) out += StrCat(", target ", plan.target);
  size_t wanted = 0, cached = 0;
  for (const auto& block : plan.blocks) {
    wanted += block.wanted ? 1 : 0;
    cached += block.cached ? 1 : 0;
  }
  if (!plan.linear) out += StrCat(", ", wanted, " blocks, ", cached, " cached");
  out += "\n";
  for (const auto& block : plan.blocks) {
    out += "\n";
    if (!plan.linear) {
      out += StrCat("BLOCK ", block.name, "  wave ", block.generation, "  base ",
                    wire::EscapeControl(block.base), "  needs ", Joined(block.needs),
                    "  build-needs ", Joined(block.build_needs), "  ",
                    !block.wanted  ? "not needed"
                    : block.cached ? "cached"
                                   : "to be built",
                    "\n");
    } else {
      out += StrCat("base ", wire::EscapeControl(block.base), "\n");
    }
    size_t number = 0;
    for (const auto& step : block.steps) {
      const std::string key =
          step.key.empty() ? std::string(kShortKey, '-') : step.key.substr(0, kShortKey);
      out +=
          StrCat("  ", ++number, "/", block.steps.size(), "  ", key, "  ",
                 step.cached ? "cached " : "build  ", Cut(step.instruction, kMaxSourceLine), "\n");
    }
  }
  return out;
}

std::string PlanGraph(const BuildPlan& plan) {
  std::string out = "digraph minibox {\n  rankdir=BT;\n  node [shape=box, style=filled];\n";
  for (const auto& block : plan.blocks) {
    const std::string_view colour = !block.wanted  ? "lightgrey"
                                    : block.cached ? "palegreen"
                                                   : "white";
    const std::string name = plan.linear ? "image" : block.name;
    out += StrCat("  \"", Escaped(name), "\" [label=\"", Escaped(name), "\\nwave ",
                  block.generation, ", ", block.steps.size(), " steps\", fillcolor=", colour,
                  name == plan.target ? ", penwidth=2" : "", "];\n");
  }
  for (const auto& block : plan.blocks) {
    for (const auto& on : block.needs) {
      out += StrCat("  \"", Escaped(block.name), "\" -> \"", Escaped(on), "\";\n");
    }
    for (const auto& on : block.build_needs) {
      out += StrCat("  \"", Escaped(block.name), "\" -> \"", Escaped(on), "\" [style=dashed];\n");
    }
  }
  return out + "}\n";
}

}  // namespace minibox::cli
