// SPDX-License-Identifier: Apache-2.0
#include "kernel/seccomp.h"

#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/check.h"
#include "core/errors.h"
#include "core/status_macros.h"

namespace minibox::kernel {
namespace {

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kEperm = SECCOMP_RET_ERRNO | EPERM;
constexpr uint32_t kEnosys = SECCOMP_RET_ERRNO | ENOSYS;

constexpr uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr uint32_t kFamilyAlg = 38, kFamilyVsock = 40;
// PER_LINUX and PER_LINUX32, each with or without UNAME26; and the question for the present one.
constexpr uint32_t kPersonalityBits = 0x20008, kPersonalityQuery = 0xffffffff;

// Numbers that a row of equality tests singles out, before another halving pays.
constexpr size_t kRowLength = 3;

// The instructions for one architecture, entered with the number in the accumulator. Jumps
// of a condition reach 255 instructions, so every section has its own returns.
class Section {
 public:
  explicit Section(const std::vector<SyscallRange>& ranges) : ranges_(ranges) {}

  StatusOr<std::vector<struct sock_filter>> Emit() {
    Search(0, ranges_.size());
    EmitOutcomes();
    for (const Jump& jump : jumps_) {
      const size_t distance = Position(jump.target) - jump.from - 1;
      if (distance > 255) return core::Internal("seccomp profile too large for its jumps");
      (jump.if_true ? code_[jump.from].jt : code_[jump.from].jf) = static_cast<uint8_t>(distance);
    }
    return std::move(code_);
  }

 private:
  // Where a branch goes: an outcome, or an instruction.
  struct Target {
    bool is_outcome = true;
    SeccompOutcome outcome = SeccompOutcome::kEnosys;
    size_t position = 0;
  };
  struct Jump {
    size_t from = 0;
    bool if_true = true;
    Target target{};
  };
  static Target To(SeccompOutcome outcome) { return {true, outcome, 0}; }
  static Target To(size_t position) { return {false, {}, position}; }

  size_t Position(const Target& target) const {
    return target.is_outcome ? outcome_at_[static_cast<size_t>(target.outcome)] : target.position;
  }
  uint32_t Length(size_t range) const {
    return range + 1 < ranges_.size() ? ranges_[range + 1].first - ranges_[range].first
                                      : UINT32_MAX;
  }

  size_t Add(uint16_t operation, uint32_t k) {
    code_.push_back({operation, 0, 0, k});
    return code_.size() - 1;
  }
  void Branch(size_t from, bool if_true, Target target) {
    jumps_.push_back({from, if_true, target});
    if (target.is_outcome) used_[static_cast<size_t>(target.outcome)] = true;
  }

  // How many equality tests a row over [begin, end) takes if all that its tests do not catch
  // has the outcome `rest`; more than kRowLength if a row will not do.
  size_t RowTests(size_t begin, size_t end, SeccompOutcome rest) const {
    size_t tests = 0;
    for (size_t i = begin; i < end && tests <= kRowLength; ++i) {
      if (ranges_[i].outcome != rest) tests += std::min<size_t>(Length(i), kRowLength + 1);
    }
    return tests;
  }

  // Emits what finds the outcome among ranges [begin, end).
  Target Search(size_t begin, size_t end) {
    if (end - begin == 1) return To(ranges_[begin].outcome);
    for (const SeccompOutcome rest : {SeccompOutcome::kAllow, SeccompOutcome::kEperm}) {
      const size_t tests = RowTests(begin, end, rest);
      // Two ranges are told apart by one comparison.
      if (tests <= kRowLength && tests < end - begin) return Row(begin, end, rest);
    }
    const size_t middle = Middle(begin, end);
    const size_t at = Add(BPF_JMP | BPF_JGE | BPF_K, ranges_[middle].first);
    // One after the other: the first emits the instructions that follow.
    const Target below = Search(begin, middle);
    Branch(at, false, below);
    const Target above = Search(middle, end);
    Branch(at, true, above);
    return To(at);
  }

  Target Row(size_t begin, size_t end, SeccompOutcome rest) {
    const size_t start = code_.size();
    for (size_t i = begin; i < end; ++i) {
      if (ranges_[i].outcome == rest) continue;
      for (uint32_t n = 0; n < Length(i); ++n) {
        const size_t at = Add(BPF_JMP | BPF_JEQ | BPF_K, ranges_[i].first + n);
        Branch(at, true, To(ranges_[i].outcome));
        Branch(at, false, To(at + 1));
      }
    }
    jumps_.back().target = To(rest);
    used_[static_cast<size_t>(rest)] = true;
    return To(start);
  }

  // The range to cut before: of those near the middle one that is allowed, so that the numbers
  // singled out stay whole.
  size_t Middle(size_t begin, size_t end) const {
    const size_t middle = begin + (end - begin) / 2;
    const bool allowed = ranges_[middle].outcome == SeccompOutcome::kAllow;
    return allowed || middle + 1 >= end ? middle : middle + 1;
  }

  void EmitOutcomes() {
    const auto emit = [&](SeccompOutcome outcome, auto body) {
      if (!used_[static_cast<size_t>(outcome)]) return;
      outcome_at_[static_cast<size_t>(outcome)] = code_.size();
      body();
    };
    const auto load_argument = [&] {
      // The low half of the first argument, which is all that the kernel looks at.
      Add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args));
    };
    const auto test = [&](uint16_t condition, uint32_t k, SeccompOutcome then) {
      const size_t at = Add(BPF_JMP | condition | BPF_K, k);
      Branch(at, true, To(then));
      Branch(at, false, To(at + 1));
    };
    const auto otherwise = [&](SeccompOutcome outcome) {
      jumps_.back().target = To(outcome);
      used_[static_cast<size_t>(outcome)] = true;
    };
    emit(SeccompOutcome::kCloneFlags, [&] {
      load_argument();
      test(BPF_JSET, kNewNamespaces, SeccompOutcome::kEperm);
      otherwise(SeccompOutcome::kAllow);
    });
    emit(SeccompOutcome::kSocketFamily, [&] {
      load_argument();
      test(BPF_JEQ, kFamilyAlg, SeccompOutcome::kEperm);
      test(BPF_JEQ, kFamilyVsock, SeccompOutcome::kEperm);
      otherwise(SeccompOutcome::kAllow);
    });
    emit(SeccompOutcome::kPersonality, [&] {
      load_argument();
      test(BPF_JEQ, kPersonalityQuery, SeccompOutcome::kAllow);
      test(BPF_JSET, ~kPersonalityBits, SeccompOutcome::kEperm);
      otherwise(SeccompOutcome::kAllow);
    });
    emit(SeccompOutcome::kAllow, [&] { Add(BPF_RET | BPF_K, kAllow); });
    emit(SeccompOutcome::kEperm, [&] { Add(BPF_RET | BPF_K, kEperm); });
    emit(SeccompOutcome::kEnosys, [&] { Add(BPF_RET | BPF_K, kEnosys); });
  }

  const std::vector<SyscallRange>& ranges_;
  std::vector<struct sock_filter> code_;
  std::vector<Jump> jumps_;
  std::array<bool, 6> used_{};
  std::array<size_t, 6> outcome_at_{};
};

struct ProgramCache {
  absl::Mutex mutex;
  std::map<uint64_t, std::string> programs ABSL_GUARDED_BY(mutex);
};

// Containers ask for a handful of sets; a host that asks for more compiles again.
constexpr size_t kCachedPrograms = 64;

}  // namespace

StatusOr<std::string> CompileSeccomp(const std::vector<ArchProfile>& profiles) {
  std::vector<struct sock_filter> code;
  code.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch)});
  for (const ArchProfile& profile : profiles) {
    MBX_CHECK(!profile.ranges.empty() && profile.ranges.front().first == 0);
    MBX_ASSIGN_OR_RETURN(const auto section, Section(profile.ranges).Emit());
    // A conditional jump would not reach over a section.
    code.push_back({BPF_JMP | BPF_JEQ | BPF_K, 1, 0, profile.audit_arch});
    code.push_back({BPF_JMP | BPF_JA, 0, 0, static_cast<uint32_t>(section.size() + 1)});
    code.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)});
    code.insert(code.end(), section.begin(), section.end());
  }
  code.push_back({BPF_RET | BPF_K, 0, 0, kEnosys});
  return std::string(reinterpret_cast<const char*>(code.data()), code.size() * sizeof code[0]);
}

StatusOr<std::string> DefaultSeccompProgram(uint64_t capabilities) {
  static auto& cache = *new ProgramCache;
  {
    absl::MutexLock lock(&cache.mutex);
    if (auto found = cache.programs.find(capabilities); found != cache.programs.end()) {
      return found->second;
    }
  }
  std::vector<ArchProfile> profiles;
  for (const SeccompArch arch : NativeSeccompArchs()) {
    profiles.push_back({AuditArch(arch), DefaultSeccompProfile(arch, capabilities)});
  }
  auto program = CompileSeccomp(profiles);
  if (!program.ok()) return program;
  absl::MutexLock lock(&cache.mutex);
  if (cache.programs.size() < kCachedPrograms) cache.programs.emplace(capabilities, *program);
  return program;
}

}  // namespace minibox::kernel
