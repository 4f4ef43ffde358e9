// SPDX-License-Identifier: Apache-2.0
#include "build/json_form.h"

#include "core/json.h"
#include "core/strings.h"

namespace minibox::build {

bool LooksLikeJsonForm(std::string_view text) { return core::TrimSpace(text).starts_with("[\""); }

std::optional<std::vector<std::string>> ParseJsonForm(std::string_view text) {
  text = core::TrimSpace(text);
  if (!text.starts_with('[') || !text.ends_with(']')) return std::nullopt;
  auto value = json::Parse(text);
  if (!value.ok()) return std::nullopt;
  auto strings = value->AsStringArray();
  if (!strings.ok()) return std::nullopt;
  for (const auto& element : *strings) {
    if (element.find('\0') != std::string::npos) return std::nullopt;
  }
  return std::move(*strings);
}

bool IsJsonForm(std::string_view text) {
  return LooksLikeJsonForm(text) || ParseJsonForm(text).has_value();
}

}  // namespace minibox::build
