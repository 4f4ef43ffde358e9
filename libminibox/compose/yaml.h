// SPDX-License-Identifier: Apache-2.0
// YAML 1.2 as a tree that knows where each part stands (spec §14.1). yaml-cpp is behind it and
// nowhere else. Anchors are resolved, `<<` is merged, a duplicate key is an error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minibox/status.h"

namespace minibox::compose {

// 1-based; 0: nowhere.
struct Position {
  int line = 0, column = 0;
};

struct Member;

struct Node {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  bool plain = true;  // kScalar without quotes, which may mean a number or a boolean
  Position at{};
  std::string text{};             // kScalar
  std::vector<Node> items{};      // kList
  std::vector<Member> members{};  // kMap, in the order of the file

  // Of a map; null if it has none of that name.
  const Node* Find(std::string_view key) const;
  Node* Find(std::string_view key);
  // "text", "a list", "a map", "nothing", as error messages say it.
  std::string_view KindName() const;
};

struct Member {
  std::string key{};
  Position at{};
  Node value{};
};

Node MakeText(std::string text, Position at = {});

inline constexpr size_t kMaxYamlBytes = 4u << 20;

// "<file>:<line>:<column>: <message>", kInvalidArgument "invalid_compose_file".
Status ErrorAt(std::string_view file, Position at, std::string_view message);

// One document; an empty one is a map without members. `file` is for messages.
StatusOr<Node> ParseYaml(std::string_view text, std::string_view file);

// YAML that ParseYaml reads back as the same tree, block style. Every scalar that was not plain is
// quoted if it would be read as something else.
std::string EmitYaml(const Node& node);

}  // namespace minibox::compose
