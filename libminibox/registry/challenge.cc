// SPDX-License-Identifier: Apache-2.0
#include "registry/challenge.h"

#include <optional>

#include "core/strings.h"

namespace minibox::registry {
namespace {

constexpr size_t kMaxChallenges = 16, kMaxParams = 32;

bool IsTokenChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  void SkipBlanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t')) rest_.remove_prefix(1);
  }
  void SkipCommas() {
    for (SkipBlanks(); Take(','); SkipBlanks()) {
    }
  }
  bool Take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view Token() {
    size_t size = 0;
    while (size < rest_.size() && IsTokenChar(rest_[size])) ++size;
    const std::string_view token = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return token;
  }
  std::optional<std::string> Value() {
    if (!Take('"')) {
      // Some servers do not quote URLs.
      const size_t size = std::min(rest_.find_first_of(", \t"), rest_.size());
      const std::string value(rest_.substr(0, size));
      rest_.remove_prefix(size);
      return value;
    }
    std::string value;
    while (!rest_.empty()) {
      char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return value;
      if (c == '\\' && !rest_.empty()) {
        c = rest_[0];
        rest_.remove_prefix(1);
      }
      value += c;
    }
    return std::nullopt;
  }
  bool done() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  void Rewind(std::string_view rest) { rest_ = rest; }

 private:
  std::string_view rest_;
};

}  // namespace

std::vector<Challenge> ParseChallenges(std::string_view header) {
  std::vector<Challenge> challenges;
  Scanner scanner(header);
  scanner.SkipCommas();
  while (!scanner.done() && challenges.size() < kMaxChallenges) {
    const std::string_view scheme = scanner.Token();
    if (scheme.empty()) break;
    Challenge challenge{core::AsciiLower(scheme)};
    while (challenge.params.size() < kMaxParams) {
      scanner.SkipCommas();
      const std::string_view before = scanner.rest();
      const std::string_view name = scanner.Token();
      scanner.SkipBlanks();
      if (name.empty() || !scanner.Take('=')) {
        scanner.Rewind(before);  // the next challenge's scheme
        break;
      }
      scanner.SkipBlanks();
      auto value = scanner.Value();
      if (!value) return challenges;
      challenge.params.emplace(core::AsciiLower(name), std::move(*value));
    }
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace minibox::registry
