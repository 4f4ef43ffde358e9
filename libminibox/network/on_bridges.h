// SPDX-License-Identifier: Apache-2.0
// The implementation of Network::Impl, by file:
//
//   on_bridges.cc  opening, setting up, reconciling: kernel against records
//   networks.cc    networks that come and go
//   members.cc     containers that come and go
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/event_log.h"
#include "network/bridge.h"
#include "network/firewall.h"
#include "network/network_impl.h"
#include "network/ports.h"
#include "network/resolver.h"
#include "network/state.h"

namespace minibox::network {

inline constexpr std::string_view kDefaultNetwork = "bridge";

// kInvalidArgument unless the id can be a file and an interface name.
Status CheckContainerId(std::string_view id);
// kNotFound "network_not_found".
Status NoSuchNetwork(std::string_view name);
NetworkInfo InfoOf(const NetworkRecord& network);
// Keeps the first of several errors.
void Collect(Status status, Status* first);

}  // namespace minibox::network

namespace minibox {
inline namespace v1 {

class Network::Impl::OnBridges final : public Network::Impl {
 public:
  OnBridges(NetworkOptions options, network::Subnet subnet, std::vector<network::Subnet> pools,
            network::StateDir dir, core::EventLog events)
      : options_(std::move(options)),
        subnet_(subnet),
        pools_(std::move(pools)),
        dir_(std::move(dir)),
        events_(std::move(events)),
        resolvers_(dir_.dns_fd()) {}

  // Sweeps the marks of starts that ended without a lease.
  Status Recover();

  StatusOr<NetworkInfo> EnsureDefault() override;
  StatusOr<std::vector<NetworkInfo>> List() override;
  StatusOr<NetworkInfo> Inspect(std::string_view name) override;
  StatusOr<NetworkInfo> Create(const NetworkSpec& spec) override;
  Status Remove(std::string_view name) override;
  Status ReconcileWith(
      const std::function<StatusOr<std::vector<network::LiveContainer>>()>& list_live) override;
  StatusOr<std::vector<std::string>> Warnings() override;
  void SetApiListener(std::string_view ip, uint16_t port) override;

  Status Claim(const network::EndpointRequest& request) override;
  Status Forget(std::string_view container) override;
  Status ForgetGone(const std::function<bool(const std::string& container)>& exists) override;
  StatusOr<network::Reservation> Reserve(const network::EndpointRequest& request) override;
  Status Attach(const network::Endpoint& endpoint, std::string_view container, int netns,
                int rtnetlink) override;
  Status Release(std::string_view container) override;
  Status Rename(std::string_view container, const std::vector<std::string>& names,
                const std::vector<std::string>& host_names) override;
  StatusOr<std::vector<network::Member>> MembersOf(std::string_view project) override;
  Status SetUpLoopback(int rtnetlink) override;
  StatusOr<std::string> ResolvConf(const std::vector<std::string>& dns,
                                   std::string_view networks) override;

 private:
  enum class Repair {
    kIfNeeded,  // what a few cheap questions show to be missing
    kAll,       // everything is compared or replaced
  };
  // Brings the bridges of `names` and the firewall of all networks to what the records say; the
  // lock is held. The default network gets its record, and a subnet, if it has none. *changed:
  // the state is to be saved.
  Status SetUp(Repair repair, const std::vector<std::string>& names, network::State* state,
               bool* changed);
  StatusOr<bool> IsIntact(const std::vector<std::string>& names, const network::State& state);
  // The record of the default network, made or given another subnet if need be and possible.
  Status PlanDefault(const network::HostRoutes& routes, network::State* state, bool* changed);
  network::NetworkRecord MakeDefault() const;
  // network.connect or network.disconnect, unless it is a build step's: of no interest to anybody.
  void EmitOf(std::string_view type, std::string_view network, std::string_view container) const;
  // What no other network may have: the subnets of all but `name`.
  network::SubnetSource SourceFor(std::string_view name, const network::State& state) const;
  // Starts the name server of the network unless it runs or is not wanted.
  Status EnsureResolver(network::NetworkRecord* record, bool* changed);
  // Saves the leases, and tells the name servers whatever concerns the networks of `names`.
  Status SaveLeases(const network::State& state, const std::vector<std::string>& names);
  // Tells all name servers.
  Status PublishAll(const network::State& state) const;
  // Makes links again that containers have lost.
  Status RestoreLinks(const std::vector<std::pair<std::string, std::string>>& links,
                      const std::vector<network::LiveContainer>& live, const network::State& state);
  // The networks of a request, eth0 first. kNotFound, kInvalidArgument.
  StatusOr<std::vector<std::string>> NetworksOf(const network::EndpointRequest& request,
                                                const network::State& state) const;
  // Which address and MAC address the container gets on `record`; `ip` and `mac` as requested.
  Status ChooseAddress(std::string_view container, const std::string& ip, const std::string& mac,
                       network::NetworkRecord* record, network::Lease* lease) const;

  const NetworkOptions options_;
  const network::Subnet subnet_;
  const std::vector<network::Subnet> pools_;
  const network::StateDir dir_;
  const core::EventLog events_;
  network::Firewall firewall_;
  network::Resolvers resolvers_;
  std::mutex api_mutex_;
  network::ApiListener api_;  // under it
  // Guards nothing: the kernel makes links one at a time, and threads that push there together
  // only wait longer.
  std::mutex link_turn_;
};

}  // namespace v1
}  // namespace minibox
