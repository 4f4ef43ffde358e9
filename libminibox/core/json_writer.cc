// SPDX-License-Identifier: Apache-2.0
// The writing half of core/json.h.
#include <charconv>
#include <cmath>

#include "core/check.h"
#include "core/json.h"
#include "core/strings.h"

namespace minibox::json {
namespace {

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
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
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += core::HexEncode({&c, 1});
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

}  // namespace

struct Writer::Impl {
  struct Level {
    bool object = false;
    bool empty = true;
  };

  explicit Impl(int indent_width) : indent(indent_width) {}

  void NewLine() {
    if (indent == 0) return;
    out += '\n';
    out.append(levels.size() * static_cast<size_t>(indent), ' ');
  }

  void Separate() {
    if (!levels.back().empty) out += ',';
    levels.back().empty = false;
    NewLine();
  }

  void BeforeValue() {
    if (levels.empty()) {
      MBX_CHECK(out.empty());
    } else if (levels.back().object) {
      MBX_CHECK(after_key);
      after_key = false;
    } else {
      Separate();
    }
  }

  void Begin(bool object) {
    BeforeValue();
    out += object ? '{' : '[';
    levels.push_back({.object = object});
  }

  void End(bool object) {
    MBX_CHECK(!levels.empty() && levels.back().object == object && !after_key);
    const bool empty = levels.back().empty;
    levels.pop_back();
    if (!empty) NewLine();
    out += object ? '}' : ']';
  }

  void Scalar(std::string_view text) {
    BeforeValue();
    out += text;
  }

  void Quoted(std::string_view text) {
    // What people put into names and labels need not be UTF-8, but JSON is.
    if (core::IsValidUtf8(text)) {
      AppendQuoted(out, text);
    } else {
      AppendQuoted(out, core::ReplaceInvalidUtf8(text));
    }
  }

  const int indent;
  std::string out;
  std::vector<Level> levels;
  bool after_key = false;
};

Writer::Writer(int indent) : impl_(std::make_unique<Impl>(indent)) {}
Writer::Writer(Writer&&) noexcept = default;
Writer::~Writer() = default;

Writer& Writer::BeginObject() {
  impl_->Begin(true);
  return *this;
}

Writer& Writer::EndObject() {
  impl_->End(true);
  return *this;
}

Writer& Writer::BeginArray() {
  impl_->Begin(false);
  return *this;
}

Writer& Writer::EndArray() {
  impl_->End(false);
  return *this;
}

Writer& Writer::Key(std::string_view key) {
  MBX_CHECK(!impl_->levels.empty() && impl_->levels.back().object && !impl_->after_key);
  impl_->Separate();
  impl_->Quoted(key);
  impl_->out += impl_->indent == 0 ? ":" : ": ";
  impl_->after_key = true;
  return *this;
}

Writer& Writer::String(std::string_view value) {
  impl_->BeforeValue();
  impl_->Quoted(value);
  return *this;
}

Writer& Writer::Int(int64_t value) {
  impl_->Scalar(core::StrCat(value));
  return *this;
}

Writer& Writer::Uint(uint64_t value) {
  impl_->Scalar(core::StrCat(value));
  return *this;
}

Writer& Writer::Double(double value) {
  // JSON has no infinity and no NaN.
  if (!std::isfinite(value)) return Null();
  // Nor, to most readers, a negative zero.
  if (value == 0) return Int(0);
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  impl_->Scalar({buffer, static_cast<size_t>(end - buffer)});
  return *this;
}

Writer& Writer::Bool(bool value) {
  impl_->Scalar(value ? "true" : "false");
  return *this;
}

Writer& Writer::Null() {
  impl_->Scalar("null");
  return *this;
}

Writer& Writer::Raw(std::string_view json) {
  impl_->Scalar(json);
  return *this;
}

Writer& Writer::StringArray(const std::vector<std::string>& values) {
  BeginArray();
  for (const std::string& value : values) String(value);
  return EndArray();
}

Writer& Writer::StringMap(const std::map<std::string, std::string>& values) {
  BeginObject();
  for (const auto& [key, value] : values) Key(key).String(value);
  return EndObject();
}

std::string Writer::Take() {
  MBX_CHECK(impl_->levels.empty());
  return std::exchange(impl_->out, std::string());
}

}  // namespace minibox::json
