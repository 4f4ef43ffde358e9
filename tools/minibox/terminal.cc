// SPDX-License-Identifier: Apache-2.0
#include "terminal.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "wire/text.h"

namespace minibox::cli {
namespace {

bool IsSet(const char* name) {
  const char* value = getenv(name);
  return value != nullptr && *value != '\0';
}

std::string_view Code(Colour colour) {
  switch (colour) {
    case Colour::kNone:
      return "";
    case Colour::kCyan:
      return "\033[36m";
    case Colour::kBoldCyan:
      return "\033[1;36m";
    case Colour::kGreen:
      return "\033[32m";
    case Colour::kYellow:
      return "\033[33m";
    case Colour::kRed:
      return "\033[31m";
    case Colour::kBoldRed:
      return "\033[1;31m";
    case Colour::kPurple:
      return "\033[35m";
    case Colour::kBlue:
      return "\033[34m";
  }
  return "";
}

std::string Painted(bool on, Colour colour, std::string_view text) {
  if (!on || colour == Colour::kNone) return std::string(text);
  return wire::StrCat(Code(colour), text, "\033[0m");
}

// Messages quote names that others chose: no escape sequence of theirs reaches the terminal.
// Line ends stay, since an answer may have several lines.
std::string Escaped(std::string_view text) {
  std::string out;
  for (const std::string_view line : wire::StrSplit(text, '\n')) {
    if (!out.empty()) out += "\n";
    out += wire::EscapeControl(line);
  }
  return out;
}

}  // namespace

Terminal Terminal::ForProcess() {
  const bool plain = IsSet("NO_COLOR") || IsSet("MINIBOX_PLAIN");
  return Terminal(!plain && isatty(STDOUT_FILENO), !plain && isatty(STDERR_FILENO));
}

void Terminal::Message(Colour colour, std::string_view prefix, std::string_view text) const {
  const std::string line = wire::StrCat(Painted(colour_err_, colour, prefix), Escaped(text), "\n");
  fwrite(line.data(), 1, line.size(), stderr);
}

void Terminal::Info(std::string_view text) const {
  if (!quiet_) Message(Colour::kCyan, "..  ", text);
}

void Terminal::Success(std::string_view text) const {
  if (!quiet_) Message(Colour::kGreen, "OK  ", text);
}

void Terminal::Warning(std::string_view text) const { Message(Colour::kYellow, "!!  ", text); }

void Terminal::Error(std::string_view text) const {
  text = wire::TrimSpace(text);
  Message(Colour::kBoldRed, text.starts_with('[') ? "" : "[error] ", text);
}

std::string Terminal::Paint(Colour colour, std::string_view text) const {
  return Painted(colour_out_, colour, text);
}

std::string Terminal::PaintTag(std::string_view line) const {
  const size_t close = line.find(']');
  if (!colour_out_ || !line.starts_with('[') || close == line.npos) return std::string(line);
  return wire::StrCat(Paint(Colour::kBoldCyan, line.substr(0, close + 1)), line.substr(close + 1));
}

bool Terminal::Print(std::string_view text) {
  return fwrite(text.data(), 1, text.size(), stdout) == text.size() && fflush(stdout) == 0;
}

}  // namespace minibox::cli
