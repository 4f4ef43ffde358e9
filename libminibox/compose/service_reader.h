// SPDX-License-Identifier: Apache-2.0
// One service of a compose file -> Service (the table of spec §14.1).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "compose/fields.h"
#include "compose/project.h"

namespace minibox::compose {

// What the whole file says that a service refers to.
struct ServiceContext {
  const Fields& fields;
  std::filesystem::path directory{};  // of the file
  std::filesystem::path home{};
  Lookup environment{};    // of the client
  const Project& project;  // its networks and volumes
  // Files of the top-level `secrets` and `configs`, by key.
  std::map<std::string, std::filesystem::path> secrets{}, configs{};
};

StatusOr<Service> ReadService(const ServiceContext& context, const Member& member);

// "~" and "." resolved; kInvalidArgument at `at`.
StatusOr<std::filesystem::path> ResolveFile(const ServiceContext& context, Position at,
                                            std::string_view text);
// Up to `limit` bytes of a file the project refers to.
StatusOr<std::string> ReadProjectFile(const std::filesystem::path& path, size_t limit);

}  // namespace minibox::compose
