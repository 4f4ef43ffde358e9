// SPDX-License-Identifier: Apache-2.0
#include "runtime/config_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace minibox::runtime {
namespace {

using ::testing::ElementsAre;

TEST(ConfigChanges, EachInstruction) {
  oci::ImageConfig config;
  config.env = {"A=1", "B=2"};
  config.cmd = {"old"};
  ASSERT_TRUE(ApplyChanges({"ENV A=x", "env C three words", "LABEL k=\"v w\"", "WORKDIR /w",
                            "USER 1000:1000", "EXPOSE 80", "EXPOSE 53/udp", "VOLUME /data",
                            "STOPSIGNAL INT", "ENTRYPOINT [\"/e\"]", "CMD echo hi"},
                           config)
                  .ok());
  EXPECT_THAT(config.env, ElementsAre("A=x", "B=2", "C=three words"));
  EXPECT_EQ(config.labels.at("k"), "v w");
  EXPECT_EQ(config.working_dir, "/w");
  EXPECT_EQ(config.user, "1000:1000");
  EXPECT_THAT(config.exposed_ports, ElementsAre("53/udp", "80/tcp"));
  EXPECT_THAT(config.volumes, ElementsAre("/data"));
  EXPECT_EQ(config.stop_signal, "INT");
  EXPECT_THAT(config.entrypoint, ElementsAre("/e"));
  EXPECT_THAT(config.cmd, ElementsAre("/bin/sh", "-c", "echo hi"));
}

TEST(ConfigChanges, BadOnesAreNamed) {
  for (const char* bad :
       {"", "ENV", "ENV =x", "ENV x", "RUN true", "EXPOSE 0", "EXPOSE 80/sctp", "WORKDIR rel",
        "VOLUME rel", "STOPSIGNAL NOPE", "CMD [1]", "CMD [", "ENTRYPOINT"}) {
    oci::ImageConfig config;
    const Status applied = ApplyChanges({"USER root", bad}, config);
    EXPECT_EQ(applied.code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(applied.field(), "changes[1]") << bad;
  }
}

}  // namespace
}  // namespace minibox::runtime
