// SPDX-License-Identifier: Apache-2.0
#include "compose/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::compose {
namespace {

using core::StrCat;

// What aliases of aliases may grow to.
constexpr size_t kMaxNodes = 200'000;
constexpr size_t kMaxDepth = 64;
constexpr std::string_view kMergeKey = "<<";

size_t CountNodes(const Node& node) {
  size_t count = 1;
  for (const Node& item : node.items) count += CountNodes(item);
  for (const Member& member : node.members) count += CountNodes(member.value);
  return count;
}

// Builds the tree from the parser's events. The first error stays.
class TreeBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.at = At(mark);
    Add(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    // An anchor inside itself is not finished yet.
    if (found == anchors_.end()) return Fail(At(mark), "an alias of what contains it");
    nodes_ += CountNodes(found->second);
    if (nodes_ > kMaxNodes) return Fail(At(mark), "aliases make the file too large");
    Add(found->second, 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node;
    node.kind = Node::Kind::kScalar;
    node.at = At(mark);
    node.text = value;
    node.plain = tag == "?";
    if (node.plain && value.empty()) node.kind = Node::Kind::kNull;
    Add(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Node::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Node::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { Close(); }

  Node& root() { return root_; }
  const std::optional<std::pair<Position, std::string>>& error() const { return error_; }
  void Fail(Position at, std::string message) {
    if (!error_) error_.emplace(at, std::move(message));
  }

 private:
  struct Level {
    Node node{};
    YAML::anchor_t anchor = 0;
    std::optional<Node> key{};   // of a map, whose value comes next
    std::vector<Node> merged{};  // values of `<<`
  };

  static Position At(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

  void Open(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (levels_.size() == kMaxDepth) Fail(At(mark), "is nested too deeply");
    Level level;
    level.node.kind = kind;
    level.node.at = At(mark);
    level.anchor = anchor;
    levels_.push_back(std::move(level));
  }

  void Close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    for (const Node& source : level.merged) Merge(source, &level.node);
    Add(std::move(level.node), level.anchor);
  }

  // What the map has itself is stronger, then the first of several sources.
  void Merge(const Node& source, Node* into) {
    if (source.kind == Node::Kind::kList) {
      for (const Node& item : source.items) Merge(item, into);
      return;
    }
    if (source.kind != Node::Kind::kMap) return Fail(source.at, "'<<' takes a map or maps");
    for (const Member& member : source.members) {
      if (into->Find(member.key) == nullptr) into->members.push_back(member);
    }
  }

  void Add(Node node, YAML::anchor_t anchor) {
    if (error_) return;
    if (++nodes_ > kMaxNodes) return Fail(node.at, "the file is too large");
    if (anchor != 0) anchors_[anchor] = node;
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == Node::Kind::kList) {
      level.node.items.push_back(std::move(node));
    } else if (!level.key) {
      if (node.kind != Node::Kind::kScalar) return Fail(node.at, "a key must be text");
      level.key = std::move(node);
    } else {
      const Node key = *std::exchange(level.key, std::nullopt);
      if (key.plain && key.text == kMergeKey) {
        level.merged.push_back(std::move(node));
        return;
      }
      if (level.node.Find(key.text) != nullptr) {
        return Fail(key.at, StrCat("duplicate key '", core::EscapeControl(key.text), "'"));
      }
      level.node.members.push_back({key.text, key.at, std::move(node)});
    }
  }

  Node root_{};
  std::vector<Level> levels_;
  std::map<YAML::anchor_t, Node> anchors_;
  size_t nodes_ = 0;
  std::optional<std::pair<Position, std::string>> error_;
};

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// Whether `text` without quotes is read as this very text, whatever reads it.
bool IsSafePlain(std::string_view text) {
  if (text.empty()) return false;
  const std::string lower = core::AsciiLower(text);
  if (IsOneOf(lower, {"null", "~", "true", "false", "yes", "no", "on", "off", "y", "n"})) {
    return false;
  }
  constexpr std::string_view kInside = "_./-@%+=,";
  const bool words = std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kInside.find(c) != kInside.npos;
  });
  const char first = text.front();
  return words && ((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') ||
                   first == '/' || first == '_');
}

std::string Quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          constexpr char kDigits[] = "0123456789abcdef";
          const auto byte = static_cast<unsigned char>(c);
          out += "\\x";
          out += kDigits[byte >> 4];
          out += kDigits[byte & 15];
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string Scalar(std::string_view text, bool plain) {
  return plain || IsSafePlain(text) ? std::string(text) : Quote(text);
}

void Emit(const Node& node, size_t indent, bool in_list, std::string* out) {
  const std::string blanks(indent, ' ');
  switch (node.kind) {
    case Node::Kind::kNull:
      *out += in_list ? "null\n" : " null\n";
      return;
    case Node::Kind::kScalar:
      *out += StrCat(in_list ? "" : " ", Scalar(node.text, node.plain), "\n");
      return;
    case Node::Kind::kList:
      if (node.items.empty()) {
        *out += in_list ? "[]\n" : " []\n";
        return;
      }
      *out += "\n";
      for (const Node& item : node.items) {
        *out += StrCat(blanks, "- ");
        Emit(item, indent + 2, true, out);
      }
      return;
    case Node::Kind::kMap:
      if (node.members.empty()) {
        *out += in_list ? "{}\n" : " {}\n";
        return;
      }
      if (!in_list) *out += "\n";
      for (size_t i = 0; i < node.members.size(); ++i) {
        if (i > 0 || !in_list) *out += blanks;
        *out += StrCat(Scalar(node.members[i].key, false), ":");
        Emit(node.members[i].value, indent + 2, false, out);
      }
      return;
  }
}

}  // namespace

const Node* Node::Find(std::string_view key) const {
  for (const Member& member : members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

Node* Node::Find(std::string_view key) {
  return const_cast<Node*>(static_cast<const Node*>(this)->Find(key));
}

std::string_view Node::KindName() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return "text";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return "";
}

Node MakeText(std::string text, Position at) {
  Node node;
  node.kind = Node::Kind::kScalar;
  node.plain = false;
  node.at = at;
  node.text = std::move(text);
  return node;
}

Status ErrorAt(std::string_view file, Position at, std::string_view message) {
  return core::Error(StatusCode::kInvalidArgument, "invalid_compose_file",
                     at.line == 0 ? StrCat(file, ": ", message)
                                  : StrCat(file, ":", at.line, ":", at.column, ": ", message));
}

StatusOr<Node> ParseYaml(std::string_view text, std::string_view file) {
  if (text.size() > kMaxYamlBytes) return ErrorAt(file, {}, "the file is too large");
  if (!core::IsValidUtf8(text)) return ErrorAt(file, {}, "the file is not UTF-8");
  TreeBuilder builder, rest;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    if (!builder.error() && parser.HandleNextDocument(rest) &&
        rest.root().kind != Node::Kind::kNull) {
      builder.Fail(rest.root().at, "a second document in the file");
    }
  } catch (const YAML::Exception& error) {
    builder.Fail({error.mark.line + 1, error.mark.column + 1}, error.msg);
  }
  if (builder.error()) {
    return ErrorAt(file, builder.error()->first, builder.error()->second);
  }
  Node root = std::move(builder.root());
  if (root.kind == Node::Kind::kNull) root.kind = Node::Kind::kMap;
  if (root.kind != Node::Kind::kMap) {
    return ErrorAt(file, root.at, StrCat("the file must be a map, not ", root.KindName()));
  }
  return root;
}

std::string EmitYaml(const Node& node) {
  std::string out;
  Emit(node, 0, true, &out);
  return out;
}

}  // namespace minibox::compose
