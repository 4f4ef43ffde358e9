// SPDX-License-Identifier: Apache-2.0
#include "wire/resources.h"

namespace minibox::wire {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;
constexpr int64_t kMaxPids = int64_t{1} << 22;  // the kernel's PID_MAX_LIMIT
constexpr int64_t kMicrosPerPercent = 1000;     // of the 100 ms period
constexpr int64_t kMinQuota = 1000;             // below: percent of one core

// -1 or a positive number; 0 leaves the default.
void ReadLimitOrUnlimited(FieldReader& fields, std::string_view name, int64_t high, int64_t* out) {
  fields.Int(name, -1, high, out);
}

}  // namespace

void ReadStepLimits(FieldReader& fields, Resources* out) {
  int64_t memory = 0, cpu = 0, pids = 0;
  fields.Int("memory", 1, kMaxMemoryMib, &memory);
  if (memory != 0) out->memory_bytes = memory * kMib;
  fields.Int("cpu", 1, kMaxCpu, &cpu);
  if (cpu != 0) out->cpu_quota_us = cpu >= kMinQuota ? cpu : cpu * kMicrosPerPercent;
  ReadLimitOrUnlimited(fields, "pids_limit", kMaxPids, &pids);
  if (pids != 0) out->pids = pids;
}

void ReadLimits(FieldReader& fields, Resources* out) {
  ReadStepLimits(fields, out);
  int64_t swap = 0, weight = 0, oom = 0;
  ReadLimitOrUnlimited(fields, "memory_swap", kMaxMemoryMib, &swap);
  if (swap != 0) out->memory_swap_bytes = swap < 0 ? -1 : swap * kMib;
  fields.Text("cpuset", &out->cpuset);
  fields.Int("io_weight", 1, 1000, &weight);
  if (weight != 0) out->io_weight = static_cast<uint16_t>(weight);
  fields.Int("oom_score_adj", -1000, 1000, &oom);
  if (oom != 0) out->oom_score_adj = static_cast<int>(oom);
}

void WriteLimits(json::Writer& writer, const Resources& resources) {
  const auto mib = [](int64_t bytes) { return bytes < 0 ? -1 : (bytes + kMib - 1) / kMib; };
  if (resources.memory_bytes) writer.Key("memory").Int(mib(*resources.memory_bytes));
  if (resources.memory_swap_bytes) {
    writer.Key("memory_swap").Int(mib(*resources.memory_swap_bytes));
  }
  if (resources.cpu_quota_us) writer.Key("cpu").Int(*resources.cpu_quota_us);
  if (!resources.cpuset.empty()) writer.Key("cpuset").String(resources.cpuset);
  if (resources.io_weight) writer.Key("io_weight").Int(*resources.io_weight);
  if (resources.pids) writer.Key("pids_limit").Int(*resources.pids);
  if (resources.oom_score_adj) writer.Key("oom_score_adj").Int(*resources.oom_score_adj);
}

}  // namespace minibox::wire
