// SPDX-License-Identifier: Apache-2.0
// What a directory tree looks like, as text that two trees can be compared by.
#pragma once

#include <map>
#include <string>

namespace minibox::testing {

struct ListingOptions {
  bool times = true;
  bool xattrs = true;
  bool root = true;  // the top directory itself, as "."
};

// Path -> "type mode uid:gid size mtime [target] [device] [hard link to] [attributes] [content
// hash]". Never follows a link.
std::map<std::string, std::string> ListTree(const std::string& top,
                                            const ListingOptions& options = {});

}  // namespace minibox::testing
