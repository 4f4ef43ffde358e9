// SPDX-License-Identifier: Apache-2.0
// What runtime and build use of the network: reserve before the launch, attach between
// set-up and release, release at the end. All state is durable under NetworkOptions::state_dir
// and shared between processes under a lock.
#pragma once

#include <functional>
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
  std::string container{};         // container id, or the id of a build step
  std::string network = "bridge";  // comma list: eth0, eth1, …; the first has the ports
  std::string ip{};                // on the first network; empty: assigned
  std::vector<PortMapping> ports{};
  std::string mac{};  // on the first network; empty: made from the address
  // For the name servers: what the container is called, whom it may see on the default network,
  // and which servers know all other names for it (empty: the host's).
  std::vector<std::string> names{};
  std::string project{};
  std::vector<std::string> dns{};
  std::vector<std::string> host_names{};  // for hosts files of siblings
};

// A container on a network.
struct Member {
  std::string container{}, network{}, ip{};
  std::vector<std::string> host_names{};
};

struct Endpoint {
  std::string network{}, ip{}, mac{}, gateway{};
  int prefix_length = 24;
  std::vector<PortMapping> ports{};  // host ports filled in
  int index = 0;                     // of eth<index>
  bool default_route = true;
  // Empty without IPv6.
  std::string ip6{}, gateway6{};
  int prefix_length6 = 64;
};

// An address and host ports that belong to a container before its namespace exists.
struct Reservation {
  Endpoint endpoint;                // on the first network
  std::vector<Endpoint> further{};  // eth1, …
  std::vector<std::string> warnings{};
  std::vector<core::Fd> sockets{};  // bound to the host ports; hand them to the monitor
  // As long as this lives, no process's Reconcile takes the container for dead. Keep it until
  // the record that makes the container one of the `live` ones is durable.
  std::optional<core::FileLock> starting{};
};

// (key, value) of the sysctls that the namespace of a container on a bridge needs before
// Attach, in the form of LaunchSpec::sysctls: IPv6 is off on its interfaces (spec §13.1), until
// Attach turns it on where the network has it.
std::vector<std::pair<std::string, std::string>> NamespaceSysctls();

struct LiveContainer {
  std::string id{};
  int pid = 0;  // of its PID 1, for links that have to be made again; 0: unknown
};

}  // namespace minibox::network

namespace minibox {
inline namespace v1 {

struct Network::Impl {
  // The one implementation; see Network::Open.
  static StatusOr<std::shared_ptr<Impl>> Open(const NetworkOptions& options);
  virtual ~Impl() = default;

  virtual StatusOr<NetworkInfo> EnsureDefault() = 0;
  virtual StatusOr<std::vector<NetworkInfo>> List() = 0;
  virtual StatusOr<NetworkInfo> Inspect(std::string_view name) = 0;
  virtual StatusOr<NetworkInfo> Create(const NetworkSpec& spec) = 0;
  virtual Status Remove(std::string_view name) = 0;
  // `list_live` is called under the lock, when it is known which containers are starting: one
  // that it does not list and that does not start is gone for sure.
  virtual Status ReconcileWith(
      const std::function<StatusOr<std::vector<network::LiveContainer>>()>& list_live) = 0;
  Status Reconcile(const std::vector<network::LiveContainer>& live) {
    return ReconcileWith([&live] { return StatusOr(live); });
  }
  virtual StatusOr<std::vector<std::string>> Warnings() = 0;
  virtual void SetApiListener(std::string_view ip, uint16_t port) = 0;

  // Whether a container can ask for these networks, this address and this MAC address, which
  // are its own from now on until Forget. Errors as of Reserve. Durable.
  virtual Status Claim(const network::EndpointRequest& request) = 0;
  // The container is no more. Idempotent.
  virtual Status Forget(std::string_view container) = 0;
  // Forget of all that do not exist any more.
  virtual Status ForgetGone(const std::function<bool(const std::string& container)>& exists) = 0;

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
  // The container is called something else from now on.
  virtual Status Rename(std::string_view container, const std::vector<std::string>& names,
                        const std::vector<std::string>& host_names) = 0;
  // The containers of a project that run or start, by network.
  virtual StatusOr<std::vector<network::Member>> MembersOf(std::string_view project) = 0;
  // Only `lo` up, for network "none".
  virtual Status SetUpLoopback(int rtnetlink) = 0;
  // Text of resolv.conf for a container on `networks`, a comma list (spec §13.5): their name
  // server, which asks `dns` itself. Without one, or networks: `dns`, else the host's servers.
  virtual StatusOr<std::string> ResolvConf(const std::vector<std::string>& dns,
                                           std::string_view networks = "") = 0;

 private:
  class OnBridges;
};

}  // namespace v1
}  // namespace minibox
