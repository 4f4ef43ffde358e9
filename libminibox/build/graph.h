// SPDX-License-Identifier: Apache-2.0
// How the blocks of a file depend on each other (spec §7.4). Pure.
//
// Example of spec §7.10: order layout source tools deps assets app; generation of deps is 2;
// stack of app: layout source deps.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "build/ast.h"
#include "build/diagnostics.h"
#include "build/scope.h"

namespace minibox::build {

// A base as the file names it, expanded.
struct BaseName {
  std::string text{};  // "scratch", a reference or a path; empty: depends on what is not known
  std::string platform{};
  size_t offset = 0;
  bool scratch() const { return text == "scratch"; }
  // Equal for two spellings of one base.
  std::string identity{};
};

struct Graph {
  struct Node {
    std::vector<int> needs{};         // as written, each once
    std::vector<int> build_needs{};   // BNEED and FROM=, as written, each once
    std::vector<int> dependencies{};  // both, sorted
    std::vector<int> stack{};         // the NEED closure in the file's total order
    int generation = 0;               // 1: no dependencies
    int base = -1;                    // index into `bases`; -1: none
    bool wanted = false;              // the target needs it, or is it
  };
  std::vector<Node> nodes{};  // one per block, in file order
  std::vector<int> order{};   // all blocks, dependencies first, otherwise file order
  std::vector<BaseName> bases{};
  int file_base = -1;  // the column-1 BASE
  int target = -1;     // -1: the file has no blocks
};

// `target` is an index, -1: the last block. Errors: unknown blocks, cycles, contradicting
// bases, no base. After errors only part of the result is meaningful.
Graph BuildGraph(const File& file, const Arguments& arguments, int target,
                 Diagnostics& diagnostics);

// "*.tar", "*.tar.gz", "*.tgz", "*.tar.zst".
bool IsArchivePath(std::string_view text);

// Index of the block, or -1.
int FindBlock(const File& file, std::string_view name);

}  // namespace minibox::build
