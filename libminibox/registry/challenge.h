// SPDX-License-Identifier: Apache-2.0
// WWW-Authenticate: what a server wants to see (RFC 9110 §11.6.1).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace minibox::registry {

struct Challenge {
  std::string scheme{};                         // lower case
  std::map<std::string, std::string> params{};  // names in lower case
};

// One header may hold several challenges; what is malformed ends the list.
std::vector<Challenge> ParseChallenges(std::string_view header);

}  // namespace minibox::registry
