// SPDX-License-Identifier: Apache-2.0
// Remembers nothing but its options: what is true is on disk and in the kernel, and everything
// that changes it happens under the lock of the state directory.
#include "network/on_bridges.h"

#include <net/if.h>

#include <algorithm>
#include <unordered_set>

#include "core/errors.h"
#include "core/id.h"
#include "core/log.h"
#include "core/root_dir.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/netns.h"
#include "kernel/rtnetlink.h"
#include "network/endpoint.h"
#include "network/reconcile.h"

namespace minibox::network {
namespace {

constexpr size_t kMaxContainerIdBytes = 64;
constexpr int kIdDigits = 8;

StatusOr<core::EventLog> OpenEvents(const NetworkOptions& options) {
  if (options.event_dir.empty()) return core::EventLog();
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, core::RootDir::Open(options.event_dir.native()));
  return core::EventLog::Open(dir.fd());
}

}  // namespace

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
                        core::StrCat("network '", core::EscapeControl(name), "' not found"))
      .WithField("network");
}

NetworkInfo InfoOf(const NetworkRecord& network) {
  NetworkInfo info;
  info.id = network.id;
  info.name = network.name;
  info.bridge = network.bridge;
  info.subnet = network.subnet.ToString();
  info.gateway = FormatIpv4(network.gateway);
  if (network.subnet6) info.subnet6 = network.subnet6->ToString();
  info.internal = network.internal;
  info.dns = network.dns;
  info.mtu = network.mtu;
  info.labels = network.labels;
  for (const Lease& lease : network.leases) {
    info.containers[lease.container] = {FormatIpv4(lease.address), FormatMac(lease.mac),
                                        lease.address6 ? FormatIpv6(*lease.address6) : ""};
  }
  return info;
}

void Collect(Status status, Status* first) {
  if (first->ok()) *first = std::move(status);
}

std::vector<std::pair<std::string, std::string>> NamespaceSysctls() {
  // `default` is what a link gets when it enters the namespace; lo keeps ::1.
  return {{"net/ipv6/conf/default/disable_ipv6", "1"}};
}

}  // namespace minibox::network

namespace minibox {
inline namespace v1 {

using network::NetworkRecord;
using network::State;
using network::Subnet;

namespace {
constexpr size_t kContainerIdDigits = 8;  // a build step's name has more
}

StatusOr<std::shared_ptr<Network::Impl>> Network::Impl::Open(const NetworkOptions& options) {
  MBX_ASSIGN_OR_RETURN(const Subnet subnet, network::ParseSubnet(options.default_subnet));
  const std::string& bridge = options.default_bridge;
  if (bridge.empty() || bridge.size() >= IFNAMSIZ || bridge == "." || bridge == ".." ||
      bridge.find_first_of("/: \t\n%") != std::string::npos) {
    return core::InvalidArgument("default_bridge", core::StrCat("'", core::EscapeControl(bridge),
                                                                "' is not an interface name"));
  }
  std::vector<Subnet> pools;
  for (const std::string& text : options.subnet_pool) {
    const auto pool = network::ParseSubnet(text);
    if (!pool.ok()) return pool.status().WithField("subnet_pool");
    pools.push_back(*pool);
  }
  MBX_ASSIGN_OR_RETURN(network::StateDir dir, network::StateDir::Open(options.state_dir));
  MBX_ASSIGN_OR_RETURN(core::EventLog events, network::OpenEvents(options));
  auto impl = std::make_shared<OnBridges>(options, subnet, std::move(pools), std::move(dir),
                                          std::move(events));
  MBX_RETURN_IF_ERROR(impl->Recover());
  return std::shared_ptr<Impl>(std::move(impl));
}

void Network::Impl::OnBridges::EmitOf(std::string_view type, std::string_view network,
                                      std::string_view container) const {
  if (container.size() != kContainerIdDigits ||
      container.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return;
  }
  events_.Emit(type, network,
               {{"name", std::string(network)}, {"container", std::string(container)}});
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
  record.gateway = subnet_.gateway();
  record.pool.next = subnet_.first();
  return record;
}

network::SubnetSource Network::Impl::OnBridges::SourceFor(std::string_view name,
                                                          const State& state) const {
  network::SubnetSource source;
  source.pools = pools_;
  if (name != network::kDefaultNetwork && state.Find(network::kDefaultNetwork) == nullptr) {
    source.taken.push_back(subnet_);
  }
  for (const NetworkRecord& record : state.networks) {
    if (record.name != name) source.taken.push_back(record.subnet);
  }
  return source;
}

Status Network::Impl::OnBridges::PlanDefault(const network::HostRoutes& routes, State* state,
                                             bool* changed) {
  NetworkRecord* record = state->Find(network::kDefaultNetwork);
  if (record == nullptr) {
    state->networks.insert(state->networks.begin(), MakeDefault());
    record = &state->networks.front();
    record->id = core::RandomHex(network::kIdDigits);
    *changed = true;
  }
  if (record->id.empty()) {
    record->id = core::RandomHex(network::kIdDigits);
    *changed = true;
  }
  // A network in use keeps what it has.
  if (!record->leases.empty()) return Status();
  MBX_ASSIGN_OR_RETURN(const Subnet chosen, network::ChooseSubnet(routes, subnet_, record->subnet,
                                                                  SourceFor(record->name, *state),
                                                                  options_.default_bridge));
  if (chosen != subnet_) {
    const std::string conflict = routes.Conflict(subnet_, options_.default_bridge);
    core::LogWarning("network",
                     core::StrCat("subnet ", subnet_.ToString(), " overlaps ",
                                  conflict.empty() ? "another network"
                                                   : core::StrCat("a route of '", conflict, "'"),
                                  ", using ", chosen.ToString()));
  }
  const bool keeps_ipv6 = options_.ipv6 && record->subnet6 &&
                          routes.Conflict(*record->subnet6, options_.default_bridge).empty();
  if (chosen == record->subnet && record->configured == subnet_ &&
      record->bridge == options_.default_bridge &&
      (keeps_ipv6 || (!options_.ipv6 && !record->subnet6))) {
    return Status();
  }
  MBX_RETURN_IF_ERROR(resolvers_.Stop(record));
  NetworkRecord replaced = MakeDefault();
  replaced.id = record->id;
  replaced.subnet = chosen;
  replaced.gateway = chosen.gateway();
  replaced.pool.next = chosen.first();
  if (keeps_ipv6) {
    replaced.subnet6 = record->subnet6;
  } else if (options_.ipv6) {
    MBX_RETURN_IF_ERROR(network::CheckHostHasIpv6());
    replaced.subnet6 = network::FreeSubnet6(routes, *state);
  }
  // Addresses of another subnet are nobody's any more.
  for (const network::ReservedAddress& reserved : record->reserved) {
    if (!reserved.address || chosen.Contains(*reserved.address)) {
      replaced.reserved.push_back(reserved);
    }
  }
  *record = std::move(replaced);
  *changed = true;
  return Status();
}

StatusOr<bool> Network::Impl::OnBridges::IsIntact(const std::vector<std::string>& names,
                                                  const State& state) {
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink rtnetlink, kernel::Rtnetlink::Open());
  for (const std::string& name : names) {
    const NetworkRecord* record = state.Find(name);
    if (record == nullptr) return false;
    if (name == network::kDefaultNetwork && record->leases.empty() &&
        (record->configured != subnet_ || record->bridge != options_.default_bridge ||
         record->subnet6.has_value() != options_.ipv6)) {
      return false;
    }
    MBX_ASSIGN_OR_RETURN(const bool bridge, network::BridgeIsIntact(rtnetlink, *record));
    if (!bridge || (record->dns && !network::Resolvers::IsServing(*record))) return false;
  }
  return firewall_.IsIntact(state);
}

Status Network::Impl::OnBridges::SetUp(Repair repair, const std::vector<std::string>& names,
                                       State* state, bool* changed) {
  if (repair == Repair::kIfNeeded) {
    MBX_ASSIGN_OR_RETURN(const bool intact, IsIntact(names, *state));
    if (intact) return Status();
  }
  MBX_RETURN_IF_ERROR(firewall_.CheckSupported());
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink rtnetlink, kernel::Rtnetlink::Open());
  MBX_ASSIGN_OR_RETURN(const network::HostRoutes routes, network::ReadHostRoutes(rtnetlink));
  for (const std::string& name : names) {
    if (name == network::kDefaultNetwork) MBX_RETURN_IF_ERROR(PlanDefault(routes, state, changed));
    NetworkRecord* record = state->Find(name);
    if (record == nullptr) return network::NoSuchNetwork(name);
    const std::string conflict = routes.Conflict(*record);
    if (!conflict.empty() && record->leases.empty()) {
      // Its bridge would take traffic away from somebody who was here first.
      const Status overlap = core::FailedPrecondition(
          "subnet_conflict", core::StrCat("subnet ", record->subnet.ToString(), " of network '",
                                          name, "' overlaps a route of '", conflict, "'"));
      if (repair == Repair::kIfNeeded) return overlap;
      core::LogWarning("network", core::StrCat(overlap.message(), ", leaving it down"));
      continue;
    }
    const uint32_t mtu = record->mtu != 0 ? record->mtu : routes.DefaultRouteMtu();
    MBX_RETURN_IF_ERROR(network::EnsureBridge(rtnetlink, *record, mtu)
                            .WithContext(core::StrCat("set up bridge ", record->bridge)));
    if (repair == Repair::kAll) {
      MBX_RETURN_IF_ERROR(network::AttachLinks(rtnetlink, *record));
    }
    MBX_RETURN_IF_ERROR(EnsureResolver(record, changed)
                            .WithContext(core::StrCat("name server of network '", name, "'")));
  }
  return firewall_.Replace(*state);
}

Status Network::Impl::OnBridges::EnsureResolver(NetworkRecord* record, bool* changed) {
  if (!record->dns || network::Resolvers::IsServing(*record)) return Status();
  MBX_RETURN_IF_ERROR(resolvers_.Start(options_.resolv_conf.native(), record));
  *changed = true;
  return Status();
}

Status Network::Impl::OnBridges::PublishAll(const State& state) const {
  Status first_error;
  for (const NetworkRecord& record : state.networks) {
    if (record.resolver_pid != 0) {
      network::Collect(resolvers_.Publish(state, record), &first_error);
    }
  }
  return first_error;
}

Status Network::Impl::OnBridges::SaveLeases(const State& state,
                                            const std::vector<std::string>& names) {
  MBX_RETURN_IF_ERROR(dir_.SaveLeases(state));
  // Also the servers of networks with members that are on one of these too.
  std::unordered_set<std::string_view> members;
  for (const std::string& name : names) {
    for (const network::Lease& lease : state.Find(name)->leases) members.insert(lease.container);
  }
  for (const NetworkRecord& record : state.networks) {
    const bool concerned =
        std::find(names.begin(), names.end(), record.name) != names.end() ||
        std::any_of(record.leases.begin(), record.leases.end(),
                    [&](const auto& lease) { return members.contains(lease.container); });
    if (concerned && record.resolver_pid != 0) {
      MBX_RETURN_IF_ERROR(resolvers_.Publish(state, record));
    }
  }
  return Status();
}

StatusOr<NetworkInfo> Network::Impl::OnBridges::EnsureDefault() {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  std::vector<std::string> names = {std::string(network::kDefaultNetwork)};
  for (const NetworkRecord& record : state.networks) {
    if (record.name != network::kDefaultNetwork) names.push_back(record.name);
  }
  bool changed = false;
  MBX_RETURN_IF_ERROR(SetUp(Repair::kAll, names, &state, &changed));
  if (changed) MBX_RETURN_IF_ERROR(dir_.Save(state));
  MBX_RETURN_IF_ERROR(PublishAll(state));
  return network::InfoOf(*state.Find(network::kDefaultNetwork));
}

Status Network::Impl::OnBridges::RestoreLinks(
    const std::vector<std::pair<std::string, std::string>>& links,
    const std::vector<network::LiveContainer>& live, const State& state) {
  Status first_error;
  for (const auto& [container, name] : links) {
    const auto known = std::find_if(live.begin(), live.end(),
                                    [&id = container](const auto& each) { return each.id == id; });
    if (known == live.end() || known->pid <= 0) continue;
    const NetworkRecord* record = state.Find(name);
    const network::Lease* lease = record->FindLease(container);
    auto netns = kernel::OpenNetns(known->pid);
    auto rtnetlink =
        netns.ok() ? kernel::OpenRtnetlinkIn(netns->get()) : StatusOr<core::Fd>(netns.status());
    if (!rtnetlink.ok()) {
      // It has ended meanwhile, and whoever notices that releases it.
      if (rtnetlink.status().code() != StatusCode::kNotFound) {
        network::Collect(rtnetlink.status(), &first_error);
      }
      continue;
    }
    network::Collect(network::CreateEndpoint(network::EndpointOf(*record, *lease), container,
                                             record->bridge, netns->get(), rtnetlink->get())
                         .WithContext(core::StrCat("connect container ", container, " again")),
                     &first_error);
  }
  return first_error;
}

Status Network::Impl::OnBridges::ReconcileWith(
    const std::function<StatusOr<std::vector<network::LiveContainer>>()>& list_live) {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  // Nothing was ever set up here; what is in the kernel belongs to others.
  if (state.networks.empty()) return Status();
  std::vector<std::string> kept;
  for (const NetworkRecord& record : state.networks) {
    for (const network::Lease& lease : record.leases) {
      MBX_ASSIGN_OR_RETURN(const bool starting, dir_.IsStarting(lease.container));
      if (starting) kept.push_back(lease.container);
    }
  }
  MBX_ASSIGN_OR_RETURN(const std::vector<network::LiveContainer> live, list_live());
  for (const network::LiveContainer& container : live) kept.push_back(container.id);
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

  // The default network is set up when somebody needs it, others as long as they exist.
  std::vector<std::string> names;
  for (const NetworkRecord& record : state.networks) {
    const bool exists = std::any_of(links.begin(), links.end(),
                                    [&](const auto& link) { return link.name == record.bridge; });
    if (record.name != network::kDefaultNetwork || !record.leases.empty() || exists) {
      names.push_back(record.name);
    }
  }
  if (names.empty()) {
    network::Collect(firewall_.Delete(), &first_error);
  } else {
    network::Collect(SetUp(Repair::kAll, names, &state, &changed), &first_error);
    network::Collect(RestoreLinks(plan.links_to_make, live, state), &first_error);
  }
  if (changed) network::Collect(dir_.Save(state), &first_error);
  network::Collect(PublishAll(state), &first_error);
  return first_error;
}

void Network::Impl::OnBridges::SetApiListener(std::string_view ip, uint16_t port) {
  const std::lock_guard lock(api_mutex_);
  api_ = {std::string(ip), port};
}

StatusOr<std::vector<std::string>> Network::Impl::OnBridges::Warnings() {
  MBX_ASSIGN_OR_RETURN(const State state, dir_.Load());
  std::vector<std::string> warnings;
  if (state.networks.empty()) return warnings;
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink rtnetlink, kernel::Rtnetlink::Open());
  MBX_ASSIGN_OR_RETURN(const network::HostRoutes routes, network::ReadHostRoutes(rtnetlink));
  for (const NetworkRecord& record : state.networks) {
    if (const std::string link = routes.Conflict(record); !link.empty()) {
      warnings.push_back(core::StrCat("subnet ", record.subnet.ToString(), " of network '",
                                      record.name, "' overlaps a route of '", link, "'"));
    }
    if (record.name == network::kDefaultNetwork && record.subnet != record.configured) {
      warnings.push_back(core::StrCat("the default network has the subnet ",
                                      record.subnet.ToString(), " because ",
                                      record.configured.ToString(), " was not free"));
    }
  }
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> drops, firewall_.ForeignDrops(state));
  warnings.insert(warnings.end(), drops.begin(), drops.end());
  return warnings;
}

}  // namespace v1
}  // namespace minibox
