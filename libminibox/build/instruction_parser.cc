// SPDX-License-Identifier: Apache-2.0
#include "build/instruction_parser.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "build/heredoc.h"
#include "build/json_form.h"
#include "build/limits.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr size_t kMaxDisplayBytes = 4096;

bool IsAlphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

class InstructionParser {
 public:
  InstructionParser(const Line& line, const Keyword& keyword, File::Format format,
                    Diagnostics& diagnostics)
      : line_(line),
        keyword_(keyword),
        format_(format),
        diagnostics_(diagnostics),
        reader_(line, line.Keyword().size(), VariablesOf(keyword.directive), diagnostics) {
    out_.directive = keyword.directive;
    out_.offset = line.At(0);
  }

  std::optional<Instruction> Parse() {
    out_.display = Display();
    if (!ParseOptions() || !ParseArguments() || reader_.failed()) return std::nullopt;
    return std::move(out_);
  }

 private:
  static WordReader::Variables VariablesOf(Directive directive) {
    switch (directive) {
      case Directive::kBlock:
      case Directive::kNeed:
      case Directive::kBneed:
      case Directive::kStart:
      case Directive::kEntrypoint:
      case Directive::kShell:
      case Directive::kHealthcheck:
        return WordReader::Variables::kLiteral;
      default:
        return WordReader::Variables::kExpanded;
    }
  }

  std::string_view Name() const { return DirectiveName(keyword_.directive); }

  bool Fail(size_t offset, std::string message) {
    diagnostics_.Error(offset, std::move(message));
    return false;
  }
  // At the next word.
  bool FailHere(std::string message) {
    return Fail(line_.At(reader_.position()), std::move(message));
  }
  bool Missing(std::string_view what) {
    return Fail(out_.offset, core::StrCat(Name(), " needs ", what));
  }

  std::string Display() {
    std::string_view arguments =
        core::TrimSpace(std::string_view(line_.text).substr(line_.Keyword().size()));
    std::string text(Name());
    if (arguments.size() > kMaxDisplayBytes) {
      size_t cut = kMaxDisplayBytes;
      while ((static_cast<unsigned char>(arguments[cut]) & 0xC0) == 0x80) --cut;
      arguments = arguments.substr(0, cut);
    }
    if (!arguments.empty()) text.append(" ").append(core::EscapeControl(arguments));
    return text;
  }

  // ----- options -----

  static std::vector<std::string_view> OptionNames(Directive directive) {
    switch (directive) {
      case Directive::kBase:
        return {"--platform"};
      case Directive::kRun:
        return {"--mount", "--network"};
      case Directive::kCopy:
        return {"--chown", "--chmod", "--from"};
      case Directive::kHealthcheck:
        return {"--interval", "--timeout", "--start-period", "--retries"};
      case Directive::kAutoDeps:
        return {"--prod"};
      default:
        return {};
    }
  }

  bool ParseOptions() {
    const auto known = OptionNames(keyword_.directive);
    std::vector<std::string> seen;
    while (auto option = reader_.NextOption()) {
      const std::string shown = "--" + option->name;
      if (std::find(known.begin(), known.end(), shown) == known.end()) {
        return Fail(option->offset,
                    core::StrCat("unknown option ", Quoted(shown), Suggestion(shown, known)));
      }
      // The only one that may be repeated.
      if (shown != "--mount" && std::find(seen.begin(), seen.end(), shown) != seen.end()) {
        return Fail(option->offset, core::StrCat("option '", shown, "' is given twice"));
      }
      seen.push_back(shown);
      std::optional<Word> value;
      if (option->has_value) {
        value = reader_.NextValue();
        if (!value) return false;
      }
      const bool takes_value = shown != "--prod";
      if (takes_value != option->has_value) {
        return Fail(
            option->offset,
            core::StrCat("option '", shown, takes_value ? "' needs a value" : "' takes no value"));
      }
      if (shown == "--prod") out_.prod = true;
      if (value && !TakeOption(shown, option->offset, std::move(*value))) return false;
    }
    return !reader_.failed();
  }

  bool TakeOption(std::string_view name, size_t offset, Word value) {
    if (name == "--platform") {
      out_.platform = std::move(value);
    } else if (name == "--chown") {
      out_.chown = std::move(value);
    } else if (name == "--chmod") {
      out_.chmod = std::move(value);
    } else if (name == "--from") {
      return TakeFrom(value.Text(), value.offset);
    } else if (name == "--mount") {
      auto mount = ParseMountOption(value, offset, diagnostics_);
      if (!mount) return false;
      if (mount->from) return TakeMountFrom(std::move(*mount));
      out_.mounts.push_back(std::move(*mount));
    } else if (name == "--network") {
      out_.network = value.Text();
      if (out_.network != "bridge" && out_.network != "none") {
        return Fail(offset, core::StrCat("network ", Quoted(out_.network),
                                         " is neither 'bridge' nor 'none'"));
      }
    } else if (name == "--retries") {
      const auto number = core::ParseInt64(value.Text());
      if (!number || *number < 1 || *number > 1'000'000) {
        return Fail(offset, core::StrCat("malformed number ", Quoted(value.Text()),
                                         ": expected 1 or more"));
      }
      out_.retries = static_cast<int>(*number);
    } else {
      return TakeDuration(name, offset, value.Text());
    }
    return true;
  }

  bool TakeDuration(std::string_view name, size_t offset, const std::string& text) {
    const auto duration = core::ParseDurationNs(text);
    if (!duration.ok() || *duration < 0) {
      return Fail(offset, core::StrCat("malformed duration ", Quoted(text),
                                       ": expected seconds, or a value as '1m30s'"));
    }
    if (name == "--start-period") {
      out_.start_period_ns = *duration;
      return true;
    }
    if (*duration == 0) return Fail(offset, core::StrCat("'", name, "' may not be zero"));
    (name == "--interval" ? out_.interval_ns : out_.timeout_ns) = *duration;
    return true;
  }

  bool TakeMountFrom(MountOption mount) {
    if (format_ == File::Format::kLinear) {
      return Fail(mount.from_offset, "a linear file has no blocks to mount from");
    }
    if (!IsValidBlockName(*mount.from)) {
      return Fail(mount.from_offset, MalformedBlockName(*mount.from));
    }
    out_.mounts.push_back(std::move(mount));
    return true;
  }

  bool TakeFrom(std::string name, size_t offset) {
    if (format_ == File::Format::kLinear) {
      return Fail(offset, "a linear file has no blocks to copy from");
    }
    if (out_.from) return Fail(offset, "COPY copies from one block only");
    if (!IsValidBlockName(name)) {
      return Fail(offset, MalformedBlockName(name));
    }
    out_.from = BlockName{std::move(name), offset};
    return true;
  }

  // ----- arguments -----

  bool ParseArguments() {
    switch (keyword_.directive) {
      case Directive::kBase:
        return ParseSingleWord("'scratch', an image or an archive");
      case Directive::kBlock:
        return ParseBlockNames(1);
      case Directive::kNeed:
      case Directive::kBneed:
        return ParseBlockNames(std::numeric_limits<size_t>::max());
      case Directive::kArg:
        return ParseArg();
      case Directive::kWorkdir:
        return ParseSingleWord("a path");
      case Directive::kUser:
        return ParseSingleWord("a user");
      case Directive::kStopsignal:
        return ParseSingleWord("a signal");
      case Directive::kShell:
        return ParseShell();
      case Directive::kEnv:
        return ParseEnv();
      case Directive::kLabel:
        return ParseAssignments();
      case Directive::kStart:
      case Directive::kEntrypoint:
        return ParseArgv();
      case Directive::kPort:
        return ParseWords("a port");
      case Directive::kVolume:
        return ParseJsonOrWords("a path");
      case Directive::kPkg:
        return ParseWords("a package");
      case Directive::kHealthcheck:
        return ParseHealthcheck();
      case Directive::kRun:
        return ParseRun();
      case Directive::kAutoDeps:
        if (reader_.AtEnd()) return !reader_.failed();
        return FailHere("surplus argument: AUTO-DEPS takes none");
      case Directive::kCopy:
        return ParseCopy();
    }
    return false;
  }

  bool ParseWords(std::string_view what) {
    while (auto word = reader_.Next()) out_.words.push_back(std::move(*word));
    if (reader_.failed()) return false;
    return !out_.words.empty() || Missing(what);
  }

  bool ParseSingleWord(std::string_view what) {
    if (!ParseWords(what)) return false;
    if (out_.words.size() == 1) return true;
    return Fail(out_.words[1].offset, core::StrCat("surplus argument: ", Name(), " takes one"));
  }

  // Sets `taken` if the rest is in JSON form.
  bool ParseJson(bool& taken) {
    const std::string_view text = reader_.rest();
    auto array = ParseJsonForm(text);
    taken = array.has_value();
    if (!taken && LooksLikeJsonForm(text)) {
      return FailHere("malformed JSON: expected an array of strings");
    }
    out_.json = std::move(array);
    return true;
  }

  bool ParseJsonOrWords(std::string_view what) {
    bool taken = false;
    if (!ParseJson(taken)) return false;
    if (!taken) return ParseWords(what);
    return !out_.json->empty() || Missing(what);
  }

  bool ParseBlockNames(size_t most) {
    while (auto word = reader_.Next()) {
      std::string name = word->Text();
      if (!IsValidBlockName(name)) {
        return Fail(word->offset, MalformedBlockName(name));
      }
      if (out_.blocks.size() == most) {
        return Fail(word->offset, core::StrCat("surplus argument: ", Name(), " takes one"));
      }
      out_.blocks.push_back({std::move(name), word->offset});
    }
    if (reader_.failed()) return false;
    return !out_.blocks.empty() || Missing("the name of a block");
  }

  bool ParseAssignments() {
    while (!reader_.AtEnd()) {
      const size_t offset = line_.At(reader_.position());
      auto name = reader_.NextAssignedName();
      if (!name) return FailHere(core::StrCat("expected NAME=value after ", Name()));
      auto value = reader_.NextValue();
      if (!value) return false;
      out_.assignments.push_back({std::move(*name), offset, std::move(*value)});
    }
    return !out_.assignments.empty() || Missing("NAME=value");
  }

  // A name that no '=' follows.
  std::optional<std::string> BareName(const Word& word) {
    std::string name = word.Text();
    const auto ok = [](char c) { return IsAlphanumeric(c) || c == '_' || c == '.' || c == '-'; };
    const bool valid = word.parts.size() == 1 && !word.parts[0].variable && !name.empty() &&
                       !(name[0] >= '0' && name[0] <= '9') && name[0] != '.' && name[0] != '-' &&
                       std::all_of(name.begin(), name.end(), ok);
    if (!valid) return std::nullopt;
    return name;
  }

  bool ParseArg() {
    while (!reader_.AtEnd()) {
      const size_t offset = line_.At(reader_.position());
      if (auto name = reader_.NextAssignedName()) {
        auto value = reader_.NextValue();
        if (!value) return false;
        out_.assignments.push_back({std::move(*name), offset, std::move(*value)});
        continue;
      }
      const auto word = reader_.Next();
      if (!word) return false;
      auto name = BareName(*word);
      if (!name) return Fail(offset, core::StrCat("malformed name ", Quoted(word->Text())));
      out_.assignments.push_back({std::move(*name), offset, std::nullopt});
    }
    return !out_.assignments.empty() || Missing("a name");
  }

  bool ParseEnv() {
    const size_t offset = line_.At(reader_.position());
    const std::string_view text = reader_.rest();
    const size_t end = std::min(text.find_first_of(" \t="), text.size());
    const bool assigned = end < text.size() && text[end] == '=';
    if (text.empty() || assigned) return ParseAssignments();
    const auto word = reader_.Next();
    if (!word) return false;
    auto name = BareName(*word);
    if (!name) return Fail(offset, core::StrCat("malformed name ", Quoted(word->Text())));
    auto value = reader_.Rest();
    if (reader_.failed()) return false;
    if (!value) return Missing("a value");
    out_.assignments.push_back({std::move(*name), offset, std::move(*value)});
    return true;
  }

  bool ParseShell() {
    bool taken = false;
    if (!ParseJson(taken)) return false;
    if (!taken) return Missing("a JSON array of strings");
    return !out_.json->empty() || Missing("a command");
  }

  bool ParseArgv() {
    bool taken = false;
    if (!ParseJson(taken) || taken) return taken;
    if (!ParseWords("a command")) return false;
    out_.json.emplace();
    bool warned = keyword_.directive != Directive::kStart;
    for (const auto& word : out_.words) {
      const std::string_view operation = warned ? "" : ShellOperator(word);
      if (!operation.empty()) {
        diagnostics_.Warning(word.offset, core::StrCat("START runs no shell: '", operation,
                                                       "' is passed on as it is"));
        warned = true;
      }
      out_.json->push_back(word.Text());
    }
    out_.words.clear();
    return true;
  }

  // The first unquoted operator of a shell in the word, or "".
  static std::string_view ShellOperator(const Word& word) {
    constexpr std::array<std::string_view, 6> kOperators = {"&&", "|", ";", ">", "<", "$"};
    for (const auto& part : word.parts) {
      if (part.quoted) continue;
      for (const auto operation : kOperators) {
        if (part.text.find(operation) != std::string::npos) return operation;
      }
    }
    return {};
  }

  bool ParseHealthcheck() {
    bool taken = false;
    if (!ParseJson(taken)) return false;
    if (taken) return !out_.json->empty() || Missing("a command");
    const std::string_view text = reader_.rest();
    if (text.empty()) return Missing("NONE or a command");
    out_.none = core::EqualsIgnoreCase(text, "NONE");
    if (!out_.none) out_.shell_text = text;
    return true;
  }

  bool ParseRun() {
    bool taken = false;
    if (!ParseJson(taken)) return false;
    if (taken) return !out_.json->empty() || Missing("a command");
    const std::string_view text = reader_.rest();
    if (text.empty()) return Missing("a command");
    const auto starts = FindHeredocs(text);
    // A terminator that is missing has been told while the lines were split.
    if (starts.size() != line_.heredocs.size()) return false;
    if (starts.size() == 1 && starts[0].begin == 0 && starts[0].end == text.size()) {
      out_.shell_text = line_.heredocs[0].body;
      out_.script_file = out_.shell_text.starts_with("#!");
      return !core::TrimSpace(out_.shell_text).empty() || Missing("a command");
    }
    out_.shell_text = text;
    for (const auto& heredoc : line_.heredocs) {
      out_.shell_text += core::StrCat("\n", heredoc.body, heredoc.marker);
    }
    return true;
  }

  bool ParseCopy() {
    const std::string_view text = reader_.rest();
    constexpr std::string_view kFrom = "FROM=";
    if (core::EqualsIgnoreCase(text.substr(0, kFrom.size()), kFrom)) {
      const auto word = reader_.Next();
      if (!word) return false;
      if (!TakeFrom(word->Text().substr(kFrom.size()), word->offset)) return false;
      // A source of that name can be written with ./ in front.
      if (reader_.rest().starts_with("--")) return FailHere("options of COPY come before FROM=");
    }
    constexpr std::string_view kWhat = "a source and a destination";
    if (!ParseJsonOrWords(kWhat)) return false;
    const size_t count = out_.json ? out_.json->size() : out_.words.size();
    return count >= 2 || Missing(kWhat);
  }

  const Line& line_;
  const Keyword& keyword_;
  const File::Format format_;
  Diagnostics& diagnostics_;
  WordReader reader_;
  Instruction out_;
};

// The line with the arguments that the keyword brings along.
Line WithBuiltInArguments(const Line& line, const Keyword& keyword) {
  const size_t name_size = line.Keyword().size();
  Line out = line;
  if (!keyword.fixed_arguments.empty()) {
    out.text = core::StrCat(keyword.name, " ", keyword.fixed_arguments);
    out.joints = {{0, line.At(0)}};
    return out;
  }
  const size_t inserted = 1 + keyword.leading_arguments.size();
  out.text.insert(name_size, core::StrCat(" ", keyword.leading_arguments));
  out.joints.clear();
  for (const auto& joint : line.joints) {
    if (joint.first <= name_size) out.joints.push_back(joint);
  }
  out.joints.emplace_back(name_size + inserted, line.At(name_size));
  for (const auto& joint : line.joints) {
    if (joint.first > name_size) out.joints.emplace_back(joint.first + inserted, joint.second);
  }
  return out;
}

}  // namespace

std::string MalformedBlockName(std::string_view name) {
  return core::StrCat("malformed block name ", Quoted(name),
                      ": expected a letter or digit, then also '.', '_' and '-', at most 64");
}

bool IsValidBlockName(std::string_view name) {
  if (name.empty() || name.size() > kMaxBlockName || !IsAlphanumeric(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

std::optional<Instruction> ParseInstruction(const Line& line, const Keyword& keyword,
                                            File::Format format, Diagnostics& diagnostics) {
  if (keyword.fixed_arguments.empty() && keyword.leading_arguments.empty()) {
    return InstructionParser(line, keyword, format, diagnostics).Parse();
  }
  const Line complete = WithBuiltInArguments(line, keyword);
  return InstructionParser(complete, keyword, format, diagnostics).Parse();
}

}  // namespace minibox::build
