// SPDX-License-Identifier: Apache-2.0
#include "registry/retry.h"

#include <condition_variable>
#include <mutex>
#include <random>

#include "core/errors.h"
#include "core/json.h"
#include "core/strings.h"

namespace minibox::registry {
namespace {

using std::chrono::milliseconds;

constexpr size_t kMaxMessage = 512;
constexpr int kJitterPercent = 25;

// "manifest unknown", from {"errors":[{"code","message"}]}.
std::string RegistryMessage(const HttpResponse& response) {
  std::string text;
  if (const auto root = json::Parse(response.body); root.ok()) {
    for (const json::Value& error : root->Get("errors").Elements()) {
      const auto message = error.GetString("message", "");
      const auto code = error.GetString("code", "");
      if (!message.ok() || !code.ok()) continue;
      if (!text.empty()) text += ", ";
      text += message->empty() ? *code : *message;
    }
    if (text.empty())
      text = root->GetString("details", "").ok() ? *root->GetString("details", "") : "";
  }
  return core::EscapeControl(std::string_view(text).substr(0, kMaxMessage));
}

}  // namespace

Outcome Judge(const StatusOr<HttpResponse>& response, const std::string& what) {
  Outcome outcome;
  if (!response.ok()) {
    outcome.status = response.status();
    const bool transport = outcome.status.reason() == "registry_error" &&
                           (outcome.status.code() == StatusCode::kUnavailable ||
                            outcome.status.code() == StatusCode::kDeadlineExceeded);
    outcome.retryable = outcome.next_source = transport;
    return outcome;
  }
  const int status = response->status;
  if (status >= 200 && status <= 299) return outcome;
  outcome.retryable = status == 408 || status == 429 || status >= 500;
  outcome.next_source = outcome.retryable || status == 404;
  if (const auto after = response->Header("retry-after")) {
    outcome.retry_after = ParseRetryAfter(*after);
  }
  const StatusCode code = status == 401 || status == 403 ? StatusCode::kPermissionDenied
                          : status == 404                ? StatusCode::kNotFound
                          : outcome.retryable            ? StatusCode::kUnavailable
                                                         : StatusCode::kFailedPrecondition;
  const std::string message = RegistryMessage(*response);
  outcome.status = core::Error(
      code, "registry_error",
      core::StrCat(what, ": the registry answers ", status, message.empty() ? "" : ": ", message));
  return outcome;
}

std::optional<milliseconds> Retry::After(const Outcome& outcome) {
  if (!outcome.retryable) return std::nullopt;
  failures_ = outcome.progressed ? 0 : failures_ + 1;
  if (failures_ >= kAttempts) return std::nullopt;
  if (outcome.retry_after) {
    // Coming back earlier would be rude, and nobody waits longer.
    if (*outcome.retry_after > kLongestWait) return std::nullopt;
    return *outcome.retry_after;
  }
  std::random_device random;
  const milliseconds delay = first_delay_ * (failures_ > 1 ? 2 : 1);
  const int percent = 100 + static_cast<int>(random() % (kJitterPercent + 1));
  return delay * percent / 100;
}

Status Wait(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, time, [] { return false; });
  return stop.stop_requested() ? core::Cancelled("waiting for the registry") : Status();
}

}  // namespace minibox::registry
