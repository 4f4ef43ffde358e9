// SPDX-License-Identifier: Apache-2.0
// Names of archive entries: what is allowed, and what whiteout markers among them mean
// (spec §11.2, §11.3). Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "minibox/status.h"

namespace minibox::archive {

inline constexpr std::string_view kMarkerPrefix = ".wh.";
inline constexpr std::string_view kMarkerMetaPrefix = ".wh..wh.";
inline constexpr std::string_view kOpaqueMarker = ".wh..wh..opq";

inline constexpr size_t kMaxEntryPath = 4096;
inline constexpr size_t kMaxEntryName = 255;

enum class Marker {
  kNone,
  kWhiteout,  // hides `name` of lower layers
  kOpaque,    // hides all of the directory `parent` of lower layers
  kIgnored,   // aufs' own bookkeeping
};

// Where an entry goes: no leading, trailing or doubled '/', no ".", no "..".
struct EntryPath {
  Marker marker = Marker::kNone;
  std::string parent{};  // "": the root
  std::string name{};    // "": the entry is the root; of a whiteout the hidden name
  std::string Full() const { return parent.empty() ? name : parent + "/" + name; }
};

// `markers` false: ".wh." names are plain. kInvalidArgument "invalid_archive" says which rule is
// broken, without naming the entry.
StatusOr<EntryPath> ParseEntryPath(std::string_view raw, bool markers);

}  // namespace minibox::archive
