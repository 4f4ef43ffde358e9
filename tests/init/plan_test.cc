// SPDX-License-Identifier: Apache-2.0
#include "init/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "init/spec_codec.h"

namespace minibox::init {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StrEq;

LaunchSpec FullSpec() {
  LaunchSpec spec;
  spec.id = "0badcafe";
  spec.hostname = "box";
  spec.id_base = 200000;
  spec.id_count = 1000;
  spec.net = LaunchSpec::Net::kHost;
  spec.lowers = {"layers/b", "layers/a"};
  spec.upper = "containers/x/upper";
  spec.work = "containers/x/work";
  spec.read_only_root = true;
  spec.root_form = LaunchSpec::RootForm::kPaths;
  spec.mounts = {{.kind = MountOp::Kind::kProc, .target = "/proc", .attributes = 7},
                 {.kind = MountOp::Kind::kTmpfs, .target = "/t", .data = "size=1m,mode=700"},
                 {.kind = MountOp::Kind::kBind,
                  .target = "/data",
                  .fd_index = 1,
                  .recursive = true,
                  .id_mapped = true,
                  .copy_up = true,
                  .propagation = 1 << 19}};
  spec.masked_paths = {"/proc/keys", "/proc/kcore"};
  spec.read_only_paths = {"/proc/sys"};
  spec.sysctls = {{"net/ipv4/ip_forward", "1"}, {"kernel/shmmax", ""}};
  spec.rlimits = {{.resource = 7, .soft = 10, .hard = UINT64_MAX, .best_effort = true}};
  spec.oom_score_adj = -5;
  spec.argv = {"sh", "-c", "", "echo 'a b'\n"};
  spec.env = {"A=1", "B="};
  spec.working_dir = "/w d";
  spec.user = "nobody:users";
  spec.capabilities = 0xa80425fb;
  spec.ambient = 0x400;
  spec.no_new_privs = false;
  spec.seccomp_program = std::string("\0\1\2\3\4\5\6\7", 8);
  spec.init = false;
  spec.timeout_ms = 1234;
  spec.log = false;
  spec.record_exit = false;
  spec.merge_output = true;
  spec.log_max_bytes = 99;
  spec.log_max_files = 7;
  return spec;
}

constexpr LaunchFdCounts kFds{.data_root = 1, .run_dir = 1, .cgroup_tasks = 3, .binds = 2};

std::string Encode(const LaunchSpec& spec) {
  auto bytes = EncodeLaunchSpec(spec, kFds, "/minibox/0badcafe");
  EXPECT_TRUE(bytes.ok()) << bytes.status().ToString();
  return bytes.ok() ? *bytes : "";
}

bool Decode(std::string_view bytes, Arena& arena, Plan* plan) {
  const char* why = nullptr;
  return DecodePlan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), arena, plan,
                    &why);
}

template <typename T>
std::vector<std::string> Strings(const List<T>& list) {
  return {list.begin(), list.end()};
}

TEST(Plan, KeepsEverythingOfASpec) {
  const std::string bytes = Encode(FullSpec());
  Arena arena;
  Plan plan;
  ASSERT_TRUE(Decode(bytes, arena, &plan));
  EXPECT_EQ(plan.fds.binds, 2u);
  EXPECT_EQ(plan.fds.cgroup_tasks, 3u);
  EXPECT_EQ(plan.fds.container_dir, 0);
  EXPECT_THAT(plan.id, StrEq("0badcafe"));
  EXPECT_THAT(plan.hostname, StrEq("box"));
  EXPECT_THAT(plan.cgroup_path, StrEq("/minibox/0badcafe"));
  EXPECT_TRUE(plan.user_namespace);
  EXPECT_EQ(plan.id_base, 200000u);
  EXPECT_EQ(plan.id_count, 1000u);
  EXPECT_FALSE(plan.new_network);
  EXPECT_TRUE(plan.read_only_root);
  EXPECT_EQ(plan.root_form, RootForm::kPaths);
  EXPECT_THAT(Strings(plan.lowers), ElementsAre("layers/b", "layers/a"));
  EXPECT_THAT(plan.upper, StrEq("containers/x/upper"));
  EXPECT_THAT(plan.work, StrEq("containers/x/work"));
  ASSERT_EQ(plan.mounts.size, 3u);
  EXPECT_EQ(plan.mounts[0].kind, PlannedMount::Kind::kProc);
  EXPECT_EQ(plan.mounts[0].attributes, 7u);
  EXPECT_THAT(plan.mounts[1].data, StrEq("size=1m,mode=700"));
  EXPECT_THAT(plan.mounts[2].target, StrEq("/data"));
  EXPECT_EQ(plan.mounts[2].fd_index, 1);
  EXPECT_TRUE(plan.mounts[2].recursive && plan.mounts[2].id_mapped && plan.mounts[2].copy_up);
  EXPECT_EQ(plan.mounts[2].propagation, uint64_t{1} << 19);
  EXPECT_THAT(Strings(plan.masked_paths), ElementsAre("/proc/keys", "/proc/kcore"));
  EXPECT_THAT(Strings(plan.read_only_paths), ElementsAre("/proc/sys"));
  ASSERT_EQ(plan.sysctls.size, 2u);
  EXPECT_THAT(plan.sysctls[0].key, StrEq("net/ipv4/ip_forward"));
  EXPECT_THAT(plan.sysctls[1].value, StrEq(""));
  ASSERT_EQ(plan.rlimits.size, 1u);
  EXPECT_EQ(plan.rlimits[0].hard, UINT64_MAX);
  EXPECT_TRUE(plan.rlimits[0].best_effort);
  EXPECT_TRUE(plan.has_oom_score_adj);
  EXPECT_EQ(plan.oom_score_adj, -5);
  EXPECT_THAT(Strings(plan.argv), ElementsAre("sh", "-c", "", "echo 'a b'\n"));
  EXPECT_THAT(Strings(plan.env), ElementsAre("A=1", "B="));
  EXPECT_THAT(plan.working_dir, StrEq("/w d"));
  EXPECT_THAT(plan.user, StrEq("nobody:users"));
  EXPECT_EQ(plan.capabilities, 0xa80425fbu);
  EXPECT_EQ(plan.ambient, 0x400u);
  EXPECT_FALSE(plan.no_new_privs);
  EXPECT_FALSE(plan.init);
  ASSERT_EQ(plan.seccomp_size, 8u);
  EXPECT_EQ(plan.seccomp[7], 7);
  EXPECT_EQ(plan.timeout_ms, 1234u);
  EXPECT_FALSE(plan.log);
  EXPECT_FALSE(plan.record_exit);
  EXPECT_TRUE(plan.merge_output);
  EXPECT_EQ(plan.log_max_bytes, 99u);
  EXPECT_EQ(plan.log_max_files, 7);
}

TEST(Plan, HasRoomBehindArgvAndEnv) {
  LaunchSpec spec = FullSpec();
  spec.env.clear();
  const std::string bytes = Encode(spec);
  Arena arena;
  Plan plan;
  ASSERT_TRUE(Decode(bytes, arena, &plan));
  EXPECT_EQ(plan.argv.data[plan.argv.size], nullptr);
  EXPECT_THAT(Strings(plan.env), IsEmpty());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(plan.env.data[i], nullptr);
}

TEST(Plan, HoldsMoreLayersThanABlockOfTheArena) {
  LaunchSpec spec = FullSpec();
  spec.lowers.assign(20000, "layers/some-layer");
  const std::string bytes = Encode(spec);
  Arena arena;
  Plan plan;
  ASSERT_TRUE(Decode(bytes, arena, &plan));
  ASSERT_EQ(plan.lowers.size, 20000u);
  EXPECT_THAT(plan.lowers[19999], StrEq("layers/some-layer"));
}

TEST(Plan, RefusesEveryTruncation) {
  const std::string bytes = Encode(FullSpec());
  for (size_t size = 0; size < bytes.size(); ++size) {
    // A copy of exactly that size, so that a sanitizer sees a step too far.
    const std::vector<char> part(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    Arena arena;
    Plan plan;
    // At the end of a record what is left may be complete in itself; it must still be sound.
    if (Decode({part.data(), part.size()}, arena, &plan)) {
      EXPECT_GT(plan.argv.size, 0u);
    }
  }
}

TEST(Plan, SurvivesDamage) {
  const std::string bytes = Encode(FullSpec());
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<char> damaged(bytes.begin(), bytes.end());
    for (int i = 0; i < 3; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
    Arena arena;
    Plan plan;
    if (!Decode({damaged.data(), damaged.size()}, arena, &plan)) continue;
    for (const PlannedMount& mount : plan.mounts) {
      if (mount.kind == PlannedMount::Kind::kBind) {
        EXPECT_LT(static_cast<uint32_t>(mount.fd_index), plan.fds.binds);
      }
    }
  }
}

TEST(EncodeLaunchSpec, RefusesWhatCannotBeSent) {
  LaunchSpec spec = FullSpec();
  spec.argv = {};
  EXPECT_EQ(EncodeLaunchSpec(spec, kFds, "").status().reason(), "command_missing");
  spec = FullSpec();
  spec.env = {std::string("A=\0B", 4)};
  EXPECT_EQ(EncodeLaunchSpec(spec, kFds, "").status().field(), "env");
  spec = FullSpec();
  spec.mounts[2].fd_index = 2;
  EXPECT_EQ(EncodeLaunchSpec(spec, kFds, "").status().code(), StatusCode::kInvalidArgument);
  spec = FullSpec();
  spec.argv.push_back(std::string(kMaxLaunchBytes, 'x'));
  EXPECT_EQ(EncodeLaunchSpec(spec, kFds, "").status().field(), "command");
}

}  // namespace
}  // namespace minibox::init
