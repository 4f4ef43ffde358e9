// SPDX-License-Identifier: Apache-2.0
// Small string functions over std::string_view (Debian 12's absl::string_view is a
// different type; see docs/adr/0002).
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"

namespace minibox::core {

// One argument of StrCat: text or an integer.
class Piece {
 public:
  Piece(std::string_view text) : text_(text) {}
  Piece(const std::string& text) : text_(text) {}
  Piece(const char* text) : text_(text) {}
  Piece(char c) : text_(buffer_, 1) { buffer_[0] = c; }
  template <std::integral T>
  requires(!std::same_as<T, char> && !std::same_as<T, bool>) Piece(T value) {
    const auto end = std::to_chars(buffer_, buffer_ + sizeof buffer_, value).ptr;
    text_ = std::string_view(buffer_, static_cast<size_t>(end - buffer_));
  }
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;
  std::string_view text() const { return text_; }

 private:
  std::string_view text_;
  char buffer_[24];
};

std::string CatPieces(std::initializer_list<const Piece*> pieces);
// Joins texts and integers: StrCat("layer ", n, "/", total).
template <typename... Args>
std::string StrCat(const Args&... args) {
  return [](const auto&... pieces) { return CatPieces({&pieces...}); }(Piece(args)...);
}

std::vector<std::string_view> StrSplit(std::string_view text, char separator);
std::string StrJoin(const std::vector<std::string>& parts, std::string_view separator);
std::string_view TrimSpace(std::string_view text);  // blanks, tabs, CR, LF
std::string AsciiLower(std::string_view text);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
// Decimal digits only (a leading '-' for signed); nullopt on anything else or overflow.
std::optional<int64_t> ParseInt64(std::string_view text);
std::optional<uint64_t> ParseUint64(std::string_view text);
std::string HexEncode(std::string_view bytes);
bool IsValidUtf8(std::string_view text);
// Each byte that belongs to no UTF-8 sequence becomes U+FFFD.
std::string ReplaceInvalidUtf8(std::string_view text);
// Control characters and bytes that are no UTF-8 as \xNN, so that a name or message cannot move a
// terminal's cursor.
std::string EscapeControl(std::string_view text);
// Levenshtein distance; limit + 1 stands for anything above `limit`.
int EditDistance(std::string_view a, std::string_view b, int limit);
// "15s", "1m30s", "250ms", "90" -> nanoseconds; spec §3. kInvalidArgument.
StatusOr<int64_t> ParseDurationNs(std::string_view text);
// "123ms" below 1 s, "4.5s" below 1 min, else "2m05s" (spec §7 <d>).
std::string FormatDuration(int64_t nanoseconds);
// Signal name with or without SIG, "RTMIN+n" or number 1-64; nullopt if unknown.
std::optional<int> ParseSignal(std::string_view text);
std::string SignalName(int signal);  // "TERM"

}  // namespace minibox::core
