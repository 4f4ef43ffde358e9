// SPDX-License-Identifier: Apache-2.0
#include "archive/tar_pax.h"

#include <algorithm>
#include <array>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

constexpr int kNanoDigits = 9;
constexpr uint32_t kNanosPerSecond = 1'000'000'000;

Status Damaged() {
  return core::Error(StatusCode::kInvalidArgument, "invalid_archive",
                     "tar: damaged pax extended header");
}

bool IsNumber(std::string_view text) { return core::ParseUint64(text).has_value(); }

}  // namespace

StatusOr<PaxRecords> ParsePaxRecords(std::string_view text) {
  PaxRecords records;
  bool expect_size = false;  // an offset waits for its numbytes
  std::string map;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) return Damaged();
    const auto length = core::ParseUint64(text.substr(0, space));
    if (!length.has_value() || *length > text.size() || *length < space + 4) return Damaged();
    std::string_view record = text.substr(space + 1, *length - space - 1);
    text.remove_prefix(*length);
    if (record.back() != '\n') return Damaged();
    record.remove_suffix(1);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) return Damaged();
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key.find('\0') != std::string_view::npos) return Damaged();
    const bool is_offset = key == "GNU.sparse.offset";
    if (is_offset || key == "GNU.sparse.numbytes") {
      if (is_offset == expect_size || !IsNumber(value)) return Damaged();
      expect_size = is_offset;
      if (!map.empty()) map += ',';
      map += value;
      continue;
    }
    records.insert_or_assign(std::string(key), std::string(value));
  }
  if (expect_size) return Damaged();
  if (!map.empty()) records.insert_or_assign("GNU.sparse.map", std::move(map));
  return records;
}

std::optional<PaxTime> ParsePaxTime(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t dot = text.find('.');
  const auto whole = core::ParseInt64(text.substr(0, dot));
  if (!whole.has_value() || *whole < 0) return std::nullopt;
  uint32_t nanoseconds = 0;
  bool beyond = false;  // digits that nanoseconds cannot hold
  if (dot != std::string_view::npos) {
    const std::string_view digits = text.substr(dot + 1);
    if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return std::nullopt;
    }
    for (size_t i = 0; i < digits.size() || i < kNanoDigits; ++i) {
      const int digit = i < digits.size() ? digits[i] - '0' : 0;
      if (i < kNanoDigits) {
        nanoseconds = nanoseconds * 10 + static_cast<uint32_t>(digit);
      } else {
        beyond = beyond || digit != 0;
      }
    }
  }
  if (!negative) return PaxTime{*whole, nanoseconds};
  if (beyond) ++nanoseconds;
  if (nanoseconds == 0) return PaxTime{-*whole, 0};
  if (nanoseconds == kNanosPerSecond) return PaxTime{-*whole - 1, 0};
  return PaxTime{-*whole - 1, kNanosPerSecond - nanoseconds};
}

std::string FormatPaxTime(const PaxTime& time) {
  const bool negative = time.seconds < 0;
  uint64_t whole = static_cast<uint64_t>(time.seconds);
  uint32_t nanoseconds = time.nanoseconds;
  if (negative) {
    whole = -whole;
    if (nanoseconds != 0) {
      --whole;
      nanoseconds = kNanosPerSecond - nanoseconds;
    }
  }
  std::string out = core::StrCat(negative ? "-" : "", whole);
  if (nanoseconds == 0) return out;
  const std::string digits = core::StrCat(kNanosPerSecond + nanoseconds).substr(1);
  return core::StrCat(out, ".", digits.substr(0, digits.find_last_not_of('0') + 1));
}

std::string FormatPaxRecord(std::string_view key, std::string_view value) {
  const size_t fixed = key.size() + value.size() + 3;  // ' ', '=', '\n'
  // The length counts its own digits.
  size_t length = fixed + 1;
  while (fixed + core::StrCat(length).size() != length) {
    length = fixed + core::StrCat(length).size();
  }
  return core::StrCat(length, " ", key, "=", value, "\n");
}

}  // namespace minibox::archive
