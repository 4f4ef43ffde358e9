// SPDX-License-Identifier: Apache-2.0
#include "runtime/event_filter.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/types.h"

namespace minibox::runtime {
namespace {

bool HasLabel(const Labels& attributes, std::string_view filter) {
  const size_t equals = filter.find('=');
  const auto found = attributes.find(std::string(filter.substr(0, equals)));
  if (found == attributes.end()) return false;
  return equals == std::string_view::npos || found->second == filter.substr(equals + 1);
}

std::string_view Attribute(const Event& event, const char* name) {
  const auto found = event.attributes.find(name);
  return found == event.attributes.end() ? std::string_view() : std::string_view(found->second);
}

template <typename Match>
bool AnyOf(const std::vector<std::string>& filters, const Match& match) {
  return filters.empty() || std::any_of(filters.begin(), filters.end(), match);
}

std::string Normalised(std::string_view image) {
  auto reference = ImageRef::Parse(image);
  return reference.ok() ? reference->ToString() : std::string(image);
}

}  // namespace

bool MatchesEvent(const Event& event, const EventOptions& options) {
  const std::string_view type = event.type;
  const std::string_view family = type.substr(0, type.find('.'));
  return AnyOf(options.types,
               [&](const std::string& filter) { return filter == type || filter == family; }) &&
         AnyOf(options.containers,
               [&](const std::string& filter) {
                 return family == "container" &&
                        (event.id.starts_with(filter) || Attribute(event, "name") == filter);
               }) &&
         AnyOf(options.images,
               [&](const std::string& filter) {
                 const std::string_view image =
                     Attribute(event, family == "image" ? "name" : "image");
                 return (family == "image" && event.id == filter) || image == filter ||
                        (!image.empty() && Normalised(image) == Normalised(filter));
               }) &&
         AnyOf(options.projects,
               [&](const std::string& filter) { return Attribute(event, "project") == filter; }) &&
         std::all_of(options.labels.begin(), options.labels.end(),
                     [&](const std::string& filter) { return HasLabel(event.attributes, filter); });
}

}  // namespace minibox::runtime
