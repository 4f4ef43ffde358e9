// SPDX-License-Identifier: Apache-2.0
// The variables in force at a line, and words expanded with them (spec §7.1, §7.3).
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "build/ast.h"
#include "build/diagnostics.h"
#include "build/limits.h"
#include "minibox/types.h"

namespace minibox::build {

// "linux/arm64/v8".
std::string PlatformText(const Platform& platform);

// What the request brings.
struct Arguments {
  std::map<std::string, std::string> given{};
  Platform platform{};
  // False while a file is only checked: an ARG without default may get any value.
  bool complete = true;
};

// HTTP_PROXY and the like, in either case: in no cache key and no history.
bool IsProxyArgument(std::string_view name);
// Those and TARGETPLATFORM etc., which need no ARG line.
bool IsPredefinedArgument(std::string_view name);

// Names with values in order of first mention.
class Environment {
 public:
  // nullopt: a value that is not known yet.
  using Value = std::optional<std::string>;
  void Set(std::string_view name, Value value);
  const Value* Find(std::string_view name) const;
  const std::vector<std::pair<std::string, Value>>& entries() const { return entries_; }
  size_t bytes() const { return bytes_; }

 private:
  std::vector<std::pair<std::string, Value>> entries_;
  std::unordered_map<std::string, size_t> index_;
  size_t bytes_ = 0;
};

class Scope {
 public:
  // `arguments` is borrowed. `complete`: all of the base's environment is in `env`.
  Scope(const Arguments& arguments, bool complete);

  Environment env{};
  bool complete = true;

  // nullopt of `fallback`: none. An inner nullopt: not known.
  void DeclareArgument(std::string_view name, std::optional<Environment::Value> fallback);

  // From ENV, then ARG, then what is predefined.
  struct Found {
    enum class Kind { kUnset, kUnknown, kSet };
    Kind kind = Kind::kUnset;
    std::string_view value{};
  };
  Found Find(std::string_view name) const;
  // Declared by an ARG line.
  bool IsArgument(std::string_view name) const;
  // The request has a value for it.
  bool IsGiven(std::string_view name) const;

  // Arguments that have a value and no ENV of that name, by name; proxies apart.
  std::map<std::string, std::string> VisibleArguments() const;
  std::map<std::string, std::string> Proxies() const;

 private:
  const Arguments* arguments_;
  std::map<std::string, Environment::Value, std::less<>> values_;  // declared or predefined
  std::set<std::string, std::less<>> declared_;
};

// Expands words. What has been expanded in all is limited by a budget.
class Expander {
 public:
  explicit Expander(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  // nullopt: not known, or an error, which is then in the diagnostics.
  std::optional<std::string> Expand(const Word& word, const Scope& scope);

  // ENV and ARG lines. Every value is expanded with what was in force before the line.
  void ApplyEnv(const Instruction& instruction, Scope& scope);
  void ApplyArg(const Instruction& instruction, Scope& scope);

  // Counts `bytes` that are about to be copied; false once the budget is spent.
  bool Spend(size_t bytes, size_t offset);
  Diagnostics& diagnostics() { return diagnostics_; }

 private:
  enum class Outcome { kDone, kUnknown, kFailed };
  Outcome ExpandParts(const std::vector<Word::Part>& parts, const Scope& scope, std::string& out);
  Outcome ExpandVariable(const Word::Part& part, const Scope& scope, std::string& out);

  Diagnostics& diagnostics_;
  size_t budget_ = kMaxExpansionBytes;
  bool spent_ = false;  // and told
};

}  // namespace minibox::build
