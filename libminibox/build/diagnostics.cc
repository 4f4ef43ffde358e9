// SPDX-License-Identifier: Apache-2.0
#include "build/diagnostics.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "build/limits.h"
#include "core/errors.h"
#include "core/strings.h"

namespace minibox {
inline namespace v1 {

std::string Diagnostic::ToString() const {
  return core::StrCat("MiniBox:", line, ":", column, ": ", message);
}

}  // namespace v1
}  // namespace minibox

namespace minibox::build {
namespace {

// Ten answers' worth, so that what a later pass finds earlier in the file still gets in.
constexpr size_t kKept = 10 * kMaxDiagnostics;
constexpr size_t kQuotedBytes = 100;
constexpr size_t kSuggestionBytes = 80;

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

std::vector<Diagnostics::Entry> Diagnostics::Sorted(std::vector<Entry> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.offset, a.message) < std::tie(b.offset, b.message);
  });
  entries.erase(std::unique(entries.begin(), entries.end(),
                            [](const Entry& a, const Entry& b) {
                              return a.offset == b.offset && a.message == b.message;
                            }),
                entries.end());
  if (entries.size() > kKept) entries.resize(kKept);
  return entries;
}

void Diagnostics::Add(Entry entry) {
  auto& entries = entry.severity == Diagnostic::Severity::kError ? errors_ : warnings_;
  entries.push_back(std::move(entry));
  if (entries.size() >= 2 * kKept) entries = Sorted(std::move(entries));
}

void Diagnostics::Error(size_t offset, std::string message) {
  failed_ = true;
  Add({offset, Diagnostic::Severity::kError, std::move(message)});
}

void Diagnostics::Warning(size_t offset, std::string message) {
  Add({offset, Diagnostic::Severity::kWarning, std::move(message)});
}

void Diagnostics::Append(const Diagnostics& other) {
  failed_ = failed_ || other.failed_;
  for (const auto& entry : other.errors_) Add(entry);
  for (const auto& entry : other.warnings_) Add(entry);
}

std::vector<Diagnostic> Diagnostics::Resolve(std::string_view source, size_t limit) const {
  auto entries = Sorted(errors_);
  for (auto& entry : Sorted(warnings_)) entries.push_back(std::move(entry));
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.offset < b.offset; });
  if (entries.size() > limit) entries.resize(limit);

  std::vector<Diagnostic> out;
  size_t at = 0;
  int line = 1, column = 1;
  for (auto& entry : entries) {
    const size_t end = std::min(entry.offset, source.size());
    for (; at < end; ++at) {
      if (source[at] == '\n') {
        ++line;
        column = 1;
      } else if (!IsContinuation(source[at])) {
        ++column;
      }
    }
    out.push_back({entry.severity, line, column, std::move(entry.message)});
  }
  return out;
}

Status ToStatus(const std::vector<Diagnostic>& diagnostics) {
  std::string message;
  size_t count = 0;
  for (const auto& diagnostic : diagnostics) {
    if (diagnostic.severity != Diagnostic::Severity::kError) continue;
    if (count++ == kMaxDiagnostics) break;
    if (!message.empty()) message += '\n';
    message += diagnostic.ToString();
  }
  if (count == 0) return {};
  return core::Error(StatusCode::kInvalidArgument, "invalid_build_file", std::move(message));
}

LineNumbers::LineNumbers(std::string_view source) : begins_{0} {
  for (size_t at = source.find('\n'); at != source.npos; at = source.find('\n', at + 1)) {
    begins_.push_back(at + 1);
  }
}

int LineNumbers::At(size_t offset) const {
  const auto next = std::upper_bound(begins_.begin(), begins_.end(), offset);
  return static_cast<int>(next - begins_.begin());
}

std::string Quoted(std::string_view text) {
  if (text.size() <= kQuotedBytes) return core::StrCat("'", core::EscapeControl(text), "'");
  size_t cut = kQuotedBytes;
  while (cut > 0 && IsContinuation(text[cut])) --cut;
  return core::StrCat("'", core::EscapeControl(text.substr(0, cut)), "…'");
}

std::string Suggestion(std::string_view text, const std::vector<std::string_view>& candidates) {
  constexpr int kNear = 2;
  if (text.empty() || text.size() > kSuggestionBytes) return {};
  const std::string wanted = core::AsciiLower(text);
  std::string_view best;
  int best_distance = kNear + 1;
  for (const auto candidate : candidates) {
    const auto longer = std::max(candidate.size(), text.size());
    if (longer - std::min(candidate.size(), text.size()) > kNear) continue;
    const int distance = core::EditDistance(wanted, core::AsciiLower(candidate), kNear + 1);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  if (best.empty() || best_distance >= static_cast<int>(text.size())) return {};
  return core::StrCat(" (did you mean '", best, "'?)");
}

}  // namespace minibox::build
