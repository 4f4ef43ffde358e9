// SPDX-License-Identifier: Apache-2.0
// Which devices the processes of a control group may use: the `devices` controller of version 1,
// a BPF program on version 2 (spec §12.5).
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "minibox/status.h"

namespace minibox::kernel {

struct DeviceRule {
  enum class Type : uint8_t { kBlock, kCharacter };
  Type type = Type::kCharacter;
  int64_t major = -1, minor = -1;  // -1: any
  bool read = false, write = false, mknod = false;
  friend bool operator==(const DeviceRule&, const DeviceRule&) = default;
};

// "c 1:3 rwm", as devices.allow takes it.
std::string DeviceRuleText(const DeviceRule& rule);
// The program that permits what one of the rules does, and nothing else.
std::vector<struct bpf_insn> CompileDeviceFilter(const std::vector<DeviceRule>& rules);

// Nothing but `rules` is permitted in the group of this directory from now on. An errno as of
// what the kernel lacks: ENOENT, EPERM, EINVAL.
Status ApplyDeviceRulesV1(int dir, const std::vector<DeviceRule>& rules);
Status ApplyDeviceRulesV2(int dir, const std::vector<DeviceRule>& rules);

}  // namespace minibox::kernel
