// SPDX-License-Identifier: Apache-2.0
#include "wire/time.h"

#include <chrono>
#include <string>

#include "core/clock.h"
#include "core/errors.h"
#include "core/strings.h"

namespace minibox::wire {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr int64_t kMaxSeconds = 9'000'000'000;  // what nanoseconds in 64 bits can say
constexpr size_t kMaxFraction = 9;

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

StatusOr<TimePoint> ParseTimeOrAgo(std::string_view text, TimePoint now) {
  const Status bad = core::Error(
      StatusCode::kInvalidArgument, "invalid_argument",
      core::StrCat("'", core::EscapeControl(text),
                   "' is not a time: RFC 3339, Unix seconds, or a duration ago such as 10m"));
  const size_t dot = text.find('.');
  const std::string_view whole = text.substr(0, dot);
  const std::string fraction(dot == std::string_view::npos ? "" : text.substr(dot + 1));
  if (IsDigits(whole) && (dot == std::string_view::npos || IsDigits(fraction))) {
    const auto count = core::ParseInt64(whole);
    if (!count || *count > kMaxSeconds || fraction.size() > kMaxFraction) return bad;
    const std::string padded = fraction + std::string(kMaxFraction - fraction.size(), '0');
    return TimePoint(seconds(*count) + nanoseconds(*core::ParseInt64(padded)));
  }
  if (auto time = core::ParseTime(text); time.ok()) return time;
  const auto ago = core::ParseDurationNs(text);
  if (!ago.ok() || nanoseconds(*ago) > now.time_since_epoch()) return bad;
  return now - nanoseconds(*ago);
}

}  // namespace minibox::wire
