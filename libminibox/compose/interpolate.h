// SPDX-License-Identifier: Apache-2.0
// Variables in values, and files that define some (spec §14.1).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"

namespace minibox::compose {

using Variables = std::map<std::string, std::string>;
using Lookup = std::function<std::optional<std::string>(const std::string& name)>;

// `$V`, `${V}`, `${V:-d}`, `${V-d}`, `${V:?msg}`, `${V?msg}`, `${V:+a}`, `${V+a}`, nested; `$$` is
// `$`. Names of variables without value and default are added to `unset`; they are empty.
// kInvalidArgument without position: the caller knows where the text stands.
StatusOr<std::string> Interpolate(std::string_view text, const Lookup& lookup,
                                  std::vector<std::string>* unset);
// The text that Interpolate makes `text` of.
std::string EscapeDollars(std::string_view text);

// Lines `[export ]KEY=value`, `#` comments; values in '…' as they are, in "…" with backslashes and
// variables, without quotes with variables up to " #". A line with only a KEY takes the value
// that `lookup` has, or is left out. Later lines see earlier ones. `file` is for messages.
StatusOr<Variables> ParseEnvFile(std::string_view text, std::string_view file,
                                 const Lookup& lookup);

// Cuts a line into words as a shell does: blanks, '…', "…", backslashes. kInvalidArgument for
// quotes without end.
StatusOr<std::vector<std::string>> SplitWords(std::string_view text);

}  // namespace minibox::compose
