// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

int main(int argc, char** argv) {
  return minibox::cli::RunCommandLine(std::vector<std::string>(argv + 1, argv + argc),
                                      minibox::cli::Terminal::ForProcess());
}
