// SPDX-License-Identifier: Apache-2.0
#include "archive/layer_xattrs.h"

namespace minibox::archive {
namespace {

// What overlayfs believes: with it a layer could claim to hide, redirect or borrow files.
bool IsOverlays(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

}  // namespace

XattrRule RuleForUnpacking(std::string_view name) {
  if (IsOverlays(name)) return XattrRule::kRefuse;
  const bool kept = name == "security.capability" || name.starts_with("user.") ||
                    name.starts_with("system.posix_acl_") || name.starts_with("trusted.");
  return kept ? XattrRule::kKeep : XattrRule::kIgnore;
}

bool IsPacked(std::string_view name) {
  return name == "security.capability" || (name.starts_with("user.") && !IsOverlays(name));
}

}  // namespace minibox::archive
