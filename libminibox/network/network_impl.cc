// SPDX-License-Identifier: Apache-2.0
#include "network/network_impl.h"

#include <fcntl.h>
#include <net/if.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/event_log.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/log.h"
#include "core/root_dir.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/rtnetlink.h"
#include "network/bridge.h"
#include "network/endpoint.h"
#include "network/firewall.h"
#include "network/ports.h"
#include "network/reconcile.h"
#include "network/resolv.h"
#include "network/state.h"

namespace minibox::network {
namespace {

constexpr std::string_view kDefaultNetwork = "bridge";
constexpr size_t kMaxContainerIdBytes = 64;
constexpr size_t kMaxResolvConfBytes = 1u << 20;
constexpr const char* kResolvConf = "/etc/resolv.conf";
// Where systemd-resolved keeps the servers behind its loopback stub.
constexpr const char* kResolvedConf = "/run/systemd/resolve/resolv.conf";

// Ids become file and interface names.
Status CheckContainerId(std::string_view id) {
  const bool valid = !id.empty() && id.size() <= kMaxContainerIdBytes && id[0] != '.' &&
                     std::all_of(id.begin(), id.end(), [](unsigned char c) {
                       return std::isalnum(c) || c == '_' || c == '.' || c == '-';
                     });
  if (valid) return Status();
  return core::InvalidArgument(
      "container", core::StrCat("'", core::EscapeControl(id), "' is not a container id"));
}

Status NoSuchNetwork(std::string_view name) {
  return core::NotFound("network_not_found",
                        core::StrCat("no network '", core::EscapeControl(name), "'"));
}

StatusOr<core::EventLog> OpenEvents(const NetworkOptions& options) {
  if (options.event_dir.empty()) return core::EventLog();
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, core::RootDir::Open(options.event_dir.native()));
  return core::EventLog::Open(dir.fd());
}

// Build steps are on networks too, but of no interest to anybody.
void EmitOf(const core::EventLog& events, std::string_view type, std::string_view network,
            std::string_view container) {
  if (!ContainerId::Parse(container).ok()) return;
  events.Emit(type, network,
              {{"name", std::string(network)}, {"container", std::string(container)}});
}

NetworkInfo InfoOf(const NetworkRecord& network) {
  NetworkInfo info;
  info.name = network.name;
  info.bridge = network.bridge;
  info.subnet = network.subnet.ToString();
  info.gateway = FormatIpv4(network.subnet.gateway());
  for (const Lease& lease : network.leases) info.containers.push_back(lease.container);
  return info;
}

// Keeps the first of several errors.
void Collect(Status status, Status* first) {
  if (first->ok()) *first = std::move(status);
}

std::string HolderOf(const State& state, const PortMapping& port) {
  for (const NetworkRecord& network : state.networks) {
    for (const Lease& lease : network.leases) {
      for (const PortMapping& held : lease.ports) {
        if (Conflicts(held, port)) return lease.container;
      }
    }
  }
  return "";
}

// Takes ports away from leases whose container evidently no longer holds them: its socket is
// closed, or the new one could not have been bound. Returns whether there were any.
bool TakeOverPorts(const std::vector<PortMapping>& ports, State* state) {
  bool any = false;
  for (NetworkRecord& network : state->networks) {
    for (Lease& lease : network.leases) {
      any |= std::erase_if(lease.ports, [&](const PortMapping& held) {
               return std::any_of(ports.begin(), ports.end(),
                                  [&](const PortMapping& port) { return Conflicts(held, port); });
             }) != 0;
    }
  }
  return any;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> NamespaceSysctls() {
  // `default` is what a link gets when it enters the namespace; lo keeps ::1.
  return {{"net/ipv6/conf/default/disable_ipv6", "1"}};
}

}  // namespace minibox::network

namespace minibox {
inline namespace v1 {

using network::Endpoint;
using network::Lease;
using network::NetworkRecord;
using network::State;
using network::Subnet;

// Remembers nothing but its options: what is true is on disk and in the kernel, and everything
// that changes it happens under the lock of the state directory.
class Network::Impl::OnBridges final : public Network::Impl {
 public:
  OnBridges(NetworkOptions options, Subnet subnet, network::StateDir dir, core::EventLog events)
      : options_(std::move(options)),
        subnet_(subnet),
        dir_(std::move(dir)),
        events_(std::move(events)) {}

  // Sweeps the marks of starts that ended without a lease.
  Status Recover();

  StatusOr<NetworkInfo> EnsureDefault() override;
  StatusOr<std::vector<NetworkInfo>> List() override;
  Status Remove(std::string_view name) override;
  Status Reconcile(const std::vector<std::string>& live) override;
  StatusOr<network::Reservation> Reserve(const network::EndpointRequest& request) override;
  Status Attach(const Endpoint& endpoint, std::string_view container, int netns,
                int rtnetlink) override;
  Status Release(std::string_view container) override;
  Status SetUpLoopback(int rtnetlink) override;
  StatusOr<std::string> ResolvConf(const std::vector<std::string>& dns) override;

 private:
  enum class Repair {
    kIfNeeded,  // what a few cheap questions show to be missing
    kAll,       // everything is compared or replaced
  };
  // Brings bridges and firewall of all networks to what the records say; the lock is held.
  // The default network gets its record, and a subnet, if it has none. *changed: the state is
  // to be saved.
  Status SetUp(Repair repair, State* state, bool* changed);
  // The record of the default network, made or given another subnet if need be and possible.
  Status PlanDefault(const network::HostRoutes& routes, State* state, bool* changed);
  NetworkRecord MakeDefault() const;

  const NetworkOptions options_;
  const Subnet subnet_;
  const network::StateDir dir_;
  const core::EventLog events_;
  network::Firewall firewall_;
  // Guards nothing: the kernel makes links one at a time, and threads that push there together
  // only wait longer.
  std::mutex link_turn_;
};

StatusOr<std::shared_ptr<Network::Impl>> Network::Impl::Open(const NetworkOptions& options) {
  MBX_ASSIGN_OR_RETURN(const Subnet subnet, network::ParseSubnet(options.default_subnet));
  const std::string& bridge = options.default_bridge;
  if (bridge.empty() || bridge.size() >= IFNAMSIZ || bridge == "." || bridge == ".." ||
      bridge.find_first_of("/: \t\n%") != std::string::npos) {
    return core::InvalidArgument("default_bridge", core::StrCat("'", core::EscapeControl(bridge),
                                                                "' is not an interface name"));
  }
  MBX_ASSIGN_OR_RETURN(network::StateDir dir, network::StateDir::Open(options.state_dir));
  MBX_ASSIGN_OR_RETURN(core::EventLog events, network::OpenEvents(options));
  auto impl = std::make_shared<OnBridges>(options, subnet, std::move(dir), std::move(events));
  MBX_RETURN_IF_ERROR(impl->Recover());
  return std::shared_ptr<Impl>(std::move(impl));
}

Status Network::Impl::OnBridges::Recover() {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(const State state, dir_.LoadOrSetAside());
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> marks, dir_.ListMarks());
  for (const std::string& container : marks) {
    const bool leased = std::any_of(state.networks.begin(), state.networks.end(),
                                    [&](const auto& n) { return n.FindLease(container); });
    if (!leased) dir_.RemoveMark(container);
  }
  return Status();
}

NetworkRecord Network::Impl::OnBridges::MakeDefault() const {
  NetworkRecord record;
  record.name = network::kDefaultNetwork;
  record.bridge = options_.default_bridge;
  record.configured = record.subnet = subnet_;
  record.pool.next = subnet_.first();
  return record;
}

Status Network::Impl::OnBridges::PlanDefault(const network::HostRoutes& routes, State* state,
                                             bool* changed) {
  NetworkRecord* record = state->Find(network::kDefaultNetwork);
  if (record == nullptr) {
    state->networks.insert(state->networks.begin(), MakeDefault());
    record = &state->networks.front();
    *changed = true;
  }
  // A network in use keeps what it has.
  if (!record->leases.empty()) return Status();
  MBX_ASSIGN_OR_RETURN(const Subnet chosen, network::ChooseSubnet(routes, subnet_, record->subnet));
  if (chosen != subnet_) {
    core::LogWarning("network",
                     core::StrCat("subnet ", subnet_.ToString(), " overlaps a route of '",
                                  routes.Conflict(subnet_), "', using ", chosen.ToString()));
  }
  if (chosen == record->subnet && record->configured == subnet_ &&
      record->bridge == options_.default_bridge) {
    return Status();
  }
  *record = MakeDefault();
  record->subnet = chosen;
  record->pool.next = chosen.first();
  *changed = true;
  return Status();
}

Status Network::Impl::OnBridges::SetUp(Repair repair, State* state, bool* changed) {
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink rtnetlink, kernel::Rtnetlink::Open());
  const NetworkRecord* current = state->Find(network::kDefaultNetwork);
  if (repair == Repair::kIfNeeded && current != nullptr &&
      (!current->leases.empty() ||
       (current->configured == subnet_ && current->bridge == options_.default_bridge))) {
    MBX_ASSIGN_OR_RETURN(const bool bridge, network::BridgeIsIntact(rtnetlink, *current));
    MBX_ASSIGN_OR_RETURN(const bool firewall, firewall_.IsIntact(*state));
    if (bridge && firewall) return Status();
  }
  MBX_ASSIGN_OR_RETURN(const network::HostRoutes routes,
                       network::ReadHostRoutes(rtnetlink, options_.default_bridge));
  MBX_RETURN_IF_ERROR(PlanDefault(routes, state, changed));
  for (const NetworkRecord& record : state->networks) {
    MBX_RETURN_IF_ERROR(network::EnsureBridge(rtnetlink, record, routes.DefaultRouteMtu())
                            .WithContext(core::StrCat("set up bridge ", record.bridge)));
    if (repair == Repair::kAll) {
      MBX_RETURN_IF_ERROR(network::AttachLinks(rtnetlink, record));
    }
  }
  return firewall_.Replace(*state);
}

StatusOr<NetworkInfo> Network::Impl::OnBridges::EnsureDefault() {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  bool changed = false;
  MBX_RETURN_IF_ERROR(SetUp(Repair::kAll, &state, &changed));
  if (changed) MBX_RETURN_IF_ERROR(dir_.Save(state));
  return network::InfoOf(*state.Find(network::kDefaultNetwork));
}

StatusOr<std::vector<NetworkInfo>> Network::Impl::OnBridges::List() {
  MBX_ASSIGN_OR_RETURN(State state, dir_.Load());
  if (state.Find(network::kDefaultNetwork) == nullptr) {
    state.networks.insert(state.networks.begin(), MakeDefault());
  }
  std::vector<NetworkInfo> infos;
  for (const NetworkRecord& record : state.networks) infos.push_back(network::InfoOf(record));
  return infos;
}

Status Network::Impl::OnBridges::Remove(std::string_view name) {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  const NetworkRecord* record = state.Find(name);
  if (record == nullptr && name != network::kDefaultNetwork) return network::NoSuchNetwork(name);
  const std::string bridge = record != nullptr ? record->bridge : options_.default_bridge;
  if (record != nullptr && !record->leases.empty()) {
    return core::FailedPrecondition("network_in_use",
                                    core::StrCat("network '", name, "' is used by container '",
                                                 record->leases.front().container, "'"));
  }
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink rtnetlink, kernel::Rtnetlink::Open());
  const auto link = rtnetlink.GetLink(bridge);
  if (link.ok() && link->kind == "bridge") {
    const Status deleted = rtnetlink.DeleteLink(bridge);
    if (!deleted.ok() && deleted.code() != StatusCode::kNotFound) return deleted;
  } else if (!link.ok() && link.status().code() != StatusCode::kNotFound) {
    return link.status();
  }
  // The record of the default network stays: it remembers which addresses were in use last.
  const bool last = std::all_of(state.networks.begin(), state.networks.end(),
                                [&](const auto& n) { return n.name == name; });
  events_.Emit("network.remove", name, {{"name", std::string(name)}});
  return last ? firewall_.Delete() : firewall_.Replace(state);
}

StatusOr<network::Reservation> Network::Impl::OnBridges::Reserve(
    const network::EndpointRequest& request) {
  MBX_RETURN_IF_ERROR(network::CheckContainerId(request.container));
  MBX_ASSIGN_OR_RETURN(const std::vector<PortMapping> ports,
                       network::NormalizePorts(request.ports));
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  if (request.network != network::kDefaultNetwork && state.Find(request.network) == nullptr) {
    return network::NoSuchNetwork(request.network);
  }
  bool changed = false;
  MBX_RETURN_IF_ERROR(SetUp(Repair::kIfNeeded, &state, &changed));
  if (changed) MBX_RETURN_IF_ERROR(dir_.Save(state));

  // From here on only `state`, the marks and the sockets change, until it is saved.
  bool stale_entries = false;
  for (NetworkRecord& record : state.networks) {
    stale_entries |= record.RemoveLease(request.container).has_value();
  }
  MBX_ASSIGN_OR_RETURN(network::BoundPorts bound,
                       network::BindPorts(ports, [&](const PortMapping& port) {
                         return network::HolderOf(state, port);
                       }));
  stale_entries |= network::TakeOverPorts(bound.ports, &state);

  NetworkRecord& record = *state.Find(request.network);
  const std::vector<network::Ipv4> leased = record.LeasedAddresses();
  auto address = request.ip.empty()
                     ? network::TakeAddress(record.subnet, leased, &record.pool)
                     : network::TakeAddress(record.subnet, leased, request.ip, &record.pool);
  if (!address.ok()) return address.status();
  // Rare: what an earlier holder left is still in the maps.
  if (stale_entries) MBX_RETURN_IF_ERROR(firewall_.Replace(state));
  record.leases.push_back({request.container, *address, bound.ports});

  network::Reservation reservation;
  MBX_ASSIGN_OR_RETURN(reservation.starting, dir_.MarkStarting(request.container));
  absl::Cleanup unmark = [&] { dir_.RemoveMark(request.container); };
  MBX_FAILPOINT("network.reserve.save");
  MBX_RETURN_IF_ERROR(dir_.SaveLeases(state));
  std::move(unmark).Cancel();

  Endpoint& endpoint = reservation.endpoint;
  endpoint.network = record.name;
  endpoint.ip = network::FormatIpv4(*address);
  endpoint.mac = network::FormatMac(network::MacFor(*address));
  endpoint.gateway = network::FormatIpv4(record.subnet.gateway());
  endpoint.prefix_length = record.subnet.prefix_length;
  endpoint.ports = std::move(bound.ports);
  reservation.sockets = std::move(bound.sockets);
  return reservation;
}

Status Network::Impl::OnBridges::Attach(const Endpoint& endpoint, std::string_view container,
                                        int netns, int rtnetlink) {
  MBX_ASSIGN_OR_RETURN(State state, dir_.Load());
  const NetworkRecord* record = state.Find(endpoint.network);
  const Lease* lease = record == nullptr ? nullptr : record->FindLease(container);
  if (lease == nullptr || network::FormatIpv4(lease->address) != endpoint.ip) {
    return core::FailedPrecondition(
        "", core::StrCat("container '", container, "' has no lease of ", endpoint.ip));
  }
  {
    const std::lock_guard turn(link_turn_);
    MBX_RETURN_IF_ERROR(
        network::CreateEndpoint(endpoint, container, record->bridge, netns, rtnetlink)
            .WithContext("connect the container to its network"));
  }
  MBX_RETURN_IF_ERROR(firewall_.Add(*lease).WithContext("publish the container"));
  network::ForgetUdpBefore(*lease);
  network::EmitOf(events_, "network.connect", endpoint.network, container);
  return Status();
}

Status Network::Impl::OnBridges::Release(std::string_view container) {
  MBX_RETURN_IF_ERROR(network::CheckContainerId(container));
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  Status first_error;
  bool changed = false;
  for (NetworkRecord& record : state.networks) {
    if (const auto lease = record.RemoveLease(container)) {
      changed = true;
      network::EmitOf(events_, "network.disconnect", record.name, container);
      // Before the lease is gone: its address may be somebody else's at once.
      network::Collect(firewall_.Remove(*lease).WithContext("unpublish the container"),
                       &first_error);
      network::ForgetUdpOf(*lease);
      if (first_error.ok()) MBX_FAILPOINT("network.release.firewall");
    }
  }
  if (changed) network::Collect(dir_.SaveLeases(state), &first_error);
  dir_.RemoveMark(container);
  return first_error;
}

Status Network::Impl::OnBridges::Reconcile(const std::vector<std::string>& live) {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  std::vector<std::string> kept = live;
  for (const NetworkRecord& record : state.networks) {
    for (const Lease& lease : record.leases) {
      MBX_ASSIGN_OR_RETURN(const bool starting, dir_.IsStarting(lease.container));
      if (starting) kept.push_back(lease.container);
    }
  }
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink rtnetlink, kernel::Rtnetlink::Open());
  MBX_ASSIGN_OR_RETURN(const std::vector<kernel::Link> links, rtnetlink.ListLinks());
  const network::ReconcilePlan plan = network::PlanReconcile(state, links, kept);

  Status first_error;
  for (const std::string& container : plan.leases_to_drop) {
    for (NetworkRecord& record : state.networks) (void)record.RemoveLease(container);
    dir_.RemoveMark(container);
  }
  for (const std::string& name : plan.links_to_delete) {
    const Status deleted = rtnetlink.DeleteLink(name);
    // Gone with its namespace in the meantime.
    if (deleted.code() != StatusCode::kNotFound) network::Collect(deleted, &first_error);
  }
  bool changed = !plan.leases_to_drop.empty();

  const bool in_use = std::any_of(state.networks.begin(), state.networks.end(),
                                  [](const auto& n) { return !n.leases.empty(); });
  const bool bridge_exists = std::any_of(links.begin(), links.end(), [&](const auto& link) {
    return link.name == options_.default_bridge;
  });
  if (in_use || bridge_exists) {
    network::Collect(SetUp(Repair::kAll, &state, &changed), &first_error);
  } else {
    network::Collect(firewall_.Delete(), &first_error);
  }
  if (changed) network::Collect(dir_.Save(state), &first_error);
  return first_error;
}

Status Network::Impl::OnBridges::SetUpLoopback(int rtnetlink) {
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink inside, kernel::Rtnetlink::Wrap(rtnetlink));
  return inside.SetUpLoopback();
}

StatusOr<std::string> Network::Impl::OnBridges::ResolvConf(const std::vector<std::string>& dns) {
  auto host = core::ReadFileAt(AT_FDCWD, network::kResolvConf, network::kMaxResolvConfBytes);
  if (!host.ok()) {
    if (host.status().code() != StatusCode::kNotFound) return host.status();
    host = std::string();
  }
  if (dns.empty() && !network::HasReachableServer(*host)) {
    const auto behind_stub =
        core::ReadFileAt(AT_FDCWD, network::kResolvedConf, network::kMaxResolvConfBytes);
    if (behind_stub.ok()) host = *behind_stub;
  }
  return network::ContainerResolvConf(*host, dns);
}

}  // namespace v1
}  // namespace minibox
