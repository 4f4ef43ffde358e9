// SPDX-License-Identifier: Apache-2.0
#include "build/ignore.h"

#include "build/glob.h"
#include "build/limits.h"
#include "core/errors.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

// Trailing blanks count only behind a backslash.
std::string_view TrimPattern(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  while (line.ends_with(' ') || line.ends_with('\t')) {
    if (line.size() > 1 && line[line.size() - 2] == '\\') break;
    line.remove_suffix(1);
  }
  return line;
}

std::vector<std::string_view> Components(std::string_view path) {
  std::vector<std::string_view> out;
  for (const auto component : core::StrSplit(path, '/')) {
    if (!component.empty()) out.push_back(component);
  }
  return out;
}

}  // namespace

IgnoreRules IgnoreRules::Parse(std::string_view text, bool anchored) {
  IgnoreRules out;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (auto line : core::StrSplit(text, '\n')) {
    line = TrimPattern(line);
    if (line.empty() || line[0] == '#') continue;
    Rule rule;
    if (line[0] == '!') {
      rule.negated = true;
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      rule.directories_only = true;
      line.remove_suffix(1);
    }
    const bool at_any_depth = !anchored && line.find('/') == line.npos;
    if (at_any_depth) rule.components.push_back("**");
    for (const auto component : Components(line)) {
      if (component != ".") rule.components.emplace_back(component);
    }
    if (rule.components.size() <= (at_any_depth ? 1u : 0u)) continue;
    // "a/**" is everything in a, not a.
    if (rule.components.back() == "**") rule.components.push_back("*");
    out.rules_.push_back(std::move(rule));
  }
  return out;
}

bool IgnoreRules::Ignores(std::string_view path, bool directory) const {
  if (rules_.empty()) return false;
  const auto components = Components(path);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->directories_only && !directory) continue;
    if (MatchPath(rule->components, components)) return !rule->negated;
  }
  return false;
}

bool IgnoreRules::IgnoresWithParents(std::string_view path, bool directory) const {
  if (rules_.empty()) return false;
  for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    if (Ignores(path.substr(0, slash), true)) return true;
  }
  return !path.empty() && Ignores(path, directory);
}

StatusOr<IgnoreRules> ReadIgnoreRules(const core::RootDir& context) {
  for (const auto& [name, anchored] :
       {std::pair{".miniboxignore", false}, std::pair{".dockerignore", true}}) {
    auto text = context.ReadFile(name, kMaxIgnoreBytes);
    if (text.ok()) return IgnoreRules::Parse(*text, anchored);
    if (text.status().code() == StatusCode::kNotFound) continue;
    if (text.status().code() == StatusCode::kResourceExhausted) {
      return core::Error(StatusCode::kInvalidArgument, "invalid_context",
                         core::StrCat(name, " is longer than the limit of 1 MiB"));
    }
    return text.status();
  }
  return IgnoreRules();
}

}  // namespace minibox::build
