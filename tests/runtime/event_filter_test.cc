// SPDX-License-Identifier: Apache-2.0
#include "runtime/event_filter.h"

#include <gtest/gtest.h>

namespace minibox::runtime {
namespace {

TEST(MatchesEvent, EachFilter) {
  Event event;
  event.type = "container.die";
  event.id = "0123abcd";
  event.attributes = {{"name", "web"}, {"image", "redis"}, {"project", "shop"}, {"tier", "front"}};
  const auto passes = [&](const EventOptions& options) { return MatchesEvent(event, options); };
  EXPECT_TRUE(passes({}));
  EXPECT_TRUE(passes({.types = {"container"}}));
  EXPECT_TRUE(passes({.types = {"image", "container.die"}}));
  EXPECT_FALSE(passes({.types = {"container.start"}}));
  EXPECT_TRUE(passes({.containers = {"0123"}}));
  EXPECT_TRUE(passes({.containers = {"web"}}));
  EXPECT_FALSE(passes({.containers = {"we"}}));
  EXPECT_TRUE(passes({.images = {"docker.io/library/redis:latest"}}));
  EXPECT_FALSE(passes({.images = {"redis:7"}}));
  EXPECT_TRUE(passes({.projects = {"shop"}}));
  EXPECT_FALSE(passes({.projects = {"other"}}));
  EXPECT_TRUE(passes({.labels = {"tier", "tier=front"}}));
  EXPECT_FALSE(passes({.labels = {"tier=front", "tier=back"}}));
  event.type = "image.tag";
  EXPECT_FALSE(passes({.containers = {"0123"}}));
  EXPECT_TRUE(passes({.images = {"web"}}));
}

}  // namespace
}  // namespace minibox::runtime
