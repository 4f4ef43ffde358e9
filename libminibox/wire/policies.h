// SPDX-License-Identifier: Apache-2.0
// Fields of the run request about what a container does by itself and what is kept of it:
// restart, healthcheck, logs (spec §4.3).
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "core/json.h"
#include "minibox/runtime.h"
#include "wire/fields.h"

namespace minibox::wire {

// Seconds as a number, or text such as "1m30s"; rounded up to milliseconds. Zero is the default.
void ReadDuration(FieldReader& fields, std::string_view name,
                  std::optional<std::chrono::milliseconds>* out);
// `restart`, `healthcheck`, `log_max_size`, `log_max_files`, `log_timestamps`.
void ReadPolicies(FieldReader& fields, ContainerSpec* spec);
// Those that differ from their default, within an open object.
void WritePolicies(json::Writer& writer, const ContainerSpec& spec);

}  // namespace minibox::wire
