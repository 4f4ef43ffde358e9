// SPDX-License-Identifier: Apache-2.0
#include "registry/source_repositories.h"

#include <algorithm>
#include <string_view>

#include "core/strings.h"
#include "store/references.h"

namespace minibox::registry {
namespace {

constexpr size_t kMaxRepositories = 8;  // the newest

void Add(std::vector<std::string>& list, std::string_view name) {
  if (!name.empty() && std::find(list.begin(), list.end(), name) == list.end()) {
    list.emplace_back(name);
  }
}

std::vector<std::string> ListOf(const oci::Descriptor& entry) {
  std::vector<std::string> list;
  const std::string_view text = store::AnnotationOf(entry, store::kSourceRepositories);
  for (const std::string_view name : core::StrSplit(text, ',')) Add(list, name);
  return list;
}

}  // namespace

void RememberRepository(const std::vector<oci::Descriptor>& entries, const ImageRef& image,
                        oci::Descriptor* entry) {
  std::vector<std::string> list = ListOf(*entry);
  for (const oci::Descriptor& other : entries) {
    if (other.digest != entry->digest) continue;
    for (const std::string& name : ListOf(other)) Add(list, name);
  }
  const std::string own = core::StrCat(image.registry(), "/", image.repository());
  std::erase(list, own);
  list.push_back(own);
  if (list.size() > kMaxRepositories) {
    list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(kMaxRepositories));
  }
  entry->annotations[std::string(store::kSourceRepositories)] = core::StrJoin(list, ",");
}

std::vector<std::string> KnownRepositories(const oci::Descriptor& entry, const ImageRef& image) {
  std::vector<std::string> known;
  const std::string prefix = core::StrCat(image.registry(), "/");
  for (const std::string& name : ListOf(entry)) {
    if (!name.starts_with(prefix)) continue;
    std::string repository = name.substr(prefix.size());
    if (repository != image.repository()) known.push_back(std::move(repository));
  }
  return known;
}

}  // namespace minibox::registry
