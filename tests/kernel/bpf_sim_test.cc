// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpf_sim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>

#include <cstddef>
#include <string>
#include <vector>

namespace minibox::kernel {
namespace {

using ::testing::HasSubstr;

std::string Bytes(const std::vector<struct sock_filter>& code) {
  return std::string(reinterpret_cast<const char*>(code.data()), code.size() * sizeof code[0]);
}

struct seccomp_data Call(int number) {
  struct seccomp_data data = {};
  data.nr = number;
  return data;
}

constexpr struct sock_filter kLoadNumber = {BPF_LD | BPF_W | BPF_ABS, 0, 0,
                                            offsetof(struct seccomp_data, nr)};
struct sock_filter Return(uint32_t value) {
  return {BPF_RET | BPF_K, 0, 0, value};
}
struct sock_filter Jump(uint16_t condition, uint32_t k) {
  return {static_cast<uint16_t>(BPF_JMP | condition | BPF_K), 0, 1, k};
}

TEST(BpfSim, Conditions) {
  const auto run = [](uint16_t condition, uint32_t k, int number) {
    return *RunBpf(Bytes({kLoadNumber, Jump(condition, k), Return(1), Return(0)}), Call(number));
  };
  EXPECT_EQ(run(BPF_JEQ, 5, 5), 1u);
  EXPECT_EQ(run(BPF_JEQ, 5, 6), 0u);
  EXPECT_EQ(run(BPF_JGE, 5, 5), 1u);
  EXPECT_EQ(run(BPF_JGE, 5, 4), 0u);
  EXPECT_EQ(run(BPF_JGT, 5, 5), 0u);
  EXPECT_EQ(run(BPF_JGT, 5, -1), 1u) << "comparisons are unsigned";
  EXPECT_EQ(run(BPF_JSET, 6, 9), 0u);
  EXPECT_EQ(run(BPF_JSET, 6, 10), 1u);
}

TEST(BpfSim, JumpAlwaysAndSteps) {
  int steps = 0;
  const struct sock_filter over = {BPF_JMP | BPF_JA, 0, 0, 1};
  EXPECT_EQ(*RunBpf(Bytes({over, Return(1), Return(2)}), Call(0), &steps), 2u);
  EXPECT_EQ(steps, 2);
}

TEST(BpfSim, WhatTheKernelWouldNotLoadIsRefused) {
  const auto refused = [](const std::vector<struct sock_filter>& code) {
    const auto answer = RunBpf(Bytes(code), Call(0));
    EXPECT_EQ(answer.status().code(), StatusCode::kInvalidArgument);
    return answer.status().message();
  };
  EXPECT_THAT(refused({}), HasSubstr("whole number"));
  EXPECT_THAT(refused({kLoadNumber}), HasSubstr("end of the program"));
  EXPECT_THAT(refused({{BPF_LD | BPF_W | BPF_ABS, 0, 0, 2}, Return(0)}), HasSubstr("bad load"));
  EXPECT_THAT(refused({{BPF_LD | BPF_W | BPF_ABS, 0, 0, sizeof(struct seccomp_data)}, Return(0)}),
              HasSubstr("bad load"));
  EXPECT_THAT(refused({Jump(BPF_JEQ, 0), Return(0)}), HasSubstr("jump out"));
  EXPECT_THAT(refused({{BPF_JMP | BPF_JA, 0, 0, 1}, Return(0)}), HasSubstr("jump out"));
  EXPECT_THAT(refused({{BPF_ST, 0, 0, 0}, Return(0)}), HasSubstr("unknown operation"));
  EXPECT_EQ(RunBpf("1234567", Call(0)).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace minibox::kernel
