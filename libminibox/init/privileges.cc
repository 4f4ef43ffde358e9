// SPDX-License-Identifier: Apache-2.0
#include "init/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <signal.h>
#include <sys/prctl.h>

#include "init/failing.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

constexpr int kMaxCapabilities = 64;
constexpr uint64_t Bit(int capability) { return uint64_t{1} << capability; }

// All that the kernel has.
uint64_t KnownCapabilities() {
  uint64_t known = 0;
  for (int i = 0; i < kMaxCapabilities && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; ++i) {
    known |= Bit(i);
  }
  return known;
}

uint64_t BoundingSet() {
  uint64_t set = 0;
  for (int i = 0; i < kMaxCapabilities; ++i) {
    const int held = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
    if (held < 0) break;
    if (held == 1) set |= Bit(i);
  }
  return set;
}

uint64_t AmbientSet() {
  uint64_t set = 0;
  for (int i = 0; i < kMaxCapabilities; ++i) {
    const int held = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0);
    if (held < 0) break;
    if (held == 1) set |= Bit(i);
  }
  return set;
}

bool LimitBoundingSet(uint64_t keep, Failure& failure) {
  const uint64_t known = KnownCapabilities();
  for (int i = 0; i < kMaxCapabilities; ++i) {
    if ((known & Bit(i)) == 0 || (keep & Bit(i)) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0) return Fail(failure, "drop", "bounding set");
  }
  return true;
}

bool SetIds(const Identity& identity, Failure& failure) {
  if (sys::SetGroups(identity.group_count, identity.groups) != 0) return Fail(failure, "setgroups");
  if (sys::SetGid(identity.gid) != 0) return Fail(failure, "setresgid");
  return sys::SetUid(identity.uid) == 0 || Fail(failure, "setresuid");
}

bool RaiseAmbient(uint64_t set, Failure& failure) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return Fail(failure, "clear", "ambient set");
  }
  for (int i = 0; i < kMaxCapabilities; ++i) {
    if ((set & Bit(i)) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0) {
      return Fail(failure, "raise", "ambient set");
    }
  }
  return true;
}

bool FailCapabilities(Failure& failure, int error, const char* what) {
  MessageText message;
  message << "cannot apply cap_add: " << what;
  return FailWith(failure, FailureKind::kUnsupported, error, "cap_add", message);
}

}  // namespace

bool BecomeNamespaceRoot(Failure& failure) {
  if (sys::SetGroups(0, nullptr) != 0) return Fail(failure, "setgroups");
  if (sys::SetGid(0) != 0) return Fail(failure, "setresgid");
  return sys::SetUid(0) == 0 || Fail(failure, "setresuid");
}

bool GuardProcess(Failure& failure) {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Fail(failure, "prctl", "PR_SET_DUMPABLE");
  return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 ||
         Fail(failure, "prctl", "PR_SET_PDEATHSIG");
}

bool DropPrivileges(const Plan& plan, const Identity& identity, Failure& failure) {
  const bool root = identity.uid == 0;
  const uint64_t ambient = root ? 0 : plan.ambient & plan.capabilities;
  // A program that another user executes gains nothing but the ambient set, which must be
  // permitted and inheritable.
  const sys::CapabilitySets sets{root ? plan.capabilities : ambient,
                                 root ? plan.capabilities : ambient, ambient};
  if (!LimitBoundingSet(plan.capabilities, failure)) return false;
  if (!plan.no_new_privs && !SetSeccomp(plan, failure)) return false;
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return Fail(failure, "prctl", "PR_SET_KEEPCAPS");
  if (!SetIds(identity, failure)) return false;
  if (sys::CapSet(sets) != 0) {
    return FailCapabilities(failure, errno, "the engine does not have all of these itself");
  }
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return Fail(failure, "prctl", "PR_SET_KEEPCAPS");
  if (!RaiseAmbient(ambient, failure)) return false;
  sys::CapabilitySets got;
  if (sys::CapGet(&got) != 0) return Fail(failure, "capget");
  if (got.effective != sets.effective || got.permitted != sets.permitted ||
      got.inheritable != sets.inheritable || BoundingSet() != plan.capabilities ||
      AmbientSet() != ambient) {
    return FailCapabilities(failure, 0, "the kernel set others than asked for");
  }
  return !plan.no_new_privs || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ||
         Fail(failure, "prctl", "PR_SET_NO_NEW_PRIVS");
}

bool SetSeccomp(const Plan& plan, Failure& failure) {
  if (plan.seccomp_size == 0) return true;
  const uint32_t count = plan.seccomp_size / sizeof(sock_filter);
  errno = EINVAL;
  if (plan.seccomp_size % sizeof(sock_filter) != 0 || count > BPF_MAXINSNS) {
    return Fail(failure, "seccomp");
  }
  const sock_fprog program{static_cast<unsigned short>(count),
                           reinterpret_cast<sock_filter*>(const_cast<uint8_t*>(plan.seccomp))};
  return sys::SetSeccompFilter(&program) == 0 || Fail(failure, "seccomp");
}

bool KeepOnlySignalling(Failure& failure) {
  const uint64_t kill = Bit(CAP_KILL);
  if (!LimitBoundingSet(0, failure)) return false;
  if (sys::CapSet({kill, kill, 0}) != 0) return Fail(failure, "capset");
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ||
         Fail(failure, "prctl", "PR_SET_NO_NEW_PRIVS");
}

}  // namespace minibox::init
