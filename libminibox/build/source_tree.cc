// SPDX-License-Identifier: Apache-2.0
#include "build/source_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "build/directory.h"
#include "build/glob.h"
#include "build/paths.h"
#include "build/resolve_links.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

// Directories that one "**" goes down.
constexpr size_t kMaxGlobDepth = 256;

}  // namespace

SourceTree SourceTree::Context(core::RootDir root, IgnoreRules rules) {
  return SourceTree(std::move(root), std::move(rules), true);
}

SourceTree SourceTree::BlockRoot(core::RootDir root) {
  return SourceTree(std::move(root), {}, false);
}

StatusOr<std::string> SourceTree::Resolve(std::string_view path) const {
  return ResolveLinks(root_, path, {.stays_at_top = !is_context_});
}

Status SourceTree::AddMatch(const std::string& shown, std::vector<SourceMatch>& matches) const {
  MBX_ASSIGN_OR_RETURN(std::string path, Resolve(shown));
  MBX_ASSIGN_OR_RETURN(const struct ::stat st, root_.LStat(path));
  SourceMatch match{shown, std::move(path), S_ISDIR(st.st_mode)};
  // Neither by its own name nor through a link is something ignored read.
  if (rules_.IgnoresWithParents(shown, match.directory) ||
      rules_.IgnoresWithParents(match.path, match.directory)) {
    return core::NotFound("", "ignored");
  }
  matches.push_back(std::move(match));
  return {};
}

Status SourceTree::Expand(const std::string& directory, const std::string& shown,
                          const std::vector<std::string>& pattern, size_t next,
                          std::vector<SourceMatch>& matches) const {
  const std::string& element = pattern[next];
  const bool last = next + 1 == pattern.size();
  const bool any_depth = element == "**" && !last;
  if (any_depth) MBX_RETURN_IF_ERROR(Expand(directory, shown, pattern, next + 1, matches));
  if (std::count(directory.begin(), directory.end(), '/') >
      static_cast<std::ptrdiff_t>(kMaxGlobDepth)) {
    return core::InvalidArgument("source", "directories are nested too deep for '**'");
  }

  auto opened = root_.OpenNoFollow(directory, O_RDONLY | O_DIRECTORY);
  if (!opened.ok()) return opened.status();
  MBX_ASSIGN_OR_RETURN(const auto entries, ReadDirectory(opened->get()));
  for (const auto& entry : entries) {
    const std::string entry_shown = JoinPath(shown, entry.name);
    const std::string entry_path = JoinPath(directory, entry.name);
    if (any_depth) {
      if (S_ISDIR(entry.st.st_mode) && !Ignores(entry_path, true)) {
        MBX_RETURN_IF_ERROR(Expand(entry_path, entry_shown, pattern, next, matches));
      }
      continue;
    }
    if (!MatchComponent(element, entry.name)) continue;
    if (last) {
      const Status added = AddMatch(entry_shown, matches);
      // A dangling link, or something that is ignored, is no match.
      if (!added.ok() && added.code() != StatusCode::kNotFound) return added;
      continue;
    }
    const auto resolved = Resolve(entry_path);
    if (!resolved.ok()) continue;
    const auto st = root_.LStat(*resolved);
    if (!st.ok() || !S_ISDIR(st->st_mode)) continue;
    if (rules_.IgnoresWithParents(*resolved, true)) continue;
    MBX_RETURN_IF_ERROR(Expand(*resolved, entry_shown, pattern, next + 1, matches));
  }
  return {};
}

StatusOr<std::vector<SourceMatch>> SourceTree::Match(std::string_view pattern) const {
  std::vector<SourceMatch> matches;
  const auto nothing = [&](std::string_view why) {
    return core::NotFound(
        "", core::StrCat("'", pattern.empty() ? "." : core::EscapeControl(pattern), "' ", why,
                         is_context_ ? " in the context" : " in the block's root"));
  };
  if (!IsGlob(pattern)) {
    const Status added = AddMatch(std::string(pattern), matches);
    if (added.code() == StatusCode::kNotFound || added.sys_errno() == ENOTDIR) {
      return nothing(added.message() == "ignored" ? "is ignored" : "does not exist");
    }
    if (!added.ok()) return added;
    return matches;
  }
  std::vector<std::string> elements;
  for (const auto element : core::StrSplit(pattern, '/')) {
    const bool repeated = element == "**" && !elements.empty() && elements.back() == "**";
    if (!repeated) elements.emplace_back(element);
  }
  MBX_RETURN_IF_ERROR(Expand("", "", elements, 0, matches));
  if (matches.empty()) return nothing("matches nothing");
  std::sort(matches.begin(), matches.end(),
            [](const SourceMatch& a, const SourceMatch& b) { return a.shown < b.shown; });
  matches.erase(
      std::unique(matches.begin(), matches.end(),
                  [](const SourceMatch& a, const SourceMatch& b) { return a.shown == b.shown; }),
      matches.end());
  return matches;
}

}  // namespace minibox::build
