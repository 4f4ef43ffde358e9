// SPDX-License-Identifier: Apache-2.0
#include "build/directives.h"

#include <array>
#include <utility>

#include "build/diagnostics.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr std::array kDagOnly = {
    Keyword{"BASE", Directive::kBase},
    Keyword{"BLOCK", Directive::kBlock},
    Keyword{"NEED", Directive::kNeed},
    Keyword{"BNEED", Directive::kBneed},
};

constexpr std::array kShared = {
    Keyword{"RUN", Directive::kRun},
    Keyword{"COPY", Directive::kCopy},
    Keyword{"PKG", Directive::kPkg},
    Keyword{"AUTO-DEPS", Directive::kAutoDeps},
    Keyword{"WORKDIR", Directive::kWorkdir},
    Keyword{"ENV", Directive::kEnv},
    Keyword{"ARG", Directive::kArg},
    Keyword{"USER", Directive::kUser},
    Keyword{"SHELL", Directive::kShell},
    Keyword{"START", Directive::kStart},
    Keyword{"ENTRYPOINT", Directive::kEntrypoint},
    Keyword{"LABEL", Directive::kLabel},
    Keyword{"PORT", Directive::kPort},
    Keyword{"VOLUME", Directive::kVolume},
    Keyword{"STOPSIGNAL", Directive::kStopsignal},
    Keyword{"HEALTHCHECK", Directive::kHealthcheck},
};

constexpr std::array kLinearOnly = {
    Keyword{"FROM", Directive::kBase},
    Keyword{"BOX", Directive::kBase},
    Keyword{"START-WITH", Directive::kBase},
    Keyword{"RUN-COMMAND", Directive::kRun},
    Keyword{"ADD-PACKAGE", Directive::kPkg},
    Keyword{"GOTO-FOLDER", Directive::kWorkdir},
    Keyword{"SET-ENVIRONMENT", Directive::kEnv},
    Keyword{"IMPORT-FILE", Directive::kCopy},
    Keyword{"CMD", Directive::kStart},
    Keyword{"LAUNCH", Directive::kStart},
    Keyword{"GRAB-ALL", Directive::kCopy, ". /app"},
    Keyword{"SYNC-PACK", Directive::kCopy, ". /app"},
    Keyword{"INSTALL-DEPS", Directive::kRun, "npm install"},
    Keyword{"CLONE-REPO", Directive::kRun, {}, "git clone"},
};

// Of a Dockerfile, with what does the same here.
constexpr std::pair<std::string_view, std::string_view> kElsewhere[] = {
    {"ADD", "COPY"}, {"CMD", "START"}, {"EXPOSE", "PORT"}};

template <typename Table>
const Keyword* FindIn(const Table& table, std::string_view word) {
  for (const auto& keyword : table) {
    if (core::EqualsIgnoreCase(keyword.name, word)) return &keyword;
  }
  return nullptr;
}

template <typename Table>
void AddNames(const Table& table, std::vector<std::string_view>& names) {
  for (const auto& keyword : table) names.push_back(keyword.name);
}

}  // namespace

std::string_view DirectiveName(Directive directive) {
  for (const auto& keyword : kDagOnly) {
    if (keyword.directive == directive) return keyword.name;
  }
  for (const auto& keyword : kShared) {
    if (keyword.directive == directive) return keyword.name;
  }
  return {};
}

const Keyword* FindKeyword(std::string_view word, File::Format format) {
  if (const auto* keyword = FindIn(kShared, word)) return keyword;
  return format == File::Format::kDag ? FindIn(kDagOnly, word) : FindIn(kLinearOnly, word);
}

std::vector<std::string_view> KeywordNames(File::Format format) {
  std::vector<std::string_view> names;
  AddNames(kShared, names);
  if (format == File::Format::kDag) {
    AddNames(kDagOnly, names);
  } else {
    AddNames(kLinearOnly, names);
  }
  return names;
}

std::string UnknownDirective(std::string_view word, File::Format format, std::string_view base) {
  for (const auto& [there, here] : kElsewhere) {
    if (!core::EqualsIgnoreCase(word, there)) continue;
    return core::StrCat("unknown directive ", Quoted(word), " (did you mean '", here, "'?)");
  }
  const bool linear = format == File::Format::kLinear;
  if (const auto* other = linear ? FindIn(kDagOnly, word) : FindIn(kLinearOnly, word)) {
    std::string text = core::StrCat("directive ", Quoted(word), " does not go with ", base,
                                    ", which makes this a ", linear ? "linear" : "block", " file");
    const bool same = !linear && other->fixed_arguments.empty() && other->leading_arguments.empty();
    if (same) text += core::StrCat(" (did you mean '", DirectiveName(other->directive), "'?)");
    return text;
  }
  return core::StrCat("unknown directive ", Quoted(word), Suggestion(word, KeywordNames(format)));
}

std::optional<File::Format> FormatOfBaseKeyword(std::string_view word) {
  if (core::EqualsIgnoreCase(word, "BASE")) return File::Format::kDag;
  const auto* keyword = FindIn(kLinearOnly, word);
  if (keyword != nullptr && keyword->directive == Directive::kBase) return File::Format::kLinear;
  return std::nullopt;
}

}  // namespace minibox::build
