// SPDX-License-Identifier: Apache-2.0
// Which address a container gets: the lowest that never was in use, then the one that has been
// free for longest, so that an address returns as late as possible to somebody else. Pure data;
// the caller makes it durable.
#pragma once

#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "network/ipv4.h"

namespace minibox::network {

struct AddressPool {
  // No address below it is unused: each is leased or in `released`.
  Ipv4 next = 0;
  // Used once and free now, the one free for longest first.
  std::vector<Ipv4> released{};
};

// Takes an address of `subnet` that is not in `leased`. kFailedPrecondition "no_address".
StatusOr<Ipv4> TakeAddress(const Subnet& subnet, const std::vector<Ipv4>& leased,
                           AddressPool* pool);
// Takes this one. kInvalidArgument if it is no address, kFailedPrecondition "address_in_use" if
// it is in `leased` or not one that containers of this subnet can have.
StatusOr<Ipv4> TakeAddress(const Subnet& subnet, const std::vector<Ipv4>& leased,
                           std::string_view requested, AddressPool* pool);
void ReturnAddress(Ipv4 address, AddressPool* pool);

}  // namespace minibox::network
