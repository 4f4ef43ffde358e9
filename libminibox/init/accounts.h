// SPDX-License-Identifier: Apache-2.0
// Who the workload runs as (spec §12.7), from the bytes of the container's /etc/passwd and
// /etc/group, which are hostile. Pure; compiled by both worlds.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "init/text.h"

namespace minibox::init {

inline constexpr size_t kMaxAccountsFile = 1 << 20;
inline constexpr uint32_t kMaxGroups = 256;
inline constexpr uint32_t kMaxAccountText = 256;

struct Bytes {
  const char* data = nullptr;
  size_t size = 0;
};

struct Identity {
  uint32_t uid = 0, gid = 0;
  uint32_t group_count = 0;
  uint32_t groups[kMaxGroups];       // supplementary
  Text<kMaxAccountText> home, name;  // for HOME and USER
};

enum class AccountError { kNone, kUnknownUser, kUnknownGroup, kOutOfRange, kTooManyGroups };

// `user`: "name[:group]" or numbers; "" is 0:0. Ids are below `id_limit`.
AccountError ResolveIdentity(const char* user, Bytes passwd, Bytes group, uint64_t id_limit,
                             Identity* identity);

}  // namespace minibox::init
