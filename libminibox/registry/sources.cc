// SPDX-License-Identifier: Apache-2.0
#include "registry/sources.h"

#include "core/status_macros.h"

namespace minibox::registry {

Status TrySources(const Sources& sources, const AttemptFn& attempt, const RetryingFn& retrying,
                  const std::stop_token& stop) {
  for (const auto& source : sources.list) {
    if (source == sources.list.back()) break;
    if (source->down) continue;
    const Outcome outcome = attempt(*source->remote);
    if (outcome.status.ok() || !outcome.next_source) return outcome.status;
    if (outcome.status.code() == StatusCode::kUnavailable ||
        outcome.status.code() == StatusCode::kDeadlineExceeded) {
      source->down = true;
    }
  }
  Retry retry(sources.retry_delay);
  while (true) {
    const Outcome outcome = attempt(*sources.list.back()->remote);
    if (outcome.status.ok()) return outcome.status;
    const auto delay = retry.After(outcome);
    if (!delay) return outcome.status;
    if (retrying) retrying(outcome.status, *delay, retry.attempt());
    MBX_RETURN_IF_ERROR(Wait(*delay, stop));
  }
}

}  // namespace minibox::registry
