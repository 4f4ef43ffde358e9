// SPDX-License-Identifier: Apache-2.0
#include "init/cgroup_hierarchies.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "init/failing.h"
#include "init/held.h"

namespace minibox::init {
namespace {

// The last two components: what comes before differs if we are in a cgroup namespace.
const char* GroupName(const char* path) {
  const char* at = path + strlen(path);
  for (int slashes = 0; at > path && slashes < 2;) {
    if (*--at == '/') ++slashes;
  }
  return at;
}

bool EndsWith(const char* text, const char* end) {
  const size_t text_size = strlen(text), end_size = strlen(end);
  return text_size >= end_size && strcmp(text + text_size - end_size, end) == 0;
}

}  // namespace

void ParseHierarchies(char* text, const char* path, Hierarchies* hierarchies) {
  *hierarchies = Hierarchies{};
  const char* group = GroupName(path);
  if (group[0] == '\0') return;
  // "<number>:<controllers>:<path>", "0::<path>" for version 2
  char* rest = text;
  while (char* line = strsep(&rest, "\n")) {
    const char* number = strsep(&line, ":");
    const char* controllers = strsep(&line, ":");
    if (number == nullptr || controllers == nullptr || line == nullptr) continue;
    if (!EndsWith(line, group)) continue;
    const size_t size = strlen(controllers);
    if (size == 0) {
      hierarchies->v2 = strcmp(number, "0") == 0;
    } else if (hierarchies->v1_count < Hierarchies::kMax && size < sizeof(Hierarchies::V1::name)) {
      memcpy(hierarchies->v1[hierarchies->v1_count++].name, controllers, size + 1);
    }
  }
}

bool ReadHierarchies(const char* path, Hierarchies* hierarchies, Failure& failure) {
  const Held file(open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Fail(failure, "open", "/proc/self/cgroup");
  char text[8192];
  size_t size = 0;
  while (size < sizeof text - 1) {
    const ssize_t got = read(file.get(), text + size, sizeof text - 1 - size);
    if (got < 0) return Fail(failure, "read", "/proc/self/cgroup");
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text[size] = '\0';
  ParseHierarchies(text, path, hierarchies);
  return true;
}

}  // namespace minibox::init
