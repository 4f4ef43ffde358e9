// SPDX-License-Identifier: Apache-2.0
// What `db run` and `db shell` make of the name of an image (spec §16).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace minibox::cli {

// "registry:5000/team/redis:7.2@sha256:…" -> "redis-7-2", short enough for "<name>-data" to be the
// name of a volume.
std::string DatabaseName(std::string_view image);

// A program that talks to the database, to be searched in PATH and in directories.
struct DatabaseClient {
  std::string program{};
  std::vector<std::string> arguments{};
  std::vector<std::string> env{};  // on top of the container's
};

// The clients of such an image, best first; /bin/sh if it is no known database. `env`: the
// container's, "KEY=value". Passwords are in no argument.
std::vector<DatabaseClient> DatabaseClients(std::string_view image,
                                            const std::vector<std::string>& env);
// What to try to start `client`: its name, for PATH, and the paths it usually has.
std::vector<std::string> ProgramPaths(const DatabaseClient& client);

}  // namespace minibox::cli
