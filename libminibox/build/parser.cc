// SPDX-License-Identifier: Apache-2.0
#include "build/parser.h"

#include <optional>
#include <unordered_map>
#include <utility>

#include "build/directives.h"
#include "build/instruction_parser.h"
#include "build/limits.h"
#include "build/lines.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

bool IsAction(Directive directive) {
  switch (directive) {
    case Directive::kRun:
    case Directive::kPkg:
    case Directive::kCopy:
    case Directive::kAutoDeps:
      return true;
    default:
      return false;
  }
}

std::string_view FormatName(File::Format format) {
  return format == File::Format::kDag ? "block" : "linear";
}

class FileParser {
 public:
  FileParser(std::string_view source, Diagnostics& diagnostics)
      : source_(source), numbers_(source), diagnostics_(diagnostics) {}

  File Parse() {
    const auto lines = SplitLines(source_, diagnostics_);
    const Line* base = nullptr;
    for (const auto& line : lines) {
      const auto format = FormatOfBaseKeyword(line.Keyword());
      if (!format) continue;
      base = &line;
      file_.format = *format;
      break;
    }
    if (base == nullptr) {
      if (!diagnostics_.failed()) {
        diagnostics_.Error(0, "no base: the file has none of BASE, FROM, BOX and START-WITH");
      }
      return std::move(file_);
    }
    base_offset_ = base->At(0);
    base_keyword_ = core::StrCat("'", base->Keyword(), "' in line ", numbers_.At(base->At(0)));
    if (file_.format == File::Format::kLinear) file_.blocks.emplace_back();
    for (const auto& line : lines) {
      const bool is_block = core::EqualsIgnoreCase(line.Keyword(), "BLOCK");
      if (!is_block && ++instructions_ > kMaxInstructions) {
        diagnostics_.Error(line.At(0), "more instructions than the limit of 20000");
        break;
      }
      ParseLine(line);
    }
    return std::move(file_);
  }

 private:
  void Fail(const Line& line, std::string message) {
    diagnostics_.Error(line.At(0), std::move(message));
  }

  void ParseLine(const Line& line) {
    const auto base_format = FormatOfBaseKeyword(line.Keyword());
    const bool block_in_linear =
        file_.format == File::Format::kLinear && core::EqualsIgnoreCase(line.Keyword(), "BLOCK");
    if ((base_format && *base_format != file_.format) || block_in_linear) {
      return Fail(line, core::StrCat("mixed formats: '", line.Keyword(), "' in line ",
                                     numbers_.At(line.At(0)), " does not go with ", base_keyword_,
                                     ", which makes this a ", FormatName(file_.format), " file"));
    }
    const Keyword* keyword = FindKeyword(line.Keyword(), file_.format);
    if (keyword == nullptr) {
      if (!line.indented) place_ = Place::kLost;
      return Fail(line, UnknownDirective(line.Keyword(), file_.format, base_keyword_));
    }
    if (file_.format == File::Format::kLinear) return ParseLinear(line, *keyword);
    if (keyword->directive == Directive::kBlock) return ParseBlock(line, *keyword);
    if (line.indented) return ParseIndented(line, *keyword);
    place_ = Place::kTop;
    ParseTop(line, *keyword);
  }

  void ParseLinear(const Line& line, const Keyword& keyword) {
    auto instruction = ParseInstruction(line, keyword, file_.format, diagnostics_);
    const bool is_base = keyword.directive == Directive::kBase;
    const bool above_base = line.At(0) < base_offset_;
    if (is_base && line.At(0) != base_offset_) {
      return Fail(line, core::StrCat("second base: a linear file has one, ", base_keyword_));
    }
    if (above_base && IsAction(keyword.directive)) {
      return Fail(line, core::StrCat(keyword.name, " above ", base_keyword_,
                                     ": the base must precede all actions"));
    }
    if (!instruction) return;
    if (is_base || above_base) {
      file_.top.push_back({std::move(*instruction), 0});
    } else {
      file_.blocks.front().instructions.push_back(std::move(*instruction));
    }
  }

  void ParseBlock(const Line& line, const Keyword& keyword) {
    if (line.indented) {
      Fail(line, "BLOCK must start in column 1");
    }
    auto instruction = ParseInstruction(line, keyword, file_.format, diagnostics_);
    place_ = Place::kBlock;
    after_action_ = false;
    file_.blocks.emplace_back();
    Block& block = file_.blocks.back();
    block.offset = line.At(0);
    if (file_.blocks.size() == kMaxBlocks + 1) {
      Fail(line, "more blocks than the limit of 1000");
    }
    if (!instruction) return;
    block.name = instruction->blocks[0].name;
    const auto [earlier, is_new] = names_.emplace(block.name, block.offset);
    if (!is_new) {
      diagnostics_.Error(instruction->blocks[0].offset,
                         core::StrCat("duplicate block ", Quoted(block.name), ": line ",
                                      numbers_.At(earlier->second), " has it too"));
    }
  }

  void ParseIndented(const Line& line, const Keyword& keyword) {
    auto instruction = ParseInstruction(line, keyword, file_.format, diagnostics_);
    if (place_ == Place::kLost) return;
    if (place_ == Place::kTop) {
      return Fail(line, core::StrCat(keyword.name, " outside a block: no BLOCK line above it"));
    }
    if (keyword.directive == Directive::kBase && after_action_) {
      return Fail(line, "BASE after an action: it must precede all of the block");
    }
    after_action_ = after_action_ || IsAction(keyword.directive);
    if (instruction) file_.blocks.back().instructions.push_back(std::move(*instruction));
  }

  void ParseTop(const Line& line, const Keyword& keyword) {
    auto instruction = ParseInstruction(line, keyword, file_.format, diagnostics_);
    const Directive directive = keyword.directive;
    if (IsAction(directive) || directive == Directive::kNeed || directive == Directive::kBneed) {
      return Fail(line,
                  core::StrCat(keyword.name, " outside a block: indent it below a BLOCK line"));
    }
    if (!instruction) return;
    if (directive == Directive::kBase || directive == Directive::kStart ||
        directive == Directive::kEntrypoint) {
      const auto [earlier, is_new] = once_.emplace(static_cast<int>(directive), line.At(0));
      if (!is_new) {
        diagnostics_.Warning(line.At(0),
                             core::StrCat("second ", keyword.name, ": it replaces that of line ",
                                          numbers_.At(earlier->second)));
        earlier->second = line.At(0);
      }
    }
    file_.top.push_back({std::move(*instruction), file_.blocks.size()});
  }

  std::string_view source_;
  LineNumbers numbers_;
  Diagnostics& diagnostics_;
  File file_;
  size_t base_offset_ = 0;
  std::string base_keyword_;  // "'BASE' in line 3"
  size_t instructions_ = 0;
  // kLost: below a column-1 line that could not be understood.
  enum class Place { kTop, kBlock, kLost };
  Place place_ = Place::kTop;
  bool after_action_ = false;
  std::unordered_map<std::string, size_t> names_;  // of blocks -> offset
  std::unordered_map<int, size_t> once_;
};

}  // namespace

File ParseFile(std::string_view source, Diagnostics& diagnostics) {
  return FileParser(source, diagnostics).Parse();
}

}  // namespace minibox::build
