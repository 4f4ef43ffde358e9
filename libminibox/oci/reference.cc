// SPDX-License-Identifier: Apache-2.0
// ImageRef::Parse: the distribution grammar, the local names beside it, normalisation (spec §3).
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr std::string_view kDefaultRegistry = "docker.io";
constexpr std::string_view kOfficial = "library/";
constexpr std::string_view kDefaultTag = "latest";
constexpr size_t kMaxReference = 1024;  // host + path + tag + digest, each at its limit
constexpr size_t kMaxPath = 255;
constexpr size_t kMaxHost = 255;
constexpr size_t kMaxTag = 128;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsLower(c) || IsUpper(c) || IsDigit(c); }

Status Invalid(std::string_view text, std::string_view why) {
  return core::Error(StatusCode::kInvalidArgument, "invalid_reference",
                     core::StrCat("image reference '",
                                  core::EscapeControl(text.substr(0, kMaxReference)), "': ", why));
}

// [a-z0-9]+ separated by one '.', one or two '_', or any number of '-'.
bool IsPathComponent(std::string_view text) {
  const auto is_word = [](char c) { return IsLower(c) || IsDigit(c); };
  if (text.empty() || !is_word(text.front()) || !is_word(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    if (is_word(text[i])) {
      ++i;
      continue;
    }
    const char separator = text[i];
    size_t end = i;
    while (end < text.size() && text[end] == separator) ++end;
    if (end == text.size() || !is_word(text[end])) return false;
    const size_t run = end - i;
    const bool good =
        separator == '-' || (separator == '.' && run == 1) || (separator == '_' && run <= 2);
    if (!good) return false;
    i = end;
  }
  return true;
}

bool IsPath(std::string_view text) {
  const auto components = core::StrSplit(text, '/');
  return std::all_of(components.begin(), components.end(), IsPathComponent);
}

bool IsHostLabel(std::string_view text) {
  return !text.empty() && IsAlnum(text.front()) && IsAlnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsAlnum(c) || c == '-'; });
}

bool IsPort(std::string_view text) {
  const auto port = core::ParseUint64(text);
  return port.has_value() && *port >= 1 && *port <= 65535;
}

// A name or address, or a bracketed IPv6 address, with an optional port.
bool IsHost(std::string_view text) {
  if (text.size() > kMaxHost) return false;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    const std::string_view address = text.substr(1, close - 1);
    const bool good = std::all_of(address.begin(), address.end(), [](char c) {
      return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':';
    });
    const std::string_view rest = text.substr(close + 1);
    return good && (rest.empty() || (rest.front() == ':' && IsPort(rest.substr(1))));
  }
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    if (!IsPort(text.substr(colon + 1))) return false;
    text = text.substr(0, colon);
  }
  const auto labels = core::StrSplit(text, '.');
  return std::all_of(labels.begin(), labels.end(), IsHostLabel);
}

// Whether the first of several components names a registry.
bool LooksLikeHost(std::string_view component) {
  return component == "localhost" || component.find_first_of(".:") != std::string_view::npos ||
         std::any_of(component.begin(), component.end(), IsUpper);
}

bool IsTag(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTag && (IsAlnum(text.front()) || text[0] == '_') &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '.' || c == '-'; });
}

// What only the local grammar permits.
bool IsLocalName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxPath &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '-'; });
}

// The registry if `name` starts with one, and the path.
std::pair<std::optional<std::string_view>, std::string_view> SplitHost(std::string_view name) {
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos || !LooksLikeHost(name.substr(0, slash))) {
    return {std::nullopt, name};
  }
  return {name.substr(0, slash), name.substr(slash + 1)};
}

bool IsDefaultRegistry(std::string_view host) {
  return host == kDefaultRegistry || host == "index.docker.io" || host == "registry-1.docker.io";
}

// A path of the default registry as people write it; nothing is dropped whose absence would
// make the name mean another image ("docker.io/my.org/app").
std::string ShownPath(std::string_view path) {
  if (path.starts_with(kOfficial) && path.find('/', kOfficial.size()) == std::string_view::npos) {
    return std::string(path.substr(kOfficial.size()));
  }
  if (SplitHost(path).first.has_value()) return core::StrCat(kDefaultRegistry, "/", path);
  return std::string(path);
}

}  // namespace

StatusOr<ImageRef> ImageRef::Parse(std::string_view text) {
  if (text.empty()) return Invalid(text, "is empty");
  if (text.size() > kMaxReference) return Invalid(text, "is too long");
  ImageRef ref;
  std::string_view name = text;
  if (const size_t at = name.find('@'); at != std::string_view::npos) {
    auto digest = Digest::Parse(name.substr(at + 1));
    if (!digest.ok()) return Invalid(text, "expected sha256: and 64 lower-case hex digits after @");
    ref.digest_ = digest->ToString();
    name = name.substr(0, at);
  }
  // A colon after the last slash starts a tag; one before it belongs to a host's port.
  const size_t slash = name.rfind('/');
  const size_t colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    ref.tag_ = name.substr(colon + 1);
    if (!IsTag(ref.tag_)) {
      return Invalid(text, "a tag is 1 to 128 of A-Z a-z 0-9 _ . - and begins with none of . -");
    }
    name = name.substr(0, colon);
  }
  const std::string_view suffix = text.substr(name.size());
  if (ref.tag_.empty() && ref.digest_.empty()) ref.tag_ = kDefaultTag;

  const auto [host, path] = SplitHost(name);
  if (!host.has_value() && IsLocalName(path) && !IsPathComponent(path)) {
    if (!ref.digest_.empty()) return Invalid(text, "a local name takes no digest");
    ref.repository_ = path;
    ref.shown_ = text;
    return ref;
  }
  if (host.has_value() && !IsHost(*host)) return Invalid(text, "bad registry host or port");
  if (!IsPath(path)) {
    const bool upper = std::any_of(path.begin(), path.end(), IsUpper);
    return Invalid(text, upper ? "the repository must be lower case" : "bad repository name");
  }
  ref.repository_ = path;
  if (host.has_value() && !IsDefaultRegistry(*host)) {
    ref.registry_ = *host;
    ref.shown_ = text;
  } else {
    ref.registry_ = kDefaultRegistry;
    if (path.find('/') == std::string_view::npos) ref.repository_.insert(0, kOfficial);
    ref.shown_ = core::StrCat(ShownPath(ref.repository_), suffix);
  }
  if (ref.repository_.size() > kMaxPath) return Invalid(text, "the repository exceeds 255 bytes");
  return ref;
}

std::string ImageRef::ToString() const {
  std::string out;
  if (!registry_.empty()) out = core::StrCat(registry_, "/");
  out += repository_;
  if (!tag_.empty()) out += core::StrCat(":", tag_);
  if (!digest_.empty()) out += core::StrCat("@", digest_);
  return out;
}

}  // namespace v1
}  // namespace minibox
