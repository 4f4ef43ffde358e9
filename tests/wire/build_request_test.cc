// SPDX-License-Identifier: Apache-2.0
#include "wire/build_request.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

StatusOr<BuildRequest> With(const std::string& field) {
  return ParseBuildRequest(R"({"image":"a","minibox":"FROM b\n","context":"/c",)" + field + "}");
}

TEST(BuildRequest, EveryFieldReachesItsMemberAndBack) {
  const auto request = With(
      R"("tags":["x:1"],"build_args":{"A":"1"},"labels":{"l":"v"},"target":"t","no_cache":true,
         "network":"none","source_date_epoch":7,"memory":64,"cpu":50,"pids_limit":9,
         "compression":"gzip","pull":false,"odd":1)");
  ASSERT_TRUE(request.ok()) << request.status().ToString();
  for (const BuildOptions& o :
       {request->options, ParseBuildRequest(ToJson(request->options))->options}) {
    EXPECT_EQ(o.image, "a");
    EXPECT_EQ(o.file_text, "FROM b\n");
    EXPECT_EQ(o.context, "/c");
    EXPECT_EQ(o.tags, std::vector<std::string>{"x:1"});
    EXPECT_EQ(o.args.at("A"), "1");
    EXPECT_EQ(o.labels.at("l"), "v");
    EXPECT_EQ(o.target, "t");
    EXPECT_FALSE(o.use_cache);
    EXPECT_EQ(o.network, "none");
    EXPECT_EQ(o.source_date_epoch, 7);
    EXPECT_EQ(o.step_resources.memory_bytes, 64 << 20);
    EXPECT_EQ(o.step_resources.cpu_quota_us, 50000);
    EXPECT_EQ(o.step_resources.pids, 9);
  }
  EXPECT_EQ(request->unknown_fields, std::vector<std::string>{"odd"});
}

TEST(BuildRequest, BlankTextIsRefused) {
  for (const char* body : {"{}", R"({"minibox":" \n\t"})", R"({"image":"a","minibox":null})"}) {
    const auto request = ParseBuildRequest(body);
    ASSERT_FALSE(request.ok());
    EXPECT_EQ(request.status().message(), "MiniBox content is required");
  }
}

TEST(BuildRequest, LaterFieldsAreRead) {
  const auto request = With(R"("pull":true,"platform":"linux/arm64/v8","secrets":{"a":"b\n"},)"
                            R"("compression":"zstd","keep_failed":"app:failed")");
  ASSERT_TRUE(request.ok()) << request.status().ToString();
  for (const auto& round : {*request, *ParseBuildRequest(ToJson(request->options))}) {
    EXPECT_EQ(round.options.pull, "always");
    EXPECT_EQ(round.options.platform.architecture, "arm64");
    EXPECT_EQ(round.options.platform.variant, "v8");
    EXPECT_EQ(round.options.secrets.at("a"), "b\n");
    EXPECT_EQ(round.options.compression, "zstd");
    EXPECT_EQ(round.options.keep_failed, "app:failed");
  }
  EXPECT_EQ(With(R"("platform":"arm64")").status().field(), "platform");
  EXPECT_EQ(With(R"("pull":false)")->options.pull, "missing");
  EXPECT_EQ(With(R"("pull":"never")")->options.pull, "never");
  EXPECT_EQ(With(R"("pull":1)").status().reason(), "invalid_request");
}

TEST(BuildRequest, WrongTypesNameTheField) {
  for (const auto& [field, name] : {std::pair{R"("tags":"a")", "tags"},
                                    {R"("build_args":{"A":1})", "build_args[\"A\"]"},
                                    {R"("source_date_epoch":-1)", "source_date_epoch"},
                                    {R"("no_cache":1)", "no_cache"}}) {
    EXPECT_EQ(With(field).status().field(), name);
  }
}

}  // namespace
}  // namespace minibox::wire
