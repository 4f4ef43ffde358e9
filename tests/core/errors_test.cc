// SPDX-License-Identifier: Apache-2.0
#include "core/errors.h"

#include <gtest/gtest.h>

#include "core/check.h"

namespace minibox::core {
namespace {

TEST(Errors, SysErrorReadsErrno) {
  errno = EACCES;
  const Status status = SysError("openat2", "/x/y");
  EXPECT_EQ(status.message(), "openat2 /x/y: Permission denied");
  EXPECT_EQ(status.sys_errno(), EACCES);
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied);
}

TEST(Errors, SysErrorMapsErrnos) {
  const struct {
    int err;
    StatusCode code;
    const char* reason;
  } kCases[] = {{ENOENT, StatusCode::kNotFound, ""},
                {EPERM, StatusCode::kPermissionDenied, ""},
                {EROFS, StatusCode::kPermissionDenied, ""},
                {EEXIST, StatusCode::kAlreadyExists, ""},
                {ENOSPC, StatusCode::kResourceExhausted, "no_space"},
                {EDQUOT, StatusCode::kResourceExhausted, "no_space"},
                {ENOMEM, StatusCode::kResourceExhausted, ""},
                {EINVAL, StatusCode::kInvalidArgument, ""},
                {EIO, StatusCode::kInternal, ""}};
  for (const auto& c : kCases) {
    const Status status = SysError("call", "", c.err);
    EXPECT_EQ(status.code(), c.code) << c.err;
    EXPECT_EQ(status.reason(), c.reason) << c.err;
    EXPECT_EQ(status.sys_errno(), c.err);
  }
}

TEST(Errors, UnknownErrnoStaysReadable) {
  EXPECT_EQ(SysError("call", "x", 4711).message(), "call x: error 4711");
}

TEST(Errors, InvalidArgumentNamesTheField) {
  const Status status = InvalidArgument("workdir", "must be absolute");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.reason(), "invalid_argument");
  EXPECT_EQ(status.field(), "workdir");
  EXPECT_EQ(status.message(), "workdir: must be absolute");
}

TEST(Errors, OthersHaveTheirCodeAndReason) {
  EXPECT_EQ(NotFound("image_not_found", "m").code(), StatusCode::kNotFound);
  EXPECT_EQ(NotFound("image_not_found", "m").reason(), "image_not_found");
  EXPECT_EQ(FailedPrecondition("image_in_use", "m").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Internal("m").code(), StatusCode::kInternal);
  EXPECT_EQ(DataLoss("m").reason(), "data_loss");
  EXPECT_EQ(Cancelled("pull").code(), StatusCode::kCancelled);
  EXPECT_EQ(Cancelled("pull").message(), "pull: cancelled");
}

TEST(CheckDeathTest, AbortsOnlyWhenTheConditionFails) {
  MBX_CHECK(1 + 1 == 2);
  EXPECT_DEATH(MBX_CHECK(1 + 1 == 3), "");
}

}  // namespace
}  // namespace minibox::core
