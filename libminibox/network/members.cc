// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/rtnetlink.h"
#include "network/endpoint.h"
#include "network/on_bridges.h"
#include "network/ports.h"
#include "network/resolv.h"

namespace minibox {
inline namespace v1 {

using network::Endpoint;
using network::Lease;
using network::NetworkRecord;
using network::State;

namespace {

constexpr size_t kMaxResolvConfBytes = 1u << 20;
constexpr size_t kMaxNetworksOfContainer = 64;
// Where systemd-resolved keeps the servers behind its loopback stub.
constexpr const char* kResolvedConf = "/run/systemd/resolve/resolv.conf";

std::string HolderOf(const State& state, const PortMapping& port) {
  for (const NetworkRecord& network : state.networks) {
    for (const Lease& lease : network.leases) {
      for (const PortMapping& held : lease.ports) {
        if (network::Conflicts(held, port)) return lease.container;
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
               return std::any_of(ports.begin(), ports.end(), [&](const PortMapping& port) {
                 return network::Conflicts(held, port);
               });
             }) != 0;
    }
  }
  return any;
}

// Of all links; none if they cannot be read. Link-local ones mean nothing without their link.
std::vector<std::string> HostAddresses() {
  std::vector<std::string> found;
  auto rtnetlink = kernel::Rtnetlink::Open();
  if (!rtnetlink.ok()) return found;
  if (const auto addresses = rtnetlink->ListAddresses(0); addresses.ok()) {
    for (const kernel::Address& each : *addresses) {
      found.push_back(network::FormatIpv4(each.address));
    }
  }
  if (const auto addresses = rtnetlink->ListAddresses6(0); addresses.ok()) {
    for (const kernel::Address6& each : *addresses) {
      if (!network::IsLinkLocal(each.address)) found.push_back(network::FormatIpv6(each.address));
    }
  }
  return found;
}

StatusOr<kernel::MacAddress> ParseUnicastMac(const std::string& text) {
  const auto mac = network::ParseMac(text);
  constexpr uint8_t kMulticast = 1;
  if (!mac || ((*mac)[0] & kMulticast) != 0 || *mac == kernel::MacAddress{}) {
    return core::InvalidArgument(
        "mac", core::StrCat("'", core::EscapeControl(text), "' is not a unicast MAC address"));
  }
  return *mac;
}

}  // namespace

StatusOr<std::vector<std::string>> Network::Impl::OnBridges::NetworksOf(
    const network::EndpointRequest& request, const State& state) const {
  std::vector<std::string> names;
  for (const std::string_view part : core::StrSplit(request.network, ',')) {
    const std::string name(core::TrimSpace(part));
    if (name != network::kDefaultNetwork && state.Find(name) == nullptr) {
      return network::NoSuchNetwork(name);
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      return core::InvalidArgument("network", core::StrCat("'", name, "' is named twice"));
    }
    names.push_back(name);
  }
  if (names.size() > kMaxNetworksOfContainer) {
    return core::InvalidArgument("network", "has too many entries");
  }
  const NetworkRecord* first = state.Find(names.front());
  if (first != nullptr ? !first->subnet6 : !options_.ipv6) {
    MBX_RETURN_IF_ERROR(network::CheckNoIpv6(request.ports, names.front()));
  }
  if (first != nullptr && first->internal && !request.ports.empty()) {
    return core::InvalidArgument(
        "ports", core::StrCat("network '", names.front(), "' is internal and publishes no ports"));
  }
  return names;
}

Status Network::Impl::OnBridges::ChooseAddress(std::string_view container, const std::string& ip,
                                               const std::string& mac, NetworkRecord* record,
                                               Lease* lease) const {
  const std::vector<network::Ipv4> taken = record->TakenFrom(container);
  const network::ReservedAddress* own = record->FindReserved(container);
  std::string wanted = ip;
  if (wanted.empty() && own != nullptr && own->address) {
    wanted = network::FormatIpv4(*own->address);
  }
  auto address = wanted.empty()
                     ? network::TakeAddress(record->subnet, taken, &record->pool)
                     : network::TakeAddress(record->subnet, taken, wanted, &record->pool);
  if (!address.ok()) return address.status();
  lease->address = *address;
  lease->address6 = record->Address6For(*address);
  lease->mac = network::MacFor(*address);
  if (own != nullptr && own->mac) lease->mac = *own->mac;
  if (!mac.empty()) {
    MBX_ASSIGN_OR_RETURN(lease->mac, ParseUnicastMac(mac));
  }
  if (record->HasMac(lease->mac, container)) {
    return core::FailedPrecondition(
               "address_in_use",
               core::StrCat("MAC address ", network::FormatMac(lease->mac), " is in use"))
        .WithField("mac");
  }
  return Status();
}

Status Network::Impl::OnBridges::Claim(const network::EndpointRequest& request) {
  MBX_RETURN_IF_ERROR(network::CheckContainerId(request.container));
  MBX_RETURN_IF_ERROR(network::NormalizePorts(request.ports).status());
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, NetworksOf(request, state));
  if (request.ip.empty() && request.mac.empty()) return Status();
  if (state.Find(names.front()) == nullptr) {
    // The default network, whose subnet is chosen when it is set up.
    bool changed = false;
    MBX_RETURN_IF_ERROR(SetUp(Repair::kIfNeeded, {names.front()}, &state, &changed));
    MBX_RETURN_IF_ERROR(dir_.Save(state));
    MBX_RETURN_IF_ERROR(PublishAll(state));
  }
  NetworkRecord& record = *state.Find(names.front());
  Lease lease;
  MBX_RETURN_IF_ERROR(ChooseAddress(request.container, request.ip, request.mac, &record, &lease));
  network::ReservedAddress reserved;
  reserved.container = request.container;
  if (!request.ip.empty()) reserved.address = lease.address;
  if (request.ip.empty()) network::ReturnAddress(lease.address, &record.pool);
  if (!request.mac.empty()) reserved.mac = lease.mac;
  record.reserved.push_back(std::move(reserved));
  return dir_.Save(state);
}

Status Network::Impl::OnBridges::Forget(std::string_view container) {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  bool changed = false;
  for (NetworkRecord& record : state.networks) {
    const network::ReservedAddress* own = record.FindReserved(container);
    if (own == nullptr) continue;
    changed = true;
    const std::vector<network::Ipv4>& released = record.pool.released;
    // One that is still to come, in use or known to be free needs nobody's help.
    if (own->address && *own->address < record.pool.next && !record.FindLease(container) &&
        std::find(released.begin(), released.end(), *own->address) == released.end()) {
      network::ReturnAddress(*own->address, &record.pool);
    }
    std::erase_if(record.reserved, [&](const auto& each) { return each.container == container; });
  }
  return changed ? dir_.Save(state) : Status();
}

Status Network::Impl::OnBridges::ForgetGone(
    const std::function<bool(const std::string& container)>& exists) {
  std::vector<std::string> gone;
  {
    MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
    MBX_ASSIGN_OR_RETURN(const State state, dir_.LoadOrSetAside());
    for (const NetworkRecord& record : state.networks) {
      for (const network::ReservedAddress& reserved : record.reserved) {
        if (!exists(reserved.container)) gone.push_back(reserved.container);
      }
    }
  }
  Status first_error;
  for (const std::string& container : gone) network::Collect(Forget(container), &first_error);
  return first_error;
}

StatusOr<network::Reservation> Network::Impl::OnBridges::Reserve(
    const network::EndpointRequest& request) {
  MBX_RETURN_IF_ERROR(network::CheckContainerId(request.container));
  MBX_ASSIGN_OR_RETURN(const std::vector<PortMapping> ports,
                       network::NormalizePorts(request.ports));
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, NetworksOf(request, state));
  bool changed = false;
  MBX_RETURN_IF_ERROR(SetUp(Repair::kIfNeeded, names, &state, &changed));
  if (changed) {
    MBX_RETURN_IF_ERROR(dir_.Save(state));
    MBX_RETURN_IF_ERROR(PublishAll(state));
  }

  // From here on only `state`, the marks and the sockets change, until it is saved.
  bool stale_entries = false;
  for (NetworkRecord& record : state.networks) {
    stale_entries |= record.RemoveLease(request.container).has_value();
  }
  network::ApiListener api;
  {
    const std::lock_guard guard(api_mutex_);
    api = api_;
  }
  MBX_ASSIGN_OR_RETURN(network::BoundPorts bound,
                       network::BindPorts(
                           ports, [&](const PortMapping& port) { return HolderOf(state, port); },
                           api, HostAddresses, state.Find(names.front())->subnet6.has_value()));
  stale_entries |= TakeOverPorts(bound.ports, &state);

  std::vector<Lease> leases;
  for (size_t i = 0; i < names.size(); ++i) {
    Lease& lease = leases.emplace_back();
    lease.container = request.container;
    lease.index = static_cast<int>(i);
    lease.names = request.names;
    lease.project = request.project;
    lease.dns = request.dns;
    lease.host_names = request.host_names;
    if (i == 0) {
      lease.ports = bound.ports;
      lease.spared = bound.spared;
    }
    MBX_RETURN_IF_ERROR(ChooseAddress(request.container, i == 0 ? request.ip : "",
                                      i == 0 ? request.mac : "", state.Find(names[i]), &lease));
  }
  // Rare: what an earlier holder left is still in the maps.
  if (stale_entries) MBX_RETURN_IF_ERROR(firewall_.Replace(state));

  network::Reservation reservation;
  bool has_way_out = false;
  for (size_t i = 0; i < names.size(); ++i) {
    NetworkRecord& record = *state.Find(names[i]);
    Endpoint endpoint = network::EndpointOf(record, leases[i]);
    endpoint.default_route = !record.internal && !has_way_out;
    has_way_out |= endpoint.default_route;
    record.leases.push_back(std::move(leases[i]));
    if (i == 0) {
      reservation.endpoint = std::move(endpoint);
    } else {
      reservation.further.push_back(std::move(endpoint));
    }
  }
  MBX_ASSIGN_OR_RETURN(reservation.starting, dir_.MarkStarting(request.container));
  absl::Cleanup unmark = [&] { dir_.RemoveMark(request.container); };
  MBX_FAILPOINT("network.reserve.save");
  MBX_RETURN_IF_ERROR(SaveLeases(state, names));
  std::move(unmark).Cancel();
  reservation.sockets = std::move(bound.sockets);
  for (const PortMapping& spared : bound.spared) {
    reservation.warnings.push_back(core::StrCat("port ", spared.host_port,
                                                " is published on all addresses but ",
                                                spared.host_ip, ", where the API listens"));
  }
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
  EmitOf("network.connect", endpoint.network, container);
  return Status();
}

Status Network::Impl::OnBridges::Release(std::string_view container) {
  MBX_RETURN_IF_ERROR(network::CheckContainerId(container));
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  Status first_error;
  std::vector<std::string> changed;
  for (NetworkRecord& record : state.networks) {
    if (const auto lease = record.RemoveLease(container)) {
      changed.push_back(record.name);
      EmitOf("network.disconnect", record.name, container);
      // Before the lease is gone: its address may be somebody else's at once.
      network::Collect(firewall_.Remove(*lease).WithContext("unpublish the container"),
                       &first_error);
      network::ForgetUdpOf(*lease);
      if (first_error.ok()) MBX_FAILPOINT("network.release.firewall");
    }
  }
  if (!changed.empty()) network::Collect(SaveLeases(state, changed), &first_error);
  dir_.RemoveMark(container);
  return first_error;
}

Status Network::Impl::OnBridges::Rename(std::string_view container,
                                        const std::vector<std::string>& names,
                                        const std::vector<std::string>& host_names) {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  std::vector<std::string> changed;
  for (NetworkRecord& record : state.networks) {
    for (Lease& lease : record.leases) {
      if (lease.container != container) continue;
      lease.names = names;
      lease.host_names = host_names;
      changed.push_back(record.name);
    }
  }
  return changed.empty() ? Status() : SaveLeases(state, changed);
}

StatusOr<std::vector<network::Member>> Network::Impl::OnBridges::MembersOf(
    std::string_view project) {
  MBX_ASSIGN_OR_RETURN(const State state, dir_.Load());
  std::vector<network::Member> members;
  for (const NetworkRecord& record : state.networks) {
    for (const Lease& lease : record.leases) {
      if (lease.project != project) continue;
      members.push_back(
          {lease.container, record.name, network::FormatIpv4(lease.address), lease.host_names});
    }
  }
  return members;
}

Status Network::Impl::OnBridges::SetUpLoopback(int rtnetlink) {
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink inside, kernel::Rtnetlink::Wrap(rtnetlink));
  return inside.SetUpLoopback();
}

StatusOr<std::string> Network::Impl::OnBridges::ResolvConf(const std::vector<std::string>& dns,
                                                           std::string_view networks) {
  auto host = core::ReadFileAt(AT_FDCWD, options_.resolv_conf.native(), kMaxResolvConfBytes);
  if (!host.ok()) {
    if (host.status().code() != StatusCode::kNotFound) return host.status();
    host = std::string();
  }
  MBX_ASSIGN_OR_RETURN(const State state, dir_.Load());
  const NetworkRecord* server = nullptr;
  for (const std::string_view part : core::StrSplit(networks, ',')) {
    const NetworkRecord* record = state.Find(core::TrimSpace(part));
    if (record == nullptr || !record->dns) continue;
    // An internal one would refuse names of the world.
    if (server == nullptr || (server->internal && !record->internal)) server = record;
  }
  if (server != nullptr) {
    return network::ContainerResolvConf(*host, {network::FormatIpv4(server->gateway)});
  }
  if (dns.empty() && !network::HasReachableServer(*host)) {
    const auto behind_stub = core::ReadFileAt(AT_FDCWD, kResolvedConf, kMaxResolvConfBytes);
    if (behind_stub.ok()) host = *behind_stub;
  }
  return network::ContainerResolvConf(*host, dns);
}

}  // namespace v1
}  // namespace minibox
