// SPDX-License-Identifier: Apache-2.0
#include "build/packages.h"

#include <sys/stat.h>

#include <array>
#include <string_view>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

struct Manager {
  std::string_view program;
  std::string_view version_begin, version_end;  // around a version: "p" "=" "ver" "*"
  // Several commands; the packages are "$@".
  std::string_view script;
};

constexpr std::array kManagers = {
    Manager{"apk", "=~", "", "exec apk add --no-cache \"$@\""},
    Manager{"apt-get", "=", "*",
            "export DEBIAN_FRONTEND=noninteractive; apt-get update && "
            "apt-get install -y --no-install-recommends \"$@\" && rm -rf /var/lib/apt/lists/*"},
    Manager{"dnf", "-", "*",
            "dnf install -y --setopt=install_weak_deps=False \"$@\" && dnf clean all"},
    Manager{"microdnf", "-", "*",
            "microdnf install -y --setopt=install_weak_deps=0 \"$@\" && microdnf clean all"},
    Manager{"yum", "-", "*", "yum install -y \"$@\" && yum clean all"},
};

constexpr std::array<std::string_view, 6> kPath = {"usr/local/sbin", "usr/local/bin", "usr/sbin",
                                                   "usr/bin",        "sbin",          "bin"};

bool Has(const core::RootDir& root, std::string_view program) {
  for (const auto directory : kPath) {
    const auto st = root.Stat(core::StrCat(directory, "/", program));
    if (st.ok() && S_ISREG(st->st_mode) && (st->st_mode & 0111) != 0) return true;
  }
  return false;
}

}  // namespace

StatusOr<std::vector<std::string>> PlanInstallation(const core::RootDir& root,
                                                    const std::vector<Package>& packages) {
  for (const auto& manager : kManagers) {
    if (!Has(root, manager.program)) continue;
    std::vector<std::string> argv = {"/bin/sh", "-c", std::string(manager.script),
                                     std::string(manager.program)};
    for (const auto& package : packages) {
      argv.push_back(package.version.empty() ? package.name
                                             : core::StrCat(package.name, manager.version_begin,
                                                            package.version, manager.version_end));
    }
    return argv;
  }
  return core::FailedPrecondition(
      "", "the root has none of the package managers apk, apt-get, dnf, microdnf and yum");
}

}  // namespace minibox::build
