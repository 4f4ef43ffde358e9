// SPDX-License-Identifier: Apache-2.0
#include "kernel/device_filter.h"

#include <cstddef>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/cgroup_control.h"
#include "kernel/syscalls.h"

namespace minibox::kernel {
namespace {

// Registers: 1 the context, 2 the type, 3 the access, 4 major, 5 minor.
constexpr uint8_t kResult = BPF_REG_0, kContext = BPF_REG_1, kType = BPF_REG_2, kAccess = BPF_REG_3,
                  kMajor = BPF_REG_4, kMinor = BPF_REG_5, kScratch = BPF_REG_1;

struct bpf_insn Instruction(uint8_t code, uint8_t dst, uint8_t src, int16_t offset, int32_t value) {
  struct bpf_insn out = {};
  out.code = code;
  out.dst_reg = dst & 0xf;
  out.src_reg = src & 0xf;
  out.off = offset;
  out.imm = value;
  return out;
}

struct bpf_insn Load(uint8_t dst, size_t offset) {
  return Instruction(BPF_LDX | BPF_MEM | BPF_W, dst, kContext, static_cast<int16_t>(offset), 0);
}
struct bpf_insn Alu(uint8_t operation, uint8_t dst, int32_t value) {
  return Instruction(BPF_ALU | operation | BPF_K, dst, 0, 0, value);
}

int32_t AccessMask(const DeviceRule& rule) {
  return (rule.read ? BPF_DEVCG_ACC_READ : 0) | (rule.write ? BPF_DEVCG_ACC_WRITE : 0) |
         (rule.mknod ? BPF_DEVCG_ACC_MKNOD : 0);
}

// Skips what is left of a rule unless `reg` is `value`.
void RequireEqual(uint8_t reg, int32_t value, std::vector<struct bpf_insn>& rule) {
  rule.push_back(Instruction(BPF_JMP | BPF_JNE | BPF_K, reg, 0, 0, value));
}

std::vector<struct bpf_insn> CompileRule(const DeviceRule& rule) {
  std::vector<struct bpf_insn> code;
  RequireEqual(kType,
               rule.type == DeviceRule::Type::kBlock ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
               code);
  // Every access that is wanted is one that is permitted.
  code.push_back(Instruction(BPF_ALU | BPF_MOV | BPF_X, kScratch, kAccess, 0, 0));
  code.push_back(Alu(BPF_AND, kScratch, AccessMask(rule)));
  code.push_back(Instruction(BPF_JMP | BPF_JNE | BPF_X, kScratch, kAccess, 0, 0));
  if (rule.major >= 0) RequireEqual(kMajor, static_cast<int32_t>(rule.major), code);
  if (rule.minor >= 0) RequireEqual(kMinor, static_cast<int32_t>(rule.minor), code);
  code.push_back(Instruction(BPF_ALU64 | BPF_MOV | BPF_K, kResult, 0, 0, 1));
  code.push_back(Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  for (size_t i = 0; i < code.size(); ++i) {
    if (BPF_OP(code[i].code) == BPF_JNE && BPF_CLASS(code[i].code) == BPF_JMP) {
      code[i].off = static_cast<int16_t>(code.size() - i - 1);
    }
  }
  return code;
}

}  // namespace

std::string DeviceRuleText(const DeviceRule& rule) {
  const auto number = [](int64_t value) {
    return value < 0 ? std::string("*") : core::StrCat(value);
  };
  return core::StrCat(rule.type == DeviceRule::Type::kBlock ? "b " : "c ", number(rule.major), ":",
                      number(rule.minor), " ", rule.read ? "r" : "", rule.write ? "w" : "",
                      rule.mknod ? "m" : "");
}

std::vector<struct bpf_insn> CompileDeviceFilter(const std::vector<DeviceRule>& rules) {
  constexpr int kAccessShift = 16;
  std::vector<struct bpf_insn> code = {
      Load(kType, offsetof(struct bpf_cgroup_dev_ctx, access_type)),
      Alu(BPF_AND, kType, (1 << kAccessShift) - 1),
      Load(kAccess, offsetof(struct bpf_cgroup_dev_ctx, access_type)),
      Alu(BPF_RSH, kAccess, kAccessShift),
      Load(kMajor, offsetof(struct bpf_cgroup_dev_ctx, major)),
      Load(kMinor, offsetof(struct bpf_cgroup_dev_ctx, minor)),
  };
  for (const DeviceRule& rule : rules) {
    const auto part = CompileRule(rule);
    code.insert(code.end(), part.begin(), part.end());
  }
  code.push_back(Instruction(BPF_ALU64 | BPF_MOV | BPF_K, kResult, 0, 0, 0));
  code.push_back(Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  return code;
}

Status ApplyDeviceRulesV1(int dir, const std::vector<DeviceRule>& rules) {
  MBX_RETURN_IF_ERROR(WriteControl(dir, "devices.deny", "a"));
  for (const DeviceRule& rule : rules) {
    MBX_RETURN_IF_ERROR(WriteControl(dir, "devices.allow", DeviceRuleText(rule)));
  }
  return Status();
}

Status ApplyDeviceRulesV2(int dir, const std::vector<DeviceRule>& rules) {
  const core::Fd program = LoadDeviceFilter(CompileDeviceFilter(rules));
  if (!program.valid()) return core::SysError("bpf", "device filter");
  // It goes with the group.
  if (AttachDeviceFilter(dir, program.get()) != 0) {
    return core::SysError("bpf", "attach device filter");
  }
  return Status();
}

}  // namespace minibox::kernel
