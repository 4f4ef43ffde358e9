// SPDX-License-Identifier: Apache-2.0
#include "build/scope.h"

#include <algorithm>
#include <array>

#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr std::array<std::string_view, 5> kProxies = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",
                                                      "ALL_PROXY", "NO_PROXY"};
constexpr std::array<std::string_view, 4> kTargets = {"TARGETPLATFORM", "TARGETOS", "TARGETARCH",
                                                      "TARGETVARIANT"};

}  // namespace

std::string PlatformText(const Platform& platform) {
  std::string text = platform.os + "/" + platform.architecture;
  if (!platform.variant.empty()) text += "/" + platform.variant;
  return text;
}

bool IsProxyArgument(std::string_view name) {
  return std::any_of(kProxies.begin(), kProxies.end(), [&](std::string_view proxy) {
    return name == proxy || name == core::AsciiLower(proxy);
  });
}

bool IsPredefinedArgument(std::string_view name) {
  return std::find(kTargets.begin(), kTargets.end(), name) != kTargets.end() ||
         IsProxyArgument(name);
}

void Environment::Set(std::string_view name, Value value) {
  const auto [at, is_new] = index_.emplace(name, entries_.size());
  if (is_new) {
    entries_.emplace_back(name, std::nullopt);
    bytes_ += name.size();
  }
  Value& slot = entries_[at->second].second;
  bytes_ -= slot ? slot->size() : 0;
  slot = std::move(value);
  bytes_ += slot ? slot->size() : 0;
}

const Environment::Value* Environment::Find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

Scope::Scope(const Arguments& arguments, bool complete)
    : complete(complete), arguments_(&arguments) {
  const Platform& platform = arguments.platform;
  values_["TARGETPLATFORM"] = PlatformText(platform);
  values_["TARGETOS"] = platform.os;
  values_["TARGETARCH"] = platform.architecture;
  if (!platform.variant.empty()) values_["TARGETVARIANT"] = platform.variant;
  for (const auto& [name, value] : arguments.given) {
    if (IsPredefinedArgument(name)) values_[name] = value;
  }
}

void Scope::DeclareArgument(std::string_view name, std::optional<Environment::Value> fallback) {
  const std::string key(name);
  const auto given = arguments_->given.find(key);
  if (given != arguments_->given.end()) {
    values_[key] = given->second;
  } else if (fallback) {
    values_[key] = std::move(*fallback);
  } else if (!arguments_->complete) {
    values_[key] = std::nullopt;
  } else if (!IsPredefinedArgument(name)) {
    values_.erase(key);
  }
  declared_.insert(key);
}

Scope::Found Scope::Find(std::string_view name) const {
  const Environment::Value* value = env.Find(name);
  if (value == nullptr) {
    const auto found = values_.find(name);
    if (found != values_.end()) value = &found->second;
  }
  if (value == nullptr) {
    const bool known = complete || declared_.find(name) != declared_.end();
    return {known ? Found::Kind::kUnset : Found::Kind::kUnknown, {}};
  }
  if (!*value) return {Found::Kind::kUnknown, {}};
  return {Found::Kind::kSet, **value};
}

bool Scope::IsGiven(std::string_view name) const {
  return arguments_->given.contains(std::string(name));
}

bool Scope::IsArgument(std::string_view name) const {
  return declared_.find(name) != declared_.end();
}

std::map<std::string, std::string> Scope::VisibleArguments() const {
  std::map<std::string, std::string> visible;
  for (const auto& [name, value] : values_) {
    if (value && !IsProxyArgument(name) && env.Find(name) == nullptr) visible[name] = *value;
  }
  return visible;
}

std::map<std::string, std::string> Scope::Proxies() const {
  std::map<std::string, std::string> proxies;
  for (const auto& [name, value] : values_) {
    if (value && IsProxyArgument(name) && env.Find(name) == nullptr) proxies[name] = *value;
  }
  return proxies;
}

bool Expander::Spend(size_t bytes, size_t offset) {
  if (bytes > budget_) {
    if (!spent_) diagnostics_.Error(offset, "variables expand to more than the limit of 64 MiB");
    spent_ = true;
    return false;
  }
  budget_ -= bytes;
  return true;
}

std::optional<std::string> Expander::Expand(const Word& word, const Scope& scope) {
  std::string out;
  if (ExpandParts(word.parts, scope, out) != Outcome::kDone) return std::nullopt;
  return out;
}

Expander::Outcome Expander::ExpandParts(const std::vector<Word::Part>& parts, const Scope& scope,
                                        std::string& out) {
  Outcome outcome = Outcome::kDone;
  for (const auto& part : parts) {
    if (!part.variable) {
      out += part.text;
      continue;
    }
    const Outcome one = ExpandVariable(part, scope, out);
    if (one == Outcome::kFailed) return one;
    if (one == Outcome::kUnknown) outcome = one;
  }
  return outcome;
}

Expander::Outcome Expander::ExpandVariable(const Word::Part& part, const Scope& scope,
                                           std::string& out) {
  const auto found = scope.Find(part.text);
  if (found.kind == Scope::Found::Kind::kUnknown) return Outcome::kUnknown;
  const bool set =
      found.kind == Scope::Found::Kind::kSet && !(part.or_empty && found.value.empty());
  if (part.operation == '+') {
    return set ? ExpandParts(part.alternative, scope, out) : Outcome::kDone;
  }
  if (set || part.operation == 0) {
    if (!Spend(found.value.size(), part.offset)) return Outcome::kFailed;
    out += found.value;
    return Outcome::kDone;
  }
  if (part.operation == '-') return ExpandParts(part.alternative, scope, out);
  std::string message;
  if (ExpandParts(part.alternative, scope, message) == Outcome::kFailed) return Outcome::kFailed;
  if (message.empty()) message = "is not set";
  diagnostics_.Error(part.offset, core::StrCat(part.text, ": ", core::EscapeControl(message)));
  return Outcome::kFailed;
}

void Expander::ApplyEnv(const Instruction& instruction, Scope& scope) {
  std::vector<Environment::Value> values;
  for (const auto& assignment : instruction.assignments) {
    values.push_back(Expand(*assignment.value, scope));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const auto& assignment = instruction.assignments[i];
    if (scope.IsArgument(assignment.name)) {
      diagnostics_.Warning(assignment.offset,
                           core::StrCat("ENV ", assignment.name, " hides the ARG of that name"));
    }
    scope.env.Set(assignment.name, std::move(values[i]));
  }
  if (scope.env.bytes() > kMaxEnvironmentBytes) {
    diagnostics_.Error(instruction.offset, "the environment exceeds the limit of 1 MiB");
  }
}

void Expander::ApplyArg(const Instruction& instruction, Scope& scope) {
  std::vector<std::optional<Environment::Value>> fallbacks;
  for (const auto& assignment : instruction.assignments) {
    fallbacks.emplace_back();
    if (assignment.value && !scope.IsGiven(assignment.name)) {
      fallbacks.back().emplace(Expand(*assignment.value, scope));
    }
  }
  for (size_t i = 0; i < fallbacks.size(); ++i) {
    const auto& assignment = instruction.assignments[i];
    if (scope.env.Find(assignment.name) != nullptr) {
      diagnostics_.Warning(assignment.offset, core::StrCat("ARG ", assignment.name,
                                                           " is hidden by the ENV of that name"));
    }
    scope.DeclareArgument(assignment.name, std::move(fallbacks[i]));
  }
}

}  // namespace minibox::build
