// SPDX-License-Identifier: Apache-2.0
// What runtime and build use of the network: reserve before the launch, attach between
// set-up and release, release at the end. All state is durable under NetworkOptions::state_dir
// and shared between processes under a lock.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "minibox/network.h"
#include "minibox/status.h"

namespace minibox::network {

struct EndpointRequest {
  std::string container{};  // container id, or the id of a build step
  std::string network = "bridge";
  std::string ip{};  // empty: assigned
  std::vector<PortMapping> ports{};
};

struct Endpoint {
  std::string network{}, ip{}, mac{}, gateway{};
  int prefix_length = 24;
  std::vector<PortMapping> ports{};  // host ports filled in
};

// An address and host ports that belong to a container before its namespace exists.
struct Reservation {
  Endpoint endpoint;
  std::vector<core::Fd> sockets{};  // bound to the host ports; hand them to the monitor
};

}  // namespace minibox::network

namespace minibox {
inline namespace v1 {

struct Network::Impl {
  virtual ~Impl() = default;

  virtual StatusOr<NetworkInfo> EnsureDefault() = 0;
  virtual StatusOr<std::vector<NetworkInfo>> List() = 0;
  virtual Status Remove(std::string_view name) = 0;
  virtual Status Reconcile(const std::vector<std::string>& live) = 0;

  // Leases an address and binds the host ports. kFailedPrecondition "port_in_use" (names the
  // port and, if known, the container), "address_in_use", "no_address". Leaves nothing on
  // failure. Sets the bridge up if it is missing.
  virtual StatusOr<network::Reservation> Reserve(const network::EndpointRequest& request) = 0;
  // Makes veth, addresses, routes and firewall entries for the namespace. `rtnetlink` is a
  // NETLINK_ROUTE socket inside `netns`. Both borrowed. `lo` is set up too.
  virtual Status Attach(const network::Endpoint& endpoint, std::string_view container, int netns,
                        int rtnetlink) = 0;
  // Removes everything of the container: links, firewall entries, published ports, lease.
  // Idempotent; collects errors and goes on; works when the namespace is gone.
  virtual Status Release(std::string_view container) = 0;
  // Only `lo` up, for network "none".
  virtual Status SetUpLoopback(int rtnetlink) = 0;
  // Text of resolv.conf for a container (spec §13.5); `dns` empty: the host's servers.
  virtual StatusOr<std::string> ResolvConf(const std::vector<std::string>& dns) = 0;
};

}  // namespace v1
}  // namespace minibox
