// SPDX-License-Identifier: Apache-2.0
// What the user sees besides results (spec §15.1): messages on stderr, colour on terminals only.
#pragma once

#include <string>
#include <string_view>

namespace minibox::cli {

enum class Colour { kNone, kCyan, kBoldCyan, kGreen, kYellow, kRed, kBoldRed, kPurple, kBlue };

class Terminal {
 public:
  // Colour per stream: a terminal, and neither NO_COLOR nor MINIBOX_PLAIN set.
  static Terminal ForProcess();
  Terminal(bool colour_out, bool colour_err) : colour_out_(colour_out), colour_err_(colour_err) {}

  // Whether stdout is a terminal that takes colours and cursor movement.
  bool is_live() const { return colour_out_; }
  void set_quiet(bool quiet) { quiet_ = quiet; }

  void Info(std::string_view text) const;     // "..  <text>", not with -q
  void Success(std::string_view text) const;  // "OK  <text>", not with -q
  void Warning(std::string_view text) const;  // "!!  <text>"
  void Error(std::string_view text) const;    // "[error] <text>"

  // Whether stdout shows what moves a cursor.
  bool CanMoveCursor() const { return colour_out_; }

  // For stdout: `text` in that colour if stdout takes colours.
  std::string Paint(Colour colour, std::string_view text) const;
  // A line of a build log: its leading "[tag]" in bold cyan.
  std::string PaintTag(std::string_view line) const;

  // The whole text on stdout, now. False if that is not possible.
  static bool Print(std::string_view text);

 private:
  void Message(Colour colour, std::string_view prefix, std::string_view text) const;

  bool colour_out_, colour_err_;
  bool quiet_ = false;
};

}  // namespace minibox::cli
