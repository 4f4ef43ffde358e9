// SPDX-License-Identifier: Apache-2.0
#include "minibox/status.h"

#include <gtest/gtest.h>

#include <memory>

#include "core/status_macros.h"

namespace minibox {
namespace {

Status Sample() {
  return Status(StatusCode::kNotFound, "image not found",
                {.sys_errno = 2, .reason = "image_not_found", .field = "image"});
}

TEST(Status, DefaultIsOkAndEmpty) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kOk);
  EXPECT_EQ(status.message() + status.reason() + status.field(), "");
  EXPECT_EQ(status.sys_errno(), 0);
  EXPECT_EQ(status.ToString(), "OK");
}

TEST(Status, OkCodeMakesOkWhateverElseIsGiven) {
  EXPECT_TRUE(Status(StatusCode::kOk, "ignored", {.reason = "ignored"}).ok());
}

TEST(Status, CarriesEverything) {
  const Status status = Sample();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "image not found");
  EXPECT_EQ(status.reason(), "image_not_found");
  EXPECT_EQ(status.field(), "image");
  EXPECT_EQ(status.sys_errno(), 2);
  EXPECT_EQ(status.ToString(), "NOT_FOUND: image not found");
}

TEST(Status, ContextReasonAndFieldKeepTheRest) {
  const Status original = Sample();
  const Status changed = original.WithContext("run").WithReason("other").WithField("x");
  EXPECT_EQ(changed.message(), "run: image not found");
  EXPECT_EQ(changed.reason(), "other");
  EXPECT_EQ(changed.field(), "x");
  EXPECT_EQ(changed.code(), StatusCode::kNotFound);
  EXPECT_EQ(changed.sys_errno(), 2);
  EXPECT_EQ(original.message(), "image not found");
  EXPECT_EQ(original.reason(), "image_not_found");
}

TEST(Status, DecoratingOkGivesOk) {
  EXPECT_TRUE(Status().WithContext("a").WithReason("b").WithField("c").ok());
}

TEST(StatusOr, HoldsValueOrStatus) {
  StatusOr<std::string> value(std::string("v"));
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, "v");
  EXPECT_EQ(value->size(), 1u);
  EXPECT_TRUE(value.status().ok());
  const StatusOr<std::string> error(Sample());
  EXPECT_FALSE(error.ok());
  EXPECT_EQ(error.status().reason(), "image_not_found");
}

TEST(StatusOr, MovesOnlyTypesOut) {
  StatusOr<std::unique_ptr<int>> value(std::make_unique<int>(3));
  const std::unique_ptr<int> taken = *std::move(value);
  EXPECT_EQ(*taken, 3);
}

TEST(StatusOrDeathTest, DereferencingAnErrorAborts) {
  const StatusOr<int> error(Sample());
  EXPECT_DEATH((void)*error, "");
  EXPECT_DEATH(StatusOr<int>{Status()}, "");
}

StatusOr<int> Twice(StatusOr<int> input) {
  MBX_ASSIGN_OR_RETURN(const int value, std::move(input));
  MBX_RETURN_IF_ERROR(value < 0 ? Sample() : Status());
  return value * 2;
}

TEST(StatusMacros, ReturnTheFirstError) {
  EXPECT_EQ(*Twice(4), 8);
  EXPECT_EQ(Twice(-1).status().reason(), "image_not_found");
  EXPECT_EQ(Twice(Sample()).status().reason(), "image_not_found");
}

}  // namespace
}  // namespace minibox
