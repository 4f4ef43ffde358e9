// SPDX-License-Identifier: Apache-2.0
// The keywords of both formats (spec §7.2, §7.6).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "build/ast.h"

namespace minibox::build {

// What a keyword means. Some keywords of the linear format bring their arguments along.
struct Keyword {
  std::string_view name;
  Directive directive;
  // Replaces the arguments as written: "npm install".
  std::string_view fixed_arguments = {};
  // Stands before the arguments as written: "git clone".
  std::string_view leading_arguments = {};
};

// In any case; nullptr if the format has no such keyword.
const Keyword* FindKeyword(std::string_view word, File::Format format);
std::vector<std::string_view> KeywordNames(File::Format format);

// What to say of a keyword that the format does not have, with the nearest one or with what
// stands for it here. `base` is what made it that format: "'FROM' in line 1".
std::string UnknownDirective(std::string_view word, File::Format format, std::string_view base);

// The format that a base keyword belongs to.
std::optional<File::Format> FormatOfBaseKeyword(std::string_view word);

}  // namespace minibox::build
