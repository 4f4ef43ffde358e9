// SPDX-License-Identifier: Apache-2.0
#include "build/owners.h"

#include <memory>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "init/accounts.h"

namespace minibox::build {
namespace {

constexpr uint64_t kIdLimit = uint64_t{1} << 32;

StatusOr<std::string> ReadAccounts(const core::RootDir& root, const char* path) {
  auto text = root.ReadFile(path, init::kMaxAccountsFile);
  if (!text.ok() && text.status().code() == StatusCode::kNotFound) return std::string();
  return text;
}

}  // namespace

StatusOr<Owner> LookUpOwner(const core::RootDir& root, const std::string& user) {
  if (user.empty()) return Owner{};
  MBX_ASSIGN_OR_RETURN(const std::string passwd, ReadAccounts(root, "etc/passwd"));
  MBX_ASSIGN_OR_RETURN(const std::string group, ReadAccounts(root, "etc/group"));
  const auto identity = std::make_unique<init::Identity>();
  const init::AccountError error =
      init::ResolveIdentity(user.c_str(), {passwd.data(), passwd.size()},
                            {group.data(), group.size()}, kIdLimit, identity.get());
  switch (error) {
    case init::AccountError::kNone:
    case init::AccountError::kTooManyGroups:  // supplementary ones, which own nothing
      return Owner{identity->uid, identity->gid};
    case init::AccountError::kUnknownGroup:
      return core::InvalidArgument("user", core::StrCat("unknown group in '", user, "'"));
    default:
      return core::InvalidArgument("user", core::StrCat("unknown user '", user, "'"));
  }
}

}  // namespace minibox::build
