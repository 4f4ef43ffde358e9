// SPDX-License-Identifier: Apache-2.0
#include "build/run_mounts.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "build/paths.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr size_t kMaxTarget = 4095;
constexpr uint64_t kMaxId = 4294967294;
constexpr size_t kMaxName = 128;

struct TypeRow {
  std::string_view name;
  MountType type;
  std::vector<std::string_view> keys;
};

const std::vector<TypeRow>& Types() {
  static const std::vector<TypeRow> rows = {
      {"cache", MountType::kCache, {"target", "id", "sharing", "mode", "uid", "gid"}},
      {"secret", MountType::kSecret, {"id", "target", "env", "required", "mode", "uid", "gid"}},
      {"tmpfs", MountType::kTmpfs, {"target", "size"}},
      {"bind", MountType::kBind, {"target", "from", "source", "rw"}},
  };
  return rows;
}

const TypeRow& RowOf(MountType type) { return Types()[static_cast<size_t>(type)]; }

// One "key=value", the value's parts as they were read.
struct Piece {
  Word key;
  std::optional<Word> value{};
};

// Cuts at commas and the first '='. In quotes too, if those are around keys: "type=tmpfs,size=1m"
// is what it is without them, id="a,b" is not.
std::vector<Piece> SplitOption(const Word& word) {
  std::vector<Piece> pieces(1);
  pieces.back().key.offset = word.offset;
  size_t offset = word.offset;
  bool begun_in_quotes = false;  // the '=' of the piece
  const auto add = [&pieces](Word::Part part) {
    Piece& piece = pieces.back();
    (piece.value ? *piece.value : piece.key).parts.push_back(std::move(part));
  };
  for (const auto& part : word.parts) {
    if (part.variable || (part.quoted && pieces.back().value && !begun_in_quotes)) {
      add(part);
      // Only a hint where errors are: quotes and braces are not counted.
      offset += part.text.size() + (part.variable ? 1 : 2);
      continue;
    }
    std::string text;
    if (part.quoted) ++offset;
    const auto flush = [&] {
      if (!text.empty()) add({.quoted = part.quoted, .text = std::exchange(text, {})});
    };
    for (const char c : part.text) {
      ++offset;
      if (c == ',') {
        flush();
        pieces.emplace_back();
        pieces.back().key.offset = offset;
      } else if (c == '=' && !pieces.back().value) {
        flush();
        pieces.back().value.emplace();
        begun_in_quotes = part.quoted;
        pieces.back().value->offset = offset;
      } else {
        text += c;
      }
    }
    flush();
    if (part.quoted) ++offset;
  }
  return pieces;
}

std::string Listed(const std::vector<std::string_view>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return text;
}

bool HasVariable(const Word& word) {
  return std::any_of(word.parts.begin(), word.parts.end(),
                     [](const Word::Part& part) { return part.variable; });
}

bool IsName(std::string_view text, bool may_begin_with_digit, std::string_view more) {
  if (text.empty() || text.size() > kMaxName) return false;
  if (!may_begin_with_digit && text[0] >= '0' && text[0] <= '9') return false;
  return std::all_of(text.begin(), text.end(), [more](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           more.find(c) != more.npos;
  });
}

// "64m", bytes without a suffix.
std::optional<uint64_t> ParseSize(std::string_view text) {
  uint64_t unit = 1;
  if (!text.empty()) {
    const char suffix = static_cast<char>(text.back() | 0x20);
    const size_t power = std::string_view("kmgt").find(suffix);
    if (power != std::string_view::npos) {
      unit = uint64_t{1} << (10 * (power + 1));
      text.remove_suffix(1);
    }
  }
  const auto number = core::ParseUint64(text);
  if (!number || *number == 0 || *number > (uint64_t{1} << 50) / unit) return std::nullopt;
  return *number * unit;
}

std::optional<bool> ParseBool(std::string_view text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return std::nullopt;
}

// Sets one key of a mount; the error, "" if there is none.
std::string SetKey(std::string_view key, const std::string& value, const std::string& workdir,
                   StepMount& mount) {
  const auto malformed = [&](std::string_view what) {
    return core::StrCat("malformed ", what, " ", Quoted(value));
  };
  if (key == "target") {
    if (value.empty() || value.size() > kMaxTarget) return malformed("path");
    mount.target = ResolvePath(workdir, value);
    if (mount.target == "/") return "the target of a mount may not be '/'";
  } else if (key == "source") {
    auto source = CleanPathInside(value);
    if (!source) return core::StrCat("path ", Quoted(value), " leads out of its root");
    if (value.size() > kMaxTarget) return malformed("path");
    mount.source = std::move(*source);
  } else if (key == "id") {
    const bool good = mount.type == MountType::kCache ? !value.empty() && value.size() <= kMaxTarget
                                                      : IsName(value, true, "_.-");
    if (!good) return malformed("id");
    mount.id = value;
  } else if (key == "sharing") {
    if (value != "shared" && value != "private" && value != "locked") {
      return core::StrCat("sharing ", Quoted(value), " is none of 'shared', 'private', 'locked'",
                          Suggestion(value, {"shared", "private", "locked"}));
    }
    mount.sharing = value;
  } else if (key == "mode") {
    const auto mode = ParseMode(value);
    if (!mode) return malformed("octal mode");
    mount.mode = *mode;
  } else if (key == "uid" || key == "gid") {
    const auto id = core::ParseUint64(value);
    if (!id || *id > kMaxId) return malformed("number");
    (key == "uid" ? mount.uid : mount.gid) = static_cast<uid_t>(*id);
  } else if (key == "env") {
    if (!IsName(value, false, "_")) return malformed("variable name");
    mount.env = value;
  } else if (key == "required" || key == "rw") {
    const auto flag = ParseBool(value);
    if (!flag) return core::StrCat(malformed("value"), ": expected 'true' or 'false'");
    (key == "rw" ? mount.writable : mount.required) = *flag;
  } else if (key == "size") {
    const auto bytes = ParseSize(value);
    if (!bytes) return malformed("size");
    mount.bytes = *bytes;
  }
  return {};
}

std::string Canonical(const StepMount& mount, bool from_block) {
  std::string text = core::StrCat("--mount=", RowOf(mount.type).name);
  const auto add = [&text](std::string_view key, std::string_view value) {
    text += core::StrCat(",", key, "=", value.size(), ":", value);
  };
  add("target", mount.target);
  switch (mount.type) {
    case MountType::kCache:
      // Who else uses it changes nothing of what it is.
      add("id", mount.id);
      break;
    case MountType::kSecret:
      add("id", mount.id);
      add("env", mount.env);
      break;
    case MountType::kTmpfs:
      add("size", core::StrCat(mount.bytes));
      return text;
    case MountType::kBind:
      // A block counts by content, not by name.
      add("from", from_block ? "block" : "context");
      add("source", mount.source);
      add("rw", mount.writable ? "1" : "0");
      return text;
  }
  add("mode", core::StrCat(mount.mode));
  add("uid", core::StrCat(mount.uid));
  add("gid", core::StrCat(mount.gid));
  return text;
}

}  // namespace

std::optional<MountOption> ParseMountOption(const Word& value, size_t offset,
                                            Diagnostics& diagnostics) {
  const auto fail = [&](size_t at, std::string message) {
    diagnostics.Error(at, std::move(message));
    return std::nullopt;
  };
  MountOption option{.offset = offset};
  auto pieces = SplitOption(value);
  const TypeRow* row = nullptr;
  for (const auto& piece : pieces) {
    if (piece.key.Text() != "type") continue;
    if (row != nullptr) return fail(piece.key.offset, "mount key 'type' is given twice");
    const std::string name = piece.value ? piece.value->Text() : std::string();
    std::vector<std::string_view> names;
    for (const auto& known : Types()) {
      names.push_back(known.name);
      if (known.name == name) row = &known;
    }
    if (row == nullptr) {
      return fail(piece.value ? piece.value->offset : piece.key.offset,
                  core::StrCat("unknown mount type ", Quoted(name), Suggestion(name, names)));
    }
  }
  if (row == nullptr) return fail(offset, "--mount needs type=cache, secret, tmpfs or bind");
  option.type = row->type;
  std::vector<std::string> seen;
  for (auto& piece : pieces) {
    std::string key = piece.key.Text();
    if (key == "type") continue;
    if (std::find(row->keys.begin(), row->keys.end(), key) == row->keys.end()) {
      return fail(piece.key.offset,
                  core::StrCat("unknown mount key ", Quoted(key), " of type '", row->name, "'",
                               Suggestion(key, row->keys), ": it has ", Listed(row->keys)));
    }
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
      return fail(piece.key.offset, core::StrCat("mount key '", key, "' is given twice"));
    }
    seen.push_back(key);
    if (!piece.value && key != "rw") {
      return fail(piece.key.offset, core::StrCat("mount key '", key, "' needs a value"));
    }
    if (key == "from") {
      if (HasVariable(*piece.value)) {
        return fail(piece.value->offset, "the name of a block may not hold variables");
      }
      option.from = piece.value->Text();
      option.from_offset = piece.value->offset;
      continue;
    }
    option.keys.push_back({std::move(key), piece.key.offset, std::move(piece.value)});
  }
  const auto has = [&seen](std::string_view key) {
    return std::find(seen.begin(), seen.end(), key) != seen.end();
  };
  const std::string_view needed = row->type == MountType::kSecret ? "id" : "target";
  if (!has(needed)) {
    return fail(offset,
                core::StrCat("a mount of type '", row->name, "' needs the key '", needed, "'"));
  }
  return option;
}

std::optional<StepMount> PlanMount(
    const MountOption& option, const std::string& workdir,
    const std::function<std::optional<std::string>(const Word&)>& expand,
    Diagnostics& diagnostics) {
  StepMount mount{.type = option.type};
  if (mount.type == MountType::kSecret) mount.mode = 0400;
  for (const auto& key : option.keys) {
    std::optional<std::string> value = std::string("true");
    if (key.value) value = expand(*key.value);
    if (!value) return std::nullopt;
    const std::string error = SetKey(key.name, *value, workdir, mount);
    if (error.empty()) continue;
    diagnostics.Error(key.value ? key.value->offset : key.offset, error);
    return std::nullopt;
  }
  if (mount.type == MountType::kCache && mount.id.empty()) mount.id = mount.target;
  if (mount.type == MountType::kSecret && mount.target.empty() && mount.env.empty()) {
    mount.target = "/run/secrets/" + mount.id;
  }
  mount.canonical = Canonical(mount, option.from.has_value());
  return mount;
}

}  // namespace minibox::build
