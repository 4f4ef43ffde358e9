// SPDX-License-Identifier: Apache-2.0
// Values of a compose file as types, with errors that say where they stand.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compose/interpolate.h"
#include "compose/yaml.h"
#include "minibox/status.h"

namespace minibox::compose {

// One file being read. Errors are kInvalidArgument "invalid_compose_file".
class Fields {
 public:
  Fields(std::string file, std::vector<std::string>* warnings)
      : file_(std::move(file)), warnings_(warnings) {}

  Status Error(Position at, std::string_view message) const { return ErrorAt(file_, at, message); }
  // "<key> must be <what>, not <kind>"
  Status Expected(std::string_view key, const Node& node, std::string_view what) const;
  void Warn(Position at, std::string_view message) const;
  // One warning per key of `map` that is neither in `known` nor begins with "x-".
  void WarnUnknown(const Node& map, std::string_view where,
                   const std::vector<std::string_view>& known) const;

  StatusOr<std::string> Text(std::string_view key, const Node& node) const;
  StatusOr<bool> Bool(std::string_view key, const Node& node) const;
  StatusOr<int64_t> Int(std::string_view key, const Node& node, int64_t min, int64_t max) const;
  // Of a number, such as cores: "0.5".
  StatusOr<double> Number(std::string_view key, const Node& node) const;
  // "512m", "1.5gb"; a plain number counts `unit` bytes each.
  StatusOr<int64_t> Bytes(std::string_view key, const Node& node, int64_t unit = 1) const;
  // "1m30s", or seconds.
  StatusOr<std::chrono::milliseconds> Duration(std::string_view key, const Node& node) const;
  StatusOr<std::vector<std::string>> TextList(std::string_view key, const Node& node) const;
  // A list, or one text.
  StatusOr<std::vector<std::string>> TextOrList(std::string_view key, const Node& node) const;
  // A list, or text that is split as a shell would.
  StatusOr<std::vector<std::string>> Words(std::string_view key, const Node& node) const;
  // A map, or a list of "K=V"; no value: K alone, or a map's null.
  using Pairs = std::vector<std::pair<std::string, std::optional<std::string>>>;
  StatusOr<Pairs> KeyValues(std::string_view key, const Node& node, char separator = '=') const;
  // The members of a map, or null if the node has none; an error if it is something else.
  StatusOr<const std::vector<Member>*> Map(std::string_view key, const Node& node) const;

 private:
  const std::string file_;
  std::vector<std::string>* const warnings_;
};

}  // namespace minibox::compose
