// SPDX-License-Identifier: Apache-2.0
#include "core/clock.h"

#include <cstdint>
#include <limits>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::core {
namespace {

using std::chrono::nanoseconds;

void AppendPadded(std::string& out, uint64_t value, int width) {
  const std::string digits = StrCat(value);
  if (static_cast<int>(digits.size()) < width) out.append(width - digits.size(), '0');
  out += digits;
}

// Takes fixed-width fields off the front of a text.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}
  bool Number(size_t width, int* value) {
    if (rest_.size() < width) return false;
    const auto parsed = ParseUint64(rest_.substr(0, width));
    if (!parsed) return false;
    *value = static_cast<int>(*parsed);
    rest_.remove_prefix(width);
    return true;
  }
  bool OneOf(std::string_view set) {
    if (rest_.empty() || set.find(rest_[0]) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // ".123456789": digits beyond the ninth are dropped.
  bool Fraction(int64_t* nanos) {
    *nanos = 0;
    if (!OneOf(".")) return true;
    int digits = 0;
    for (; !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9'; rest_.remove_prefix(1)) {
      if (++digits <= 9) *nanos = *nanos * 10 + (rest_[0] - '0');
    }
    for (int i = digits; i < 9; ++i) *nanos *= 10;
    return digits > 0;
  }
  bool Offset(int* minutes) {
    if (OneOf("Zz")) {
      *minutes = 0;
      return true;
    }
    const bool negative = !rest_.empty() && rest_[0] == '-';
    int hour = 0, minute = 0;
    if (!OneOf("+-") || !Number(2, &hour) || !OneOf(":") || !Number(2, &minute)) return false;
    *minutes = (hour * 60 + minute) * (negative ? -1 : 1);
    return hour < 24 && minute < 60;
  }
  bool done() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace

std::string FormatTime(TimePoint time) {
  const auto since_epoch = std::chrono::duration_cast<nanoseconds>(time.time_since_epoch());
  const auto days = std::chrono::floor<std::chrono::days>(since_epoch);
  const std::chrono::year_month_day date{std::chrono::sys_days(days)};
  const uint64_t in_day = static_cast<uint64_t>((since_epoch - days).count());
  const uint64_t seconds = in_day / 1'000'000'000;
  std::string out;
  AppendPadded(out, static_cast<uint64_t>(static_cast<int>(date.year())), 4);
  out += '-';
  AppendPadded(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  AppendPadded(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  AppendPadded(out, seconds / 3600, 2);
  out += ':';
  AppendPadded(out, seconds / 60 % 60, 2);
  out += ':';
  AppendPadded(out, seconds % 60, 2);
  out += '.';
  AppendPadded(out, in_day % 1'000'000'000, 9);
  out += 'Z';
  return out;
}

StatusOr<TimePoint> ParseTime(std::string_view text) {
  const auto malformed = [&] {
    return Error(StatusCode::kInvalidArgument, "invalid_argument",
                 StrCat("'", EscapeControl(text.substr(0, 64)), "' is not an RFC 3339 time"));
  };
  Fields fields(text);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, offset = 0;
  int64_t nanos = 0;
  if (!fields.Number(4, &year) || !fields.OneOf("-") || !fields.Number(2, &month) ||
      !fields.OneOf("-") || !fields.Number(2, &day) || !fields.OneOf("Tt ") ||
      !fields.Number(2, &hour) || !fields.OneOf(":") || !fields.Number(2, &minute) ||
      !fields.OneOf(":") || !fields.Number(2, &second) || !fields.Fraction(&nanos) ||
      !fields.Offset(&offset) || !fields.done()) {
    return malformed();
  }
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  // 60 is a leap second, which POSIX time counts as the next one.
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return malformed();
  const int64_t seconds = std::chrono::sys_days(date).time_since_epoch().count() * int64_t{86400} +
                          hour * 3600 + minute * 60 + second - offset * int64_t{60};
  // Go's zero time (year 1), which image configurations contain, is not representable.
  constexpr int64_t kLimit = std::numeric_limits<int64_t>::max() / 1'000'000'000 - 1;
  if (seconds > kLimit) return TimePoint::max();
  if (seconds < -kLimit) return TimePoint::min();
  return TimePoint(std::chrono::duration_cast<TimePoint::duration>(
      nanoseconds(seconds * 1'000'000'000 + nanos)));
}

}  // namespace minibox::core
