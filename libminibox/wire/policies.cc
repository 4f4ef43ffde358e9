// SPDX-License-Identifier: Apache-2.0
#include "wire/policies.h"

#include "core/strings.h"

namespace minibox::wire {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kMib = int64_t{1} << 20;
constexpr int64_t kMaxLogMib = 1 << 30;
constexpr int64_t kMaxLogFiles = 100, kMaxRetries = 1000;

void ReadHealthcheck(FieldReader& fields, ContainerSpec* spec) {
  const json::Value value = fields.Raw("healthcheck");
  if (value.empty()) return;
  if (value.type() != json::Type::kObject) {
    return fields.Fail(InvalidRequest("healthcheck", "expected an object"));
  }
  if (value.size() == 0) return;
  auto parts = FieldReader::Parse(value.Dump(), Strictness::kStrict);
  if (!parts.ok()) return fields.Fail(parts.status());
  HealthCheck check;
  int64_t retries = 0;
  parts->TextList("test", &check.test, Chars::kText);
  ReadDuration(*parts, "interval", &check.interval);
  ReadDuration(*parts, "timeout", &check.timeout);
  ReadDuration(*parts, "start_period", &check.start_period);
  parts->Int("retries", 1, kMaxRetries, &retries);
  if (retries != 0) check.retries = static_cast<int>(retries);
  const Status read = parts->Finish();
  if (!read.ok()) {
    std::string message(read.message());
    const size_t at = message.find(read.field());
    if (at != std::string::npos) message.insert(at, "healthcheck.");
    return fields.Fail(Status(read.code(), message,
                              {.reason = std::string(read.reason()),
                               .field = core::StrCat("healthcheck.", read.field())}));
  }
  spec->healthcheck = std::move(check);
}

std::string Text(milliseconds duration) { return core::StrCat(duration.count(), "ms"); }

}  // namespace

void ReadDuration(FieldReader& fields, std::string_view name, std::optional<milliseconds>* out) {
  const json::Value value = fields.Raw(name);
  if (IsZero(value)) return;
  std::string text;
  if (value.type() == json::Type::kString) {
    text = *value.AsString();
  } else if (value.type() == json::Type::kNumber) {
    text = value.Dump();
  } else {
    return fields.Fail(InvalidRequest(name, "expected a duration"));
  }
  const auto nanoseconds = core::ParseDurationNs(text);
  if (!nanoseconds.ok()) {
    return fields.Fail(nanoseconds.status().WithContext(name).WithField(name));
  }
  if (*nanoseconds == 0) return;
  // Rounded up: a limit shorter than a millisecond is still a limit.
  *out = std::chrono::ceil<milliseconds>(std::chrono::nanoseconds(*nanoseconds));
}

void ReadPolicies(FieldReader& fields, ContainerSpec* spec) {
  std::string restart;
  fields.Text("restart", &restart);
  if (!restart.empty()) {
    const auto policy = RestartPolicy::Parse(restart);
    if (!policy.ok()) return fields.Fail(policy.status());
    spec->restart = *policy;
  }
  ReadHealthcheck(fields, spec);
  std::optional<int64_t> log_mib;
  fields.OptionalInt("log_max_size", 0, kMaxLogMib, &log_mib);
  if (log_mib) spec->log_max_bytes = static_cast<uint64_t>(*log_mib * kMib);
  int64_t log_files = 0;
  fields.Int("log_max_files", 1, kMaxLogFiles, &log_files);
  if (log_files != 0) spec->log_max_files = static_cast<int>(log_files);
  fields.Bool("log_timestamps", &spec->log_timestamps);
}

void WritePolicies(json::Writer& writer, const ContainerSpec& spec) {
  const ContainerSpec defaults;
  if (spec.restart != defaults.restart) writer.Key("restart").String(spec.restart.ToString());
  if (spec.healthcheck) {
    const HealthCheck& check = *spec.healthcheck;
    writer.Key("healthcheck").BeginObject();
    if (!check.test.empty()) writer.Key("test").StringArray(check.test);
    if (check.interval) writer.Key("interval").String(Text(*check.interval));
    if (check.timeout) writer.Key("timeout").String(Text(*check.timeout));
    if (check.start_period) writer.Key("start_period").String(Text(*check.start_period));
    if (check.retries) writer.Key("retries").Int(*check.retries);
    writer.EndObject();
  }
  if (spec.log_max_bytes != defaults.log_max_bytes) {
    const auto bytes = static_cast<int64_t>(spec.log_max_bytes);
    writer.Key("log_max_size").Int((bytes + kMib - 1) / kMib);
  }
  if (spec.log_max_files != defaults.log_max_files) {
    writer.Key("log_max_files").Int(spec.log_max_files);
  }
  if (spec.log_timestamps) writer.Key("log_timestamps").Bool(true);
}

}  // namespace minibox::wire
