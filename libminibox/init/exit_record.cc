// SPDX-License-Identifier: Apache-2.0
#include "init/exit_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "init/held.h"

namespace minibox::init {
namespace {

constexpr char kName[] = "exit.json";
constexpr char kTemporary[] = ".exit.json.tmp";

struct Date {
  int64_t year;
  uint32_t month, day;
};

// Of a day since 1970, in the proleptic Gregorian calendar: years begin in March, so that a leap
// day is the last day of its year.
Date DateOf(int64_t days) {
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

void AppendTime(Text<512>& text, int64_t at_ns) {
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

bool WriteAndSync(int dir, const Text<512>& text) {
  const Held file(
      openat(dir, kTemporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return false;
  const ssize_t written = write(file.get(), text.c_str(), text.size());
  if (written >= 0 && written != static_cast<ssize_t>(text.size())) errno = ENOSPC;
  return written == static_cast<ssize_t>(text.size()) && fsync(file.get()) == 0;
}

}  // namespace

Text<512> FormatExit(const ExitedMessage& exit) {
  Text<512> text;
  text << "{\"exit_code\":" << exit.code << ",\"signal\":" << exit.signal;
  if (exit.oom_killed != 0) text << ",\"oom_killed\":true";
  text << ",\"finished_at\":\"";
  AppendTime(text, exit.at_ns);
  text << '"';
  // Our own words: nothing to be escaped.
  if (exit.error[0] != '\0') text << ",\"error\":\"" << exit.error << '"';
  text << "}\n";
  return text;
}

bool RecordExit(int dir, const ExitedMessage& exit) {
  // The caller's descriptor may be one that cannot be synced.
  const Held directory(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return false;
  if (!WriteAndSync(directory.get(), FormatExit(exit)) ||
      renameat(directory.get(), kTemporary, directory.get(), kName) != 0) {
    const int error = errno;
    (void)unlinkat(directory.get(), kTemporary, 0);
    errno = error;
    return false;
  }
  return fsync(directory.get()) == 0;
}

}  // namespace minibox::init
