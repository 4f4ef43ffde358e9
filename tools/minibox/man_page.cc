// SPDX-License-Identifier: Apache-2.0
#include "man_page.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "minibox/version.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr std::string_view kEnd = R"(.SH EXIT STATUS
0 on success, 1 if something failed, 2 for wrong usage.
.BR run ", " exec ", " attach ", " "start \-a" ", " "db run" ", " "db shell" ", " "compose run " and " "compose exec"
exit with the status of the container's command, or 125 if the engine failed, 126 if the command cannot be executed,
127 if it was not found, 128+n if signal n ended it.
.SH ENVIRONMENT
.TP
.B MINIBOX_API
The daemon, as with
.BR \-\-host .
.TP
.B MINIBOX_API_TOKEN
The token that the daemon asks for.
.TP
.B MINIBOX_AUTH_FILE
Where
.B login
keeps passwords; by default ~/.docker/config.json.
.TP
.B MINIBOX_PROJECT
Name of the compose project.
.TP
.BR NO_COLOR ", " MINIBOX_PLAIN
No colours, bars and cursor movement.
)";

// Text that groff shows as it is.
std::string Escaped(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_start = c == '\n';
  }
  return out;
}

void AddOptions(const CLI::App& command, std::string* out) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty() || option->get_positional()) continue;
    std::string names;
    for (const std::string& name : option->get_snames()) {
      names += StrCat(names.empty() ? "" : ", ", "-", name);
    }
    for (const std::string& name : option->get_lnames()) {
      names += StrCat(names.empty() ? "" : ", ", "--", name);
    }
    const bool takes_value = option->get_items_expected_max() > 0;
    *out += StrCat(".TP\n\\fB", Escaped(names), "\\fR", takes_value ? " \\fIvalue\\fR" : "", "\n",
                   Escaped(option->get_description()), "\n");
  }
}

void AddCommand(const CLI::App& command, const std::string& parents, std::string* out) {
  const std::string name = parents + command.get_name();
  const auto below = command.get_subcommands([](const CLI::App*) { return true; });
  std::string arguments;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    const std::string word = option->get_name(/*positional=*/true);
    arguments += StrCat(" ", option->get_required() ? word : StrCat("[", word, "]"),
                        option->get_expected_max() > 1 ? "..." : "");
  }
  *out += StrCat(".SS ", Escaped(name), Escaped(arguments), "\n",
                 Escaped(command.get_description()), ".\n");
  AddOptions(command, out);
  const std::string footer = command.get_footer();
  if (!footer.empty()) *out += StrCat(".PP\n.nf\n", Escaped(footer), "\n.fi\n");
  for (const CLI::App* next : below) AddCommand(*next, name + " ", out);
}

}  // namespace

std::string ManPage(const CLI::App& app) {
  std::string out = StrCat(".TH MINIBOX 1 \"\" \"MiniBox ", LibraryVersion(),
                           "\" \"User Commands\"\n.SH NAME\nminibox \\- build images and run "
                           "containers\n.SH SYNOPSIS\n.B minibox\n[\\fIoptions\\fR] "
                           "\\fIcommand\\fR [\\fIarguments\\fR]\n.SH DESCRIPTION\n",
                           Escaped(app.get_description()), "\n.SH OPTIONS\n");
  AddOptions(app, &out);
  out += ".SH COMMANDS\n";
  for (const CLI::App* command : app.get_subcommands(
           [](const CLI::App* candidate) { return !candidate->get_group().empty(); })) {
    AddCommand(*command, "", &out);
  }
  out += kEnd;
  return out;
}

}  // namespace minibox::cli
