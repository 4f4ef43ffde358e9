// SPDX-License-Identifier: Apache-2.0
// Limits on what a MiniBox file and a context may hold (spec §7).
#pragma once

#include <cstddef>
#include <cstdint>

namespace minibox::build {

inline constexpr size_t kMaxFileBytes = 16u << 20;
inline constexpr size_t kMaxLineBytes = 1u << 20;
inline constexpr size_t kMaxBlocks = 1000;
inline constexpr size_t kMaxBlockName = 64;
inline constexpr size_t kMaxInstructions = 20'000;
inline constexpr size_t kMaxEnvironmentBytes = 1u << 20;
inline constexpr size_t kMaxIgnoreBytes = 1u << 20;
// Nested ${N:-…}.
inline constexpr int kMaxNesting = 32;
// What all variables of a file may expand to, so that A=$A$A… stays linear.
inline constexpr size_t kMaxExpansionBytes = 64u << 20;
// Per answer (spec §7.9).
inline constexpr size_t kMaxDiagnostics = 20;
inline constexpr size_t kMaxSecretBytes = 1u << 20;
// Lower directories of one overlay.
inline constexpr size_t kMaxStack = 500;
// A line of output is split here.
inline constexpr size_t kMaxOutputLine = 64u << 10;

}  // namespace minibox::build
