// SPDX-License-Identifier: Apache-2.0
// Transfers as a user sees them: lines, or one bar per layer on a terminal.
#pragma once

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands.h"
#include "minibox/types.h"

namespace minibox::cli {

// MINIBOX_AUTH_FILE, else ~/.docker/config.json.
std::filesystem::path AuthFile();

struct TransferCall {
  std::string path{};       // "/images/pull"
  std::string operation{};  // "pull"
  Query query{};
  std::string image{};             // whose registry's credentials are sent along
  std::optional<int> upload_fd{};  // the body, borrowed
  FILE* out = stdout;
};
// Whether progress is drawn there: a terminal that nobody wants plain.
bool MayDraw(FILE* out);
// Exit status; why it failed has been shown.
int Transfer(Session& session, const TransferCall& call);

// `run --pull`: "missing", "always" or "never"; progress on stderr. False: it failed, and that has
// been shown.
bool ProvideImage(Session& session, const std::string& policy, const std::string& image,
                  const std::string& platform);

// Progress of several layers, redrawn in place.
class ProgressBars {
 public:
  explicit ProgressBars(FILE* out) : out_(out) {}
  void Update(const Progress& progress);
  // Above the bars.
  void Line(std::string_view line);

  // One bar as text: "0123456789ab  transferring [#####     ]  1.00 MB / 2.00 MB".
  static std::string Text(const Progress& progress);

 private:
  void Erase();
  void Draw();

  FILE* out_;
  std::vector<Progress> bars_;
  size_t drawn_ = 0;
};

}  // namespace minibox::cli
