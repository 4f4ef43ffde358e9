// SPDX-License-Identifier: Apache-2.0
// Small pieces for work on trees by descriptor.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"

namespace minibox::build {

struct DirectoryEntry {
  std::string name{};
  struct ::stat st {};
};

// All entries but "." and "..", sorted by bytes.
StatusOr<std::vector<DirectoryEntry>> ReadDirectory(int directory);

// A character device 0/0: hides the name below (spec §11.3).
bool IsWhiteout(const struct ::stat& st);

// A path by which the entry itself can be named in calls that know no descriptors, such as
// those for attributes of links. `name` "" is the directory.
std::string ProcPath(int directory, std::string_view name);

// Extended attributes of the entry itself. Empty where the file system has none.
StatusOr<std::map<std::string, std::string>> ReadXattrs(int directory, std::string_view name);
// Of those only what goes into a layer: security.capability and user.*.
StatusOr<std::map<std::string, std::string>> ReadPackedXattrs(int directory, std::string_view name);
Status SetXattr(int directory, std::string_view name, const std::string& attribute,
                const std::string& value);

}  // namespace minibox::build
