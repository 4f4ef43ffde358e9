// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf_sim.h"

#include <linux/bpf_common.h>
#include <linux/filter.h>

#include <cstring>
#include <vector>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::kernel {
namespace {

Status Invalid(size_t at, std::string_view what) {
  return core::InvalidArgument("program", core::StrCat("instruction ", at, ": ", what));
}

}  // namespace

StatusOr<uint32_t> RunBpf(std::string_view program, const struct seccomp_data& data, int* steps) {
  if (program.empty() || program.size() % sizeof(struct sock_filter) != 0 ||
      program.size() / sizeof(struct sock_filter) > BPF_MAXINSNS) {
    return core::InvalidArgument("program", "not a whole number of instructions, or too many");
  }
  std::vector<struct sock_filter> code(program.size() / sizeof(struct sock_filter));
  memcpy(code.data(), program.data(), program.size());
  uint32_t a = 0;
  int run = 0;
  // Jumps go forward only, so this ends.
  for (size_t pc = 0; pc < code.size(); ++pc) {
    const auto& op = code[pc];
    ++run;
    bool holds = false;
    switch (op.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (op.k % sizeof a != 0 || op.k > sizeof data - sizeof a) return Invalid(pc, "bad load");
        memcpy(&a, reinterpret_cast<const char*>(&data) + op.k, sizeof a);
        continue;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= op.k;
        continue;
      case BPF_RET | BPF_K:
        if (steps != nullptr) *steps = run;
        return op.k;
      case BPF_JMP | BPF_JA:
        if (op.k >= code.size() - pc - 1) return Invalid(pc, "jump out of the program");
        pc += op.k;
        continue;
      case BPF_JMP | BPF_JEQ | BPF_K:
        holds = a == op.k;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        holds = a >= op.k;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        holds = a > op.k;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        holds = (a & op.k) != 0;
        break;
      default:
        return Invalid(pc, core::StrCat("unknown operation ", op.code));
    }
    if (size_t{op.jt} >= code.size() - pc - 1 || size_t{op.jf} >= code.size() - pc - 1) {
      return Invalid(pc, "jump out of the program");
    }
    pc += holds ? op.jt : op.jf;
  }
  return Invalid(code.size(), "end of the program");
}

}  // namespace minibox::kernel
