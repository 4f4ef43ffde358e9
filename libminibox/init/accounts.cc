// SPDX-License-Identifier: Apache-2.0
#include "init/accounts.h"

#include <string.h>

namespace minibox::init {
namespace {

constexpr uint64_t kNoId = UINT32_MAX;  // (uid_t)-1 means "unchanged" to the kernel

bool Equal(Bytes a, Bytes b) { return a.size == b.size && memcmp(a.data, b.data, a.size) == 0; }

// Cuts what is before `separator` off the front; all of it if there is none.
Bytes Cut(Bytes& rest, char separator) {
  const void* found = rest.size == 0 ? nullptr : memchr(rest.data, separator, rest.size);
  Bytes part = rest;
  if (found == nullptr) {
    rest = {rest.data + rest.size, 0};
    return part;
  }
  part.size = static_cast<size_t>(static_cast<const char*>(found) - rest.data);
  rest = {rest.data + part.size + 1, rest.size - part.size - 1};
  return part;
}

bool ParseId(Bytes text, uint64_t* id) {
  constexpr size_t kMaxDigits = 10;
  if (text.size == 0 || text.size > kMaxDigits) return false;
  uint64_t value = 0;
  for (size_t i = 0; i < text.size; ++i) {
    if (text.data[i] < '0' || text.data[i] > '9') return false;
    value = value * 10 + static_cast<uint64_t>(text.data[i] - '0');
  }
  *id = value;
  return true;
}

struct User {
  Bytes name, home;
  uint64_t uid, gid;
};

// Exactly the fields of a line; what has more or fewer is malformed.
template <size_t kCount>
bool SplitLine(Bytes line, Bytes (&fields)[kCount]) {
  for (size_t i = 0; i < kCount; ++i) {
    const size_t before = line.size;
    fields[i] = Cut(line, ':');
    // Every field but the last leaves at least its colon.
    const bool had_separator = fields[i].size < before;
    if (had_separator != (i + 1 < kCount)) return false;
  }
  return true;
}

bool ParseUser(Bytes line, User* user) {
  Bytes fields[7];
  if (!SplitLine(line, fields) || fields[0].size == 0) return false;
  user->name = fields[0];
  user->home = fields[5];
  return ParseId(fields[2], &user->uid) && ParseId(fields[3], &user->gid);
}

template <typename Match>
bool FindUser(Bytes passwd, const Match& match, User* user) {
  while (passwd.size > 0) {
    if (ParseUser(Cut(passwd, '\n'), user) && match(*user)) return true;
  }
  return false;
}

struct Group {
  Bytes name, members;
  uint64_t gid;
};

bool ParseGroup(Bytes line, Group* group) {
  Bytes fields[4];
  if (!SplitLine(line, fields) || fields[0].size == 0) return false;
  group->name = fields[0];
  group->members = fields[3];
  return ParseId(fields[2], &group->gid);
}

bool Lists(Bytes members, Bytes name) {
  while (members.size > 0) {
    if (Equal(Cut(members, ','), name)) return true;
  }
  return false;
}

AccountError AddSupplementary(Bytes groups, Bytes name, uint64_t id_limit, Identity* identity) {
  Group group;
  while (groups.size > 0) {
    if (!ParseGroup(Cut(groups, '\n'), &group) || !Lists(group.members, name)) continue;
    if (group.gid >= id_limit || group.gid == kNoId) return AccountError::kOutOfRange;
    if (identity->group_count == kMaxGroups) return AccountError::kTooManyGroups;
    identity->groups[identity->group_count++] = static_cast<uint32_t>(group.gid);
  }
  return AccountError::kNone;
}

AccountError ResolveGroup(Bytes wanted, Bytes groups, uint64_t* gid) {
  Group group;
  while (groups.size > 0) {
    if (ParseGroup(Cut(groups, '\n'), &group) && Equal(group.name, wanted)) {
      *gid = group.gid;
      return AccountError::kNone;
    }
  }
  return ParseId(wanted, gid) ? AccountError::kNone : AccountError::kUnknownGroup;
}

}  // namespace

AccountError ResolveIdentity(const char* user, Bytes passwd, Bytes group, uint64_t id_limit,
                             Identity* identity) {
  if (user[0] == '\0') user = "0:0";
  Bytes rest{user, strlen(user)};
  const Bytes user_part = Cut(rest, ':');
  const bool group_given = user[user_part.size] == ':';

  User entry;
  uint64_t number = 0;
  bool known = FindUser(
      passwd, [&](const User& u) { return Equal(u.name, user_part); }, &entry);
  if (!known) {
    if (!ParseId(user_part, &number)) return AccountError::kUnknownUser;
    known = FindUser(
        passwd, [&](const User& u) { return u.uid == number; }, &entry);
  }
  const uint64_t uid = known ? entry.uid : number;
  uint64_t gid = known ? entry.gid : number;
  if (group_given) {
    const AccountError error = ResolveGroup(rest, group, &gid);
    if (error != AccountError::kNone) return error;
  }
  if (uid >= id_limit || gid >= id_limit || uid == kNoId || gid == kNoId) {
    return AccountError::kOutOfRange;
  }
  identity->uid = static_cast<uint32_t>(uid);
  identity->gid = static_cast<uint32_t>(gid);
  identity->group_count = 0;
  if (known) {
    identity->name.Append(entry.name.data, entry.name.size);
    identity->home.Append(entry.home.data, entry.home.size);
  } else {
    identity->name << uid;
  }
  if (identity->home.cut()) identity->home = {};
  if (identity->home.size() == 0) identity->home << (uid == 0 ? "/root" : "/");
  if (!known || group_given) return AccountError::kNone;
  return AddSupplementary(group, entry.name, id_limit, identity);
}

}  // namespace minibox::init
