// SPDX-License-Identifier: Apache-2.0
#include "completion.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "commands.h"

namespace minibox::cli {
namespace {

bool IsNameOf(const CLI::Option& option, std::string_view word) {
  if (word.starts_with("--")) {
    const auto& names = option.get_lnames();
    return std::find(names.begin(), names.end(), word.substr(2)) != names.end();
  }
  const auto& names = option.get_snames();
  return word.size() == 2 && std::find(names.begin(), names.end(), word.substr(1)) != names.end();
}

// The option that the next word is the value of; null if none is.
const CLI::Option* TakesNext(const CLI::App& command, std::string_view word) {
  if (word.find('=') != word.npos) return nullptr;
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      if (IsNameOf(*option, word)) {
        return option->get_items_expected_max() > 0 ? option : nullptr;
      }
    }
  }
  return nullptr;
}

bool IsShown(const CLI::App* command) { return !command->get_group().empty(); }

// What the n-th argument of a command is.
std::string ArgumentKind(const CLI::App& command, size_t index) {
  if (command.get_prefix_command()) {
    // What they take is not in their options: an image or container, then anything.
    const bool in_compose =
        command.get_parent() != nullptr && command.get_parent()->get_name() == "compose";
    if (index > 0 || in_compose) return "";
    return command.get_name() == "exec" ? "container" : "image";
  }
  size_t position = 0;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    const bool repeated = option->get_expected_max() > 1;
    if (position == index || (repeated && index > position)) {
      return option->get_name(/*positional=*/true);
    }
    ++position;
  }
  return "";
}

constexpr std::string_view kBash = R"(# minibox completion for bash: source this, or put it into
# /usr/share/bash-completion/completions/minibox
_minibox() {
  local cur=${COMP_WORDS[COMP_CWORD]}
  local IFS=$'\n'
  COMPREPLY=($(minibox __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _minibox minibox
)";

constexpr std::string_view kZsh = R"(#compdef minibox
# minibox completion for zsh: put this as _minibox into a folder of $fpath
_minibox() {
  local -a candidates
  candidates=("${(@f)$(minibox __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [ -n "${candidates[*]}" ]; then
    compadd -- "${candidates[@]}"
  else
    _files
  fi
}
compdef _minibox minibox
)";

constexpr std::string_view kFish = R"(# minibox completion for fish: put this into
# ~/.config/fish/completions/minibox.fish
function __minibox_complete
  set -l words (commandline -opc) (commandline -ct)
  minibox __complete $words[2..-1] 2>/dev/null
end
complete -c minibox -a '(__minibox_complete)'
)";

}  // namespace

std::vector<std::string> Candidates(const CLI::App& app, const std::vector<std::string>& words,
                                    const LivingNames& names) {
  if (words.empty()) return {};
  const CLI::App* command = &app;
  size_t arguments = 0;
  const CLI::Option* value_of = nullptr;
  bool options_over = false;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (value_of != nullptr) {
      value_of = nullptr;
    } else if (word == "--") {
      options_over = true;
    } else if (word.starts_with('-') && word.size() > 1 && !options_over) {
      value_of = TakesNext(*command, word);
    } else {
      const auto below = command->get_subcommands([](const CLI::App*) { return true; });
      const auto found = std::find_if(below.begin(), below.end(), [&](const CLI::App* candidate) {
        return candidate->get_name() == word;
      });
      if (arguments == 0 && found != below.end()) {
        command = *found;
      } else {
        ++arguments;
        // Behind the image or container there is only the command line of another program.
        options_over = options_over || command->get_prefix_command();
      }
    }
  }
  const std::string& typed = words.back();
  std::vector<std::string> all;
  if (value_of != nullptr) {
    if (IsNameOf(*value_of, "--network")) all = names("network");
  } else if (typed.starts_with('-') && !options_over) {
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_group().empty()) continue;
      for (const std::string& name : option->get_lnames()) all.push_back("--" + name);
    }
  } else {
    const auto below = command->get_subcommands(IsShown);
    for (const CLI::App* candidate : below) all.push_back(candidate->get_name());
    if (below.empty()) all = names(ArgumentKind(*command, arguments));
  }
  std::erase_if(all, [&](const std::string& candidate) { return !candidate.starts_with(typed); });
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::string CompletionScript(std::string_view shell) {
  if (shell == "bash") return std::string(kBash);
  if (shell == "zsh") return std::string(kZsh);
  if (shell == "fish") return std::string(kFish);
  return "";
}

}  // namespace minibox::cli
