// SPDX-License-Identifier: Apache-2.0
#include "kernel/capabilities.h"

#include <fcntl.h>

#include <array>

#include "core/errors.h"
#include "core/file.h"
#include "core/strings.h"

namespace minibox::kernel {
namespace {

// Index = number; linux/capability.h, unchanged since 5.9.
constexpr std::array<std::string_view, 41> kNames = {"CHOWN",
                                                     "DAC_OVERRIDE",
                                                     "DAC_READ_SEARCH",
                                                     "FOWNER",
                                                     "FSETID",
                                                     "KILL",
                                                     "SETGID",
                                                     "SETUID",
                                                     "SETPCAP",
                                                     "LINUX_IMMUTABLE",
                                                     "NET_BIND_SERVICE",
                                                     "NET_BROADCAST",
                                                     "NET_ADMIN",
                                                     "NET_RAW",
                                                     "IPC_LOCK",
                                                     "IPC_OWNER",
                                                     "SYS_MODULE",
                                                     "SYS_RAWIO",
                                                     "SYS_CHROOT",
                                                     "SYS_PTRACE",
                                                     "SYS_PACCT",
                                                     "SYS_ADMIN",
                                                     "SYS_BOOT",
                                                     "SYS_NICE",
                                                     "SYS_RESOURCE",
                                                     "SYS_TIME",
                                                     "SYS_TTY_CONFIG",
                                                     "MKNOD",
                                                     "LEASE",
                                                     "AUDIT_WRITE",
                                                     "AUDIT_CONTROL",
                                                     "SETFCAP",
                                                     "MAC_OVERRIDE",
                                                     "MAC_ADMIN",
                                                     "SYSLOG",
                                                     "WAKE_ALARM",
                                                     "BLOCK_SUSPEND",
                                                     "AUDIT_READ",
                                                     "PERFMON",
                                                     "BPF",
                                                     "CHECKPOINT_RESTORE"};

constexpr std::string_view kPrefix = "CAP_";

bool IsAll(std::string_view name) {
  return core::EqualsIgnoreCase(name, "ALL") || core::EqualsIgnoreCase(name, "CAP_ALL");
}

StatusOr<uint64_t> MaskOf(std::string_view name, std::string_view list, size_t index) {
  if (IsAll(name)) return AllCapabilities();
  const auto capability = ParseCapability(name);
  if (!capability || (AllCapabilities() >> *capability & 1) == 0) {
    return core::InvalidArgument(
        core::StrCat(list, '[', index, ']'),
        core::StrCat(capability ? "capability not known to this kernel '" : "unknown capability '",
                     core::EscapeControl(name), "'"));
  }
  return uint64_t{1} << *capability;
}

}  // namespace

std::optional<int> ParseCapability(std::string_view name) {
  if (name.size() > kPrefix.size() &&
      core::EqualsIgnoreCase(name.substr(0, kPrefix.size()), kPrefix)) {
    name.remove_prefix(kPrefix.size());
  }
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (core::EqualsIgnoreCase(name, kNames[i])) return static_cast<int>(i);
  }
  return std::nullopt;
}

std::string CapabilityName(int capability) {
  if (capability >= 0 && static_cast<size_t>(capability) < kNames.size()) {
    return core::StrCat(kPrefix, kNames[static_cast<size_t>(capability)]);
  }
  return core::StrCat(kPrefix, capability);
}

uint64_t AllCapabilities() {
  static const uint64_t all = [] {
    int last = static_cast<int>(kNames.size()) - 1;
    if (auto text = core::ReadFileAt(AT_FDCWD, "/proc/sys/kernel/cap_last_cap", 64); text.ok()) {
      if (auto number = core::ParseInt64(core::TrimSpace(*text)); number && *number < 63) {
        last = static_cast<int>(*number);
      }
    }
    return (uint64_t{1} << (last + 1)) - 1;
  }();
  return all;
}

uint64_t DefaultCapabilities() {
  constexpr std::array<int, 14> kDefault = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31};
  uint64_t mask = 0;
  for (const int capability : kDefault) mask |= uint64_t{1} << capability;
  return mask;
}

StatusOr<uint64_t> ResolveCapabilities(uint64_t base, const std::vector<std::string>& add,
                                       const std::vector<std::string>& drop) {
  for (size_t i = 0; i < drop.size(); ++i) {
    auto mask = MaskOf(drop[i], "cap_drop", i);
    if (!mask.ok()) return mask;
    base &= ~*mask;
  }
  for (size_t i = 0; i < add.size(); ++i) {
    auto mask = MaskOf(add[i], "cap_add", i);
    if (!mask.ok()) return mask;
    base |= *mask;
  }
  return base;
}

}  // namespace minibox::kernel
