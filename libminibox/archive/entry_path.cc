// SPDX-License-Identifier: Apache-2.0
#include "archive/entry_path.h"

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

Status Refused(std::string_view why) {
  return core::Error(StatusCode::kInvalidArgument, "invalid_archive", std::string(why));
}

// What the last component says, and the name that it is about.
StatusOr<Marker> TakeMarker(std::string& name) {
  if (name == kOpaqueMarker) return Marker::kOpaque;
  if (name.starts_with(kMarkerMetaPrefix)) return Marker::kIgnored;
  if (!name.starts_with(kMarkerPrefix)) return Marker::kNone;
  name.erase(0, kMarkerPrefix.size());
  if (name.empty() || name == "." || name == "..") return Refused("a whiteout of no name");
  return Marker::kWhiteout;
}

}  // namespace

StatusOr<EntryPath> ParseEntryPath(std::string_view raw, bool markers) {
  if (raw.empty()) return Refused("empty path");
  if (raw.find('\0') != std::string_view::npos) return Refused("the path holds a NUL");
  EntryPath path;
  bool ignored = false;
  size_t length = 0;
  for (const std::string_view component : core::StrSplit(raw, '/')) {
    if (component.empty() || component == ".") continue;
    if (component == "..") return Refused("the path has a '..' component");
    if (!path.name.empty()) {
      // What was the last component so far is a directory on the way.
      if (path.name.size() > kMaxEntryName) return Refused("a component exceeds 255 bytes");
      if (markers && path.name.starts_with(kMarkerPrefix)) {
        if (!path.name.starts_with(kMarkerMetaPrefix)) return Refused("a whiteout as directory");
        ignored = true;
      }
      path.parent = path.Full();
    }
    path.name = component;
    length += component.size() + (length > 0);
    if (length > kMaxEntryPath) return Refused("the path exceeds 4096 bytes");
  }
  if (markers) {
    MBX_ASSIGN_OR_RETURN(path.marker, TakeMarker(path.name));
  }
  if (ignored) path.marker = Marker::kIgnored;
  // Of a whiteout it is the hidden name that must fit: its marker is never made.
  if (path.name.size() > kMaxEntryName) return Refused("a component exceeds 255 bytes");
  return path;
}

}  // namespace minibox::archive
