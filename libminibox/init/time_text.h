// SPDX-License-Identifier: Apache-2.0
// RFC 3339 without the C library's time zones.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "init/text.h"

namespace minibox::init {

struct Date {
  int64_t year;
  uint32_t month, day;
};

// Of a day since 1970, in the proleptic Gregorian calendar: years begin in March, so that a leap
// day is the last day of its year.
inline Date DateOf(int64_t days) {
  constexpr int64_t kDaysToEpoch = 719468, kDaysPerEra = 146097;
  days += kDaysToEpoch;
  const int64_t era = (days >= 0 ? days : days - kDaysPerEra + 1) / kDaysPerEra;
  const auto day = static_cast<uint32_t>(days - era * kDaysPerEra);
  const uint32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  const uint32_t day_of_year = day - (365 * year + year / 4 - year / 100);
  const uint32_t month = (5 * day_of_year + 2) / 153;
  return {era * 400 + year + (month >= 10 ? 1 : 0), month < 10 ? month + 3 : month - 9,
          day_of_year - (153 * month + 2) / 5 + 1};
}

// "2006-01-02T15:04:05.000000000Z".
template <uint32_t kCapacity>
void AppendTime(Text<kCapacity>& text, int64_t at_ns) {
  constexpr int64_t kSecond = 1'000'000'000, kDay = 86400;
  int64_t seconds = at_ns / kSecond, ns = at_ns % kSecond;
  if (ns < 0) {
    ns += kSecond;
    --seconds;
  }
  int64_t days = seconds / kDay, rest = seconds % kDay;
  if (rest < 0) {
    rest += kDay;
    --days;
  }
  const Date date = DateOf(days);
  const auto time = static_cast<uint64_t>(rest);
  text.Digits(static_cast<uint64_t>(date.year), 4) << '-';
  text.Digits(date.month, 2) << '-';
  text.Digits(date.day, 2) << 'T';
  text.Digits(time / 3600, 2) << ':';
  text.Digits(time / 60 % 60, 2) << ':';
  text.Digits(time % 60, 2) << '.';
  text.Digits(static_cast<uint64_t>(ns), 9) << 'Z';
}

}  // namespace minibox::init
