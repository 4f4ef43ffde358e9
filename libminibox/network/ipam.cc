// SPDX-License-Identifier: Apache-2.0
#include "network/ipam.h"

#include <algorithm>
#include <unordered_set>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::network {

StatusOr<Ipv4> TakeAddress(const Subnet& subnet, const std::vector<Ipv4>& leased,
                           AddressPool* pool) {
  std::unordered_set<Ipv4> used(leased.begin(), leased.end());
  used.insert(pool->released.begin(), pool->released.end());
  Ipv4 candidate = std::max(pool->next, subnet.first());
  while (candidate <= subnet.last() && used.contains(candidate)) ++candidate;
  if (candidate <= subnet.last()) {
    pool->next = candidate + 1;
    return candidate;
  }
  pool->next = candidate;
  // A reserved address is free and yet not for everybody.
  const auto oldest = std::find_if(pool->released.begin(), pool->released.end(), [&](Ipv4 address) {
    return std::find(leased.begin(), leased.end(), address) == leased.end();
  });
  if (oldest == pool->released.end()) {
    return core::FailedPrecondition(
        "no_address", core::StrCat("no address is free in the subnet ", subnet.ToString()));
  }
  candidate = *oldest;
  pool->released.erase(oldest);
  return candidate;
}

StatusOr<Ipv4> TakeAddress(const Subnet& subnet, const std::vector<Ipv4>& leased,
                           std::string_view requested, AddressPool* pool) {
  const auto address = ParseIpv4(requested);
  if (!address) {
    return core::InvalidArgument(
        "ip", core::StrCat("'", core::EscapeControl(requested), "' is not an IPv4 address"));
  }
  if (!subnet.Contains(*address) || *address < subnet.first() || *address > subnet.last()) {
    return core::FailedPrecondition(
               "address_in_use",
               core::StrCat("address ", requested,
                            " is not one of the addresses for containers in ", subnet.ToString()))
        .WithField("ip");
  }
  if (std::find(leased.begin(), leased.end(), *address) != leased.end()) {
    return core::FailedPrecondition("address_in_use",
                                    core::StrCat("address ", requested, " is in use"))
        .WithField("ip");
  }
  std::erase(pool->released, *address);
  return *address;
}

void ReturnAddress(Ipv4 address, AddressPool* pool) { pool->released.push_back(address); }

}  // namespace minibox::network
