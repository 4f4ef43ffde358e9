// SPDX-License-Identifier: Apache-2.0
// What runtime and build use of the network: reserve before the launch, attach between
// set-up and release, release at the end. All state is durable under NetworkOptions::state_dir
// and shared between processes under a lock.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/fd.h"
#include "core/file_lock.h"
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
  // As long as this lives, no process's Reconcile takes the container for dead. Keep it until
  // the record that makes the container one of the `live` ones is durable.
  std::optional<core::FileLock> starting{};
};

// (key, value) of the sysctls that the namespace of a container on a bridge needs before
// Attach, in the form of LaunchSpec::sysctls: IPv6 is off on its interfaces (spec §13.1).
std::vector<std::pair<std::string, std::string>> NamespaceSysctls();

}  // namespace minibox::network

namespace minibox {
inline namespace v1 {

struct Network::Impl {
  // The one implementation; see Network::Open.
  static StatusOr<std::shared_ptr<Impl>> Open(const NetworkOptions& options);
  virtual ~Impl() = default;

  virtual StatusOr<NetworkInfo> EnsureDefault() = 0;
  virtual StatusOr<std::vector<NetworkInfo>> List() = 0;
  virtual Status Remove(std::string_view name) = 0;
  virtual Status Reconcile(const std::vector<std::string>& live) = 0;

  // Leases an address and binds the host ports; durable when it returns. What an earlier start
  // of the same container left is replaced. kFailedPrecondition "port_in_use" (names the port
  // and, if known, the container), "address_in_use", "no_address"; kNotFound
  // "network_not_found". Leaves nothing on failure. Sets the bridge up if it is missing, and
  // repairs bridge and firewall.
  virtual StatusOr<network::Reservation> Reserve(const network::EndpointRequest& request) = 0;
  // Makes veth, addresses, routes and firewall entries for the namespace. `rtnetlink` is a
  // NETLINK_ROUTE socket inside `netns`. Both borrowed. `lo` is set up too. After a failure no
  // link is left; the lease is, until Release.
  virtual Status Attach(const network::Endpoint& endpoint, std::string_view container, int netns,
                        int rtnetlink) = 0;
  // Removes everything of the container: firewall entries, published ports, lease. The link
  // goes with the namespace, unless that outlives the container: then Reconcile deletes it.
  // Idempotent; collects errors and goes on; works when the namespace is gone.
  virtual Status Release(std::string_view container) = 0;
  // Only `lo` up, for network "none".
  virtual Status SetUpLoopback(int rtnetlink) = 0;
  // Text of resolv.conf for a container (spec §13.5); `dns` empty: the host's servers.
  virtual StatusOr<std::string> ResolvConf(const std::vector<std::string>& dns) = 0;

 private:
  class OnBridges;
};

}  // namespace v1
}  // namespace minibox
