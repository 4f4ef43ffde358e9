// SPDX-License-Identifier: Apache-2.0
// What a shell offers behind a half-typed command line (spec §15.1).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace minibox::cli {

// Names of what there is; `kind` is "container", "image", "volume" or "network".
using LivingNames = std::function<std::vector<std::string>(std::string_view kind)>;

// `words`: all behind "minibox", the last one being typed (may be empty). Sorted, each once.
std::vector<std::string> Candidates(const CLI::App& app, const std::vector<std::string>& words,
                                    const LivingNames& names);

// What the shell reads to complete `minibox`: "bash", "zsh" or "fish"; "" for another.
std::string CompletionScript(std::string_view shell);

}  // namespace minibox::cli
