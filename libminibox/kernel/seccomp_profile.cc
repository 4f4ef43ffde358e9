// SPDX-License-Identifier: Apache-2.0
#include "kernel/seccomp_profile.h"

#include <linux/audit.h>
#include <linux/capability.h>

#include <array>
#include <map>
#include <string_view>

namespace minibox::kernel {
namespace {

constexpr uint64_t Cap(int capability) { return uint64_t{1} << capability; }

// Numbers on x86-64, i386, arm64 and arm; -1 where there is no such call.
using Numbers = std::array<int, 4>;

// Refused with EPERM unless one of `unless` is held; 0: always.
struct GuardedCall {
  std::string_view name;
  Numbers numbers;
  uint64_t unless;
};

constexpr GuardedCall kGuarded[] = {
    {"fanotify_init", {300, 338, 262, 367}, Cap(CAP_SYS_ADMIN)},
    {"fsconfig", {431, 431, 431, 431}, Cap(CAP_SYS_ADMIN)},
    {"fsmount", {432, 432, 432, 432}, Cap(CAP_SYS_ADMIN)},
    {"fsopen", {430, 430, 430, 430}, Cap(CAP_SYS_ADMIN)},
    {"fspick", {433, 433, 433, 433}, Cap(CAP_SYS_ADMIN)},
    {"lookup_dcookie", {212, 253, 18, 249}, Cap(CAP_SYS_ADMIN)},
    {"lsm_get_self_attr", {459, 459, 459, 459}, Cap(CAP_SYS_ADMIN)},
    {"lsm_list_modules", {461, 461, 461, 461}, Cap(CAP_SYS_ADMIN)},
    {"lsm_set_self_attr", {460, 460, 460, 460}, Cap(CAP_SYS_ADMIN)},
    {"mount", {165, 21, 40, 21}, Cap(CAP_SYS_ADMIN)},
    {"mount_setattr", {442, 442, 442, 442}, Cap(CAP_SYS_ADMIN)},
    {"move_mount", {429, 429, 429, 429}, Cap(CAP_SYS_ADMIN)},
    {"open_tree", {428, 428, 428, 428}, Cap(CAP_SYS_ADMIN)},
    {"quotactl", {179, 131, 60, 131}, Cap(CAP_SYS_ADMIN)},
    {"quotactl_fd", {443, 443, 443, 443}, Cap(CAP_SYS_ADMIN)},
    {"setdomainname", {171, 121, 162, 121}, Cap(CAP_SYS_ADMIN)},
    {"sethostname", {170, 74, 161, 74}, Cap(CAP_SYS_ADMIN)},
    {"setns", {308, 346, 268, 375}, Cap(CAP_SYS_ADMIN)},
    {"umount", {-1, 22, -1, -1}, Cap(CAP_SYS_ADMIN)},
    {"umount2", {166, 52, 39, 52}, Cap(CAP_SYS_ADMIN)},
    {"unshare", {272, 310, 97, 337}, Cap(CAP_SYS_ADMIN)},
    {"bpf", {321, 357, 280, 386}, Cap(CAP_SYS_ADMIN) | Cap(CAP_BPF)},
    {"perf_event_open", {298, 336, 241, 364}, Cap(CAP_SYS_ADMIN) | Cap(CAP_PERFMON)},
    {"syslog", {103, 103, 116, 103}, Cap(CAP_SYS_ADMIN) | Cap(CAP_SYSLOG)},
    {"kcmp", {312, 349, 272, 378}, Cap(CAP_SYS_PTRACE)},
    {"pidfd_getfd", {438, 438, 438, 438}, Cap(CAP_SYS_PTRACE)},
    {"process_madvise", {440, 440, 440, 440}, Cap(CAP_SYS_PTRACE)},
    {"get_mempolicy", {239, 275, 236, 320}, Cap(CAP_SYS_NICE)},
    {"mbind", {237, 274, 235, 319}, Cap(CAP_SYS_NICE)},
    {"set_mempolicy", {238, 276, 237, 321}, Cap(CAP_SYS_NICE)},
    {"set_mempolicy_home_node", {450, 450, 450, 450}, Cap(CAP_SYS_NICE)},
    {"open_by_handle_at", {304, 342, 265, 371}, Cap(CAP_DAC_READ_SEARCH)},
    {"chroot", {161, 61, 51, 61}, Cap(CAP_SYS_CHROOT)},
    {"delete_module", {176, 129, 106, 129}, Cap(CAP_SYS_MODULE)},
    {"finit_module", {313, 350, 273, 379}, Cap(CAP_SYS_MODULE)},
    {"init_module", {175, 128, 105, 128}, Cap(CAP_SYS_MODULE)},
    {"reboot", {169, 88, 142, 88}, Cap(CAP_SYS_BOOT)},
    {"acct", {163, 51, 89, 51}, Cap(CAP_SYS_PACCT)},
    {"ioperm", {173, 101, -1, -1}, Cap(CAP_SYS_RAWIO)},
    {"iopl", {172, 110, -1, -1}, Cap(CAP_SYS_RAWIO)},
    {"clock_settime", {227, 264, 112, 262}, Cap(CAP_SYS_TIME)},
    {"clock_settime64", {-1, 404, -1, 404}, Cap(CAP_SYS_TIME)},
    {"settimeofday", {164, 79, 170, 79}, Cap(CAP_SYS_TIME)},
    {"stime", {-1, 25, -1, -1}, Cap(CAP_SYS_TIME)},
    {"vhangup", {153, 111, 58, 111}, Cap(CAP_SYS_TTY_CONFIG)},
    {"_sysctl", {156, 149, -1, 149}, 0},
    {"add_key", {248, 286, 217, 309}, 0},
    {"afs_syscall", {183, 137, -1, -1}, 0},
    {"create_module", {174, 127, -1, -1}, 0},
    {"get_kernel_syms", {177, 130, -1, -1}, 0},
    {"getpmsg", {181, 188, -1, -1}, 0},
    {"io_uring_enter", {426, 426, 426, 426}, 0},
    {"io_uring_register", {427, 427, 427, 427}, 0},
    {"io_uring_setup", {425, 425, 425, 425}, 0},
    {"kexec_file_load", {320, -1, 294, 401}, 0},
    {"kexec_load", {246, 283, 104, 347}, 0},
    {"keyctl", {250, 288, 219, 311}, 0},
    {"migrate_pages", {256, 294, 238, 400}, 0},
    {"move_pages", {279, 317, 239, 344}, 0},
    {"nfsservctl", {180, 169, 42, 169}, 0},
    {"pivot_root", {155, 217, 41, 218}, 0},
    {"putpmsg", {182, 189, -1, -1}, 0},
    {"query_module", {178, 167, -1, -1}, 0},
    {"request_key", {249, 287, 218, 310}, 0},
    {"security", {185, -1, -1, -1}, 0},
    {"swapoff", {168, 115, 225, 115}, 0},
    {"swapon", {167, 87, 224, 87}, 0},
    {"sysfs", {139, 135, -1, 135}, 0},
    {"tuxcall", {184, -1, -1, -1}, 0},
    {"uselib", {134, 86, -1, 86}, 0},
    {"userfaultfd", {323, 374, 282, 388}, 0},
    {"ustat", {136, 62, -1, 62}, 0},
    {"vm86", {-1, 166, -1, -1}, 0},
    {"vm86old", {-1, 113, -1, -1}, 0},
    {"vserver", {236, 273, -1, 313}, 0},
};

constexpr Numbers kClone = {56, 120, 220, 120};
constexpr Numbers kClone3 = {435, 435, 435, 435};
// On i386 the number of its own, which libc has used since 2.23. The older socketcall(2) passes
// its arguments in memory, where no filter can look.
constexpr Numbers kSocket = {41, 359, 198, 281};
constexpr Numbers kPersonality = {135, 136, 92, 136};

// The last number of Linux 6.13, removexattrat, the same everywhere.
constexpr uint32_t kLast = 466;

// Numbers in use, first and last. A hole is left out where later kernels fill it (x86-64 got
// uprobe at 336 in 6.18); in others the kernel answers ENOSYS itself.
struct Span {
  SeccompArch arch;
  uint32_t first, last;
};
constexpr Span kSpans[] = {
    {SeccompArch::kX86_64, 0, 335},        {SeccompArch::kX86_64, 424, kLast},
    {SeccompArch::kI386, 0, kLast},        {SeccompArch::kArm64, 0, 294},
    {SeccompArch::kArm64, 424, kLast},     {SeccompArch::kArm, 0, kLast},
    {SeccompArch::kArm, 0xf0001, 0xf0006},  // breakpoint … get_tls
};

}  // namespace

uint32_t AuditArch(SeccompArch arch) {
  switch (arch) {
    case SeccompArch::kX86_64:
      return AUDIT_ARCH_X86_64;
    case SeccompArch::kI386:
      return AUDIT_ARCH_I386;
    case SeccompArch::kArm64:
      return AUDIT_ARCH_AARCH64;
    case SeccompArch::kArm:
      return AUDIT_ARCH_ARM;
  }
  return 0;
}

std::vector<SeccompArch> NativeSeccompArchs() {
#if defined(__x86_64__)
  return {SeccompArch::kX86_64, SeccompArch::kI386};
#elif defined(__aarch64__)
  return {SeccompArch::kArm64, SeccompArch::kArm};
#else
#error "the system call numbers of this architecture are not known"
#endif
}

std::vector<SyscallRange> DefaultSeccompProfile(SeccompArch arch, uint64_t capabilities) {
  const auto column = static_cast<size_t>(arch);
  const bool admin = (capabilities & Cap(CAP_SYS_ADMIN)) != 0;

  std::map<uint32_t, SeccompOutcome> special;
  const auto set = [&](const Numbers& numbers, SeccompOutcome outcome) {
    if (numbers[column] >= 0) special[static_cast<uint32_t>(numbers[column])] = outcome;
  };
  for (const auto& call : kGuarded) {
    if ((capabilities & call.unless) == 0) set(call.numbers, SeccompOutcome::kEperm);
  }
  set(kSocket, SeccompOutcome::kSocketFamily);
  set(kPersonality, SeccompOutcome::kPersonality);
  if (!admin) {
    set(kClone, SeccompOutcome::kCloneFlags);
    // Its flags are in memory; ENOSYS makes libc fall back to clone.
    set(kClone3, SeccompOutcome::kEnosys);
  }

  std::vector<SyscallRange> ranges;
  const auto append = [&](uint32_t first, SeccompOutcome outcome) {
    if (!ranges.empty() && ranges.back().first == first) ranges.pop_back();
    if (ranges.empty() || ranges.back().outcome != outcome) ranges.push_back({first, outcome});
  };
  append(0, SeccompOutcome::kEnosys);
  for (const auto& span : kSpans) {
    if (span.arch != arch) continue;
    append(span.first, SeccompOutcome::kAllow);
    for (auto it = special.lower_bound(span.first); it != special.end() && it->first <= span.last;
         ++it) {
      append(it->first, it->second);
      append(it->first + 1, SeccompOutcome::kAllow);
    }
    append(span.last + 1, SeccompOutcome::kEnosys);
  }
  return ranges;
}

}  // namespace minibox::kernel
