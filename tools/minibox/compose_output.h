// SPDX-License-Identifier: Apache-2.0
// What `compose` shows (spec §14.3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "commands.h"
#include "minibox/compose.h"

namespace minibox::cli {

// Results on stdout, everything else on stderr.
void ShowComposeEvent(Session& session, const ComposeEvent& event);

// Lines of several services, each with the colour of its own.
class ComposeLogView {
 public:
  ComposeLogView(const Terminal& terminal, std::vector<std::string> services, bool timestamps)
      : terminal_(terminal), services_(std::move(services)), timestamps_(timestamps) {}
  // With line end.
  std::string Text(const ComposeLogLine& line);

 private:
  const Terminal& terminal_;
  std::vector<std::string> services_;
  const bool timestamps_;
};

std::string ComposeTable(const std::vector<ServiceStatus>& services, const Terminal& terminal);
std::string ComposeJson(const std::vector<ServiceStatus>& services);

}  // namespace minibox::cli
