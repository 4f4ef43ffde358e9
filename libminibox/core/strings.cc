// SPDX-License-Identifier: Apache-2.0
#include "core/strings.h"

#include <algorithm>
#include <numeric>

#include "core/errors.h"

namespace minibox::core {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Length of the well-formed UTF-8 sequence at the front, 0 if there is none (RFC 3629: no
// overlong forms, no surrogates, nothing above U+10FFFF).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto in = [&](size_t i, unsigned low, unsigned high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return in(1, 0x80, 0xbf) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
    return in(1, low, high) && in(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    return in(1, low, high) && in(2, 0x80, 0xbf) && in(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

template <typename T>
std::optional<T> ParseWhole(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Takes the unit off the front; 0 if there is none.
int64_t TakeUnit(std::string_view& text) {
  constexpr std::pair<std::string_view, int64_t> kUnits[] = {{"ns", 1},
                                                             {"us", 1000},
                                                             {"ms", 1'000'000},
                                                             {"s", 1'000'000'000},
                                                             {"m", 60'000'000'000},
                                                             {"h", 3'600'000'000'000}};
  for (const auto& [name, nanoseconds] : kUnits) {
    if (!text.starts_with(name)) continue;
    text.remove_prefix(name.size());
    return nanoseconds;
  }
  return 0;
}

}  // namespace

std::string CatPieces(std::initializer_list<const Piece*> pieces) {
  size_t size = 0;
  for (const Piece* piece : pieces) size += piece->text().size();
  std::string out;
  out.reserve(size);
  for (const Piece* piece : pieces) out += piece->text();
  return out;
}

std::vector<std::string_view> StrSplit(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string StrJoin(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) out += separator;
    out += part;
  }
  return out;
}

std::string_view TrimSpace(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return text.substr(0, 0);
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

std::string AsciiLower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), Lower);
  return out;
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

std::optional<int64_t> ParseInt64(std::string_view text) { return ParseWhole<int64_t>(text); }

std::optional<uint64_t> ParseUint64(std::string_view text) { return ParseWhole<uint64_t>(text); }

std::string HexEncode(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const unsigned char c : bytes) {
    out += kHexDigits[c >> 4];
    out += kHexDigits[c & 15];
  }
  return out;
}

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string EscapeControl(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    // The C1 controls, which terminals obey too, are U+0080 to U+009F: C2 80 to C2 9F.
    const bool c1 = length == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    const size_t take = std::max<size_t>(length, 1);
    if (length == 0 || c1 || first < 0x20 || first == 0x7f) {
      for (const unsigned char c : text.substr(0, take)) {
        out += "\\x";
        out += kHexDigits[c >> 4];
        out += kHexDigits[c & 15];
      }
    } else {
      out += text.substr(0, take);
    }
    text.remove_prefix(take);
  }
  return out;
}

int EditDistance(std::string_view a, std::string_view b, int limit) {
  const size_t difference = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (difference > static_cast<size_t>(limit)) return limit + 1;
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int diagonal = row[0];
    int best = row[0] = static_cast<int>(i) + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const int substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
      best = std::min(best, row[j + 1]);
    }
    if (best > limit) return limit + 1;
  }
  return std::min(row.back(), limit + 1);
}

StatusOr<int64_t> ParseDurationNs(std::string_view text) {
  const auto malformed = [&](std::string_view why) {
    return Error(StatusCode::kInvalidArgument, "invalid_argument",
                 StrCat("'", EscapeControl(text.substr(0, 64)), "' ", why));
  };
  constexpr std::string_view kForm = "is not a duration such as 90, 15s, 1m30s or 250ms";
  std::string_view rest = text;
  __int128 total = 0;
  if (rest.empty()) return malformed(kForm);
  for (bool first = true; !rest.empty(); first = false) {
    // <digits>[.<digits>], of which nine decimals count.
    __int128 scaled = 0;
    int64_t scale = 1;
    bool any = false, fraction = false;
    for (; !rest.empty() && (IsDigit(rest[0]) || (rest[0] == '.' && any && !fraction));
         rest.remove_prefix(1)) {
      if (rest[0] == '.') {
        fraction = true;
        continue;
      }
      any = true;
      if (fraction && scale == 1'000'000'000) continue;
      if (fraction) scale *= 10;
      scaled = scaled * 10 + (rest[0] - '0');
      if (scaled > (static_cast<__int128>(1) << 94)) return malformed("is too long a duration");
    }
    if (!any || (fraction && scale == 1)) return malformed(kForm);
    int64_t unit = TakeUnit(rest);
    if (unit == 0) {
      if (!first || !rest.empty()) return malformed(kForm);
      unit = 1'000'000'000;
    }
    if (scaled > (static_cast<__int128>(1) << 126) / unit) {
      return malformed("is too long a duration");
    }
    total += scaled * unit / scale;
    if (total > INT64_MAX) return malformed("is too long a duration");
  }
  return static_cast<int64_t>(total);
}

std::string FormatDuration(int64_t nanoseconds) {
  const int64_t ms = std::max<int64_t>(nanoseconds, 0) / 1'000'000;
  if (ms < 1000) return StrCat(ms, "ms");
  if (ms < 60'000) return StrCat(ms / 1000, ".", ms / 100 % 10, "s");
  const int64_t seconds = ms / 1000 % 60;
  return StrCat(ms / 60'000, "m", seconds < 10 ? "0" : "", seconds, "s");
}

}  // namespace minibox::core
