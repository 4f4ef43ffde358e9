// SPDX-License-Identifier: Apache-2.0
#include "build/resolve_links.h"

#include <sys/stat.h>

#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr int kMaxLinks = 40;

void PushFront(std::string_view path, std::deque<std::string>& todo) {
  const auto components = core::StrSplit(path, '/');
  for (auto component = components.rbegin(); component != components.rend(); ++component) {
    if (!component->empty() && *component != ".") todo.emplace_front(*component);
  }
}

}  // namespace

StatusOr<std::string> ResolveLinks(const core::RootDir& root, std::string_view path,
                                   const LinkRules& rules) {
  std::deque<std::string> todo;
  PushFront(path, todo);
  std::vector<std::string> done;
  int links = 0;
  while (!todo.empty()) {
    const std::string name = std::move(todo.front());
    todo.pop_front();
    if (name == "..") {
      if (!done.empty()) {
        done.pop_back();
      } else if (!rules.stays_at_top) {
        return core::InvalidArgument(
            "source", core::StrCat("'", core::EscapeControl(path), "' leads out of the context"));
      }
      continue;
    }
    done.push_back(name);
    const std::string here = core::StrJoin(done, "/");
    const auto st = root.LStat(here);
    if (!st.ok() && !rules.may_be_missing) return st.status();
    if (!st.ok() || !S_ISLNK(st->st_mode)) continue;
    if (++links > kMaxLinks) return core::SysError("openat2", core::EscapeControl(here), ELOOP);
    MBX_ASSIGN_OR_RETURN(const std::string target, root.ReadLink(here));
    done.pop_back();
    if (target.starts_with('/')) done.clear();
    PushFront(target, todo);
  }
  return core::StrJoin(done, "/");
}

}  // namespace minibox::build
