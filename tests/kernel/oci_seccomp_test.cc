// SPDX-License-Identifier: Apache-2.0
#include "kernel/oci_seccomp.h"

#include <gmock/gmock.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cerrno>

#include "core/strings.h"
#include "kernel/bpf_sim.h"
#include "kernel/capabilities.h"
#include "kernel/seccomp_profile.h"

namespace minibox::kernel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kEperm = SECCOMP_RET_ERRNO | EPERM;

uint32_t Answer(const std::string& program, int call, uint64_t first = 0, uint64_t second = 0,
                uint32_t arch = AuditArch(NativeSeccompArchs().front())) {
  struct seccomp_data data = {};
  data.nr = call;
  data.arch = arch;
  data.args[0] = first;
  data.args[1] = second;
  const auto answer = RunBpf(program, data);
  EXPECT_TRUE(answer.ok()) << answer.status().ToString();
  return answer.ok() ? *answer : 0;
}

std::string Compile(const std::string& profile, uint64_t capabilities = 0) {
  const auto compiled = CompileOciSeccomp(profile, capabilities);
  EXPECT_TRUE(compiled.ok()) << compiled.status().ToString();
  return compiled.ok() ? compiled->program : "";
}

std::string Rule(const std::string& rest) {
  return R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["getppid"],)" + rest + "}]}";
}

TEST(OciSeccomp, EveryAction) {
  const std::pair<const char*, uint32_t> rows[] = {
      {R"("action":"SCMP_ACT_ERRNO")", kEperm},
      {R"("action":"SCMP_ACT_ERRNO","errnoRet":38)", SECCOMP_RET_ERRNO | 38},
      {R"("action":"SCMP_ACT_TRACE","errnoRet":7)", SECCOMP_RET_TRACE | 7},
      {R"("action":"SCMP_ACT_KILL")", SECCOMP_RET_KILL_THREAD},
      {R"("action":"SCMP_ACT_KILL_THREAD")", SECCOMP_RET_KILL_THREAD},
      {R"("action":"SCMP_ACT_KILL_PROCESS")", SECCOMP_RET_KILL_PROCESS},
      {R"("action":"SCMP_ACT_TRAP")", SECCOMP_RET_TRAP},
      {R"("action":"SCMP_ACT_LOG")", SECCOMP_RET_LOG},
      {R"("action":"SCMP_ACT_ALLOW")", SECCOMP_RET_ALLOW},
  };
  for (const auto& [rule, answer] : rows) {
    const std::string program = Compile(Rule(rule));
    EXPECT_EQ(Answer(program, SYS_getppid), answer) << rule;
    EXPECT_EQ(Answer(program, SYS_getpid), SECCOMP_RET_ALLOW) << rule;
  }
}

TEST(OciSeccomp, DefaultActionAndLegacyName) {
  const std::string program = Compile(
      R"({"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":5,
          "syscalls":[{"name":"getppid","action":"SCMP_ACT_ALLOW","args":null,"comment":""}]})");
  EXPECT_EQ(Answer(program, SYS_getppid), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Answer(program, SYS_getpid), SECCOMP_RET_ERRNO | 5);
}

TEST(OciSeccomp, EveryOperator) {
  struct Row {
    const char* op;
    const char* values;
    uint64_t hit, miss;
  };
  for (const Row& row :
       {Row{"SCMP_CMP_EQ", R"("value":5000000000)", 5000000000, 705032704},
        Row{"SCMP_CMP_NE", R"("value":5)", 6, 5}, Row{"SCMP_CMP_LT", R"("value":5)", 4, 5},
        Row{"SCMP_CMP_LE", R"("value":5)", 5, 6}, Row{"SCMP_CMP_GE", R"("value":5)", 5, 4},
        Row{"SCMP_CMP_GT", R"("value":5)", 6, 5},
        Row{"SCMP_CMP_MASKED_EQ", R"("value":12,"valueTwo":4)", 5, 9}}) {
    const std::string program =
        Compile(Rule(core::StrCat(R"("action":"SCMP_ACT_ERRNO","args":[{"index":0,)", row.values,
                                  R"(,"op":")", row.op, R"("}])")));
    EXPECT_EQ(Answer(program, SYS_getppid, row.hit), kEperm) << row.op;
    EXPECT_EQ(Answer(program, SYS_getppid, row.miss), SECCOMP_RET_ALLOW) << row.op;
  }
}

TEST(OciSeccomp, ConditionsOfSeveralArgumentsHoldTogetherThoseOfOneAreAlternatives) {
  const std::string both = Compile(Rule(
      R"("action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},
         {"index":1,"value":2,"op":"SCMP_CMP_EQ"}])"));
  EXPECT_EQ(Answer(both, SYS_getppid, 1, 2), kEperm);
  EXPECT_EQ(Answer(both, SYS_getppid, 1, 3), SECCOMP_RET_ALLOW);
  const std::string either = Compile(Rule(
      R"("action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},
         {"index":0,"value":2,"op":"SCMP_CMP_EQ"}])"));
  EXPECT_EQ(Answer(either, SYS_getppid, 1), kEperm);
  EXPECT_EQ(Answer(either, SYS_getppid, 2), kEperm);
  EXPECT_EQ(Answer(either, SYS_getppid, 3), SECCOMP_RET_ALLOW);
}

TEST(OciSeccomp, IncludesAndExcludes) {
  const uint64_t admin = uint64_t{1} << *ParseCapability("SYS_ADMIN");
  struct Row {
    const char* condition;
    uint64_t capabilities;
    bool applies;
  };
  for (const Row& row : {
           Row{R"("includes":{"caps":["CAP_SYS_ADMIN"]})", admin, true},
           Row{R"("includes":{"caps":["CAP_SYS_ADMIN"]})", 0, false},
           Row{R"("includes":{"caps":["CAP_SYS_ADMIN","CAP_CHOWN"]})", admin, false},
           Row{R"("excludes":{"caps":["CAP_SYS_ADMIN"]})", admin, false},
           Row{R"("excludes":{"caps":["CAP_SYS_ADMIN"]})", 0, true},
           Row{R"("includes":{"arches":["amd64","arm64"]})", 0, true},
           Row{R"("includes":{"arches":["s390x"]})", 0, false},
           Row{R"("excludes":{"arches":["amd64","arm64"]})", 0, false},
           Row{R"("includes":{"minKernel":"4.8"})", 0, true},
           Row{R"("includes":{"minKernel":"999.0"})", 0, false},
           Row{R"("excludes":{"minKernel":"4.8"})", 0, false},
           Row{R"("includes":{},"excludes":{})", 0, true},
       }) {
    const std::string program = Compile(
        Rule(core::StrCat(R"("action":"SCMP_ACT_ERRNO",)", row.condition)), row.capabilities);
    EXPECT_EQ(Answer(program, SYS_getppid), row.applies ? kEperm : SECCOMP_RET_ALLOW)
        << row.condition << row.capabilities;
  }
}

TEST(OciSeccomp, UnknownCallsAreSkippedWithAWarning) {
  const auto compiled = CompileOciSeccomp(
      R"({"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_TSYNC"],
          "syscalls":[{"names":["no_such_call","getppid"],"action":"SCMP_ACT_ERRNO"}]})",
      0);
  ASSERT_TRUE(compiled.ok()) << compiled.status().ToString();
  EXPECT_THAT(compiled->warnings, ElementsAre(HasSubstr("'no_such_call'")));
  EXPECT_EQ(Answer(compiled->program, SYS_getppid), kEperm);
}

#if defined(__x86_64__)
TEST(OciSeccomp, OtherArchitecturesGetENOSYSUnlessNamed) {
  const std::string rules =
      R"("syscalls":[{"names":["getppid"],"action":"SCMP_ACT_KILL_PROCESS"}]})";
  const std::string alone = Compile(R"({"defaultAction":"SCMP_ACT_ALLOW",)" + rules);
  EXPECT_EQ(Answer(alone, 64, 0, 0, AUDIT_ARCH_I386), SECCOMP_RET_ERRNO | ENOSYS);
  constexpr int kX32 = 0x40000000;
  EXPECT_EQ(Answer(alone, SYS_getpid | kX32), SECCOMP_RET_ERRNO | ENOSYS);
  for (
      const char* also :
      {R"("architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_AARCH64"],)",
       R"("archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],)"}) {
    const std::string both =
        Compile(core::StrCat(R"({"defaultAction":"SCMP_ACT_ALLOW",)", also, rules));
    EXPECT_EQ(Answer(both, 64, 0, 0, AUDIT_ARCH_I386), SECCOMP_RET_KILL_PROCESS) << also;
    EXPECT_EQ(Answer(both, SYS_getppid), SECCOMP_RET_KILL_PROCESS) << also;
  }
}
#endif

TEST(OciSeccomp, WhatIsWrongIsNamed) {
  const auto rule = [](const char* rest) { return Rule(rest); };
  const std::pair<std::string, const char*> rows[] = {
      {"{", "seccomp"},
      {"[]", "seccomp"},
      {"{}", "seccomp.defaultAction"},
      {R"({"defaultAction":"ALLOW"})", "seccomp.defaultAction"},
      {R"({"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1})", "seccomp.defaultAction"},
      {R"({"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":5000})", "seccomp.defaultErrnoRet"},
      {R"({"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_VAX"]})",
       "seccomp.architectures[0]"},
      {R"({"defaultAction":"SCMP_ACT_ALLOW","flags":["X"]})", "seccomp.flags"},
      {R"({"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/x"})", "seccomp.listenerPath"},
      {R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}})", "seccomp.syscalls"},
      {R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ERRNO"}]})",
       "seccomp.syscalls[0].names"},
      {rule(R"("action":"SCMP_ACT_NOTIFY")"), "seccomp.syscalls[0].action"},
      {rule(R"("action":7)"), "seccomp.syscalls[0].action"},
      {rule(R"("action":"SCMP_ACT_ERRNO","errnoRet":-1)"), "seccomp.syscalls[0].errnoRet"},
      {rule(R"("action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}])"),
       "seccomp.syscalls[0].args[0].index"},
      {rule(R"("action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":0,"op":"=="}])"),
       "seccomp.syscalls[0].args[0].op"},
      {rule(R"("action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":-1,"op":"SCMP_CMP_EQ"}])"),
       "seccomp.syscalls[0].args[0].value"},
      {rule(R"("action":"SCMP_ACT_ERRNO","includes":{"caps":["CAP_FLY"]})"),
       "seccomp.syscalls[0].includes.caps"},
      {rule(R"("action":"SCMP_ACT_ERRNO","excludes":{"arches":["vax"]})"),
       "seccomp.syscalls[0].excludes.arches"},
      {rule(R"("action":"SCMP_ACT_ERRNO","includes":{"minKernel":"new"})"),
       "seccomp.syscalls[0].includes.minKernel"},
  };
  for (const auto& [profile, field] : rows) {
    const auto compiled = CompileOciSeccomp(profile, 0);
    ASSERT_FALSE(compiled.ok()) << profile;
    EXPECT_EQ(compiled.status().code(), StatusCode::kInvalidArgument) << profile;
    EXPECT_EQ(compiled.status().field(), field) << compiled.status().ToString();
  }
}

}  // namespace
}  // namespace minibox::kernel
