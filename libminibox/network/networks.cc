// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/id.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/rtnetlink.h"
#include "network/on_bridges.h"

namespace minibox {
inline namespace v1 {

namespace {

using network::Ipv4;
using network::NetworkRecord;
using network::State;
using network::Subnet;

constexpr size_t kMaxName = 64;
constexpr size_t kMaxNetworks = 1000;
constexpr uint32_t kLeastMtu = 68, kLeastMtuOfIpv6 = 1280, kGreatestMtu = 65535;
constexpr int kIdDigits = 8;
constexpr std::string_view kBridgePrefix = "mb-";
constexpr size_t kMaxLabels = 1000, kMaxLabelKey = 256, kMaxLabelValue = 64 << 10;

Status CheckName(const std::string& name) {
  const bool text = !name.empty() && name.size() <= kMaxName &&
                    std::isalnum(static_cast<unsigned char>(name[0])) &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return std::isalnum(c) || c == '_' || c == '.' || c == '-';
                    });
  if (!text) {
    return core::InvalidArgument(
        "name", core::StrCat("'", core::EscapeControl(name), "' must be 1 to ", kMaxName,
                             " of [A-Za-z0-9_.-], the first alphanumeric"));
  }
  for (const char* reserved : {"bridge", "host", "none", "container"}) {
    if (name == reserved)
      return core::InvalidArgument("name", core::StrCat("'", name, "' is reserved"));
  }
  return Status();
}

Status CheckLabels(const Labels& labels) {
  if (labels.size() > kMaxLabels) {
    return core::InvalidArgument("labels", "has more than 1000 entries");
  }
  for (const auto& [key, value] : labels) {
    if (key.empty() || key.size() > kMaxLabelKey || key.find('\0') != std::string::npos ||
        value.size() > kMaxLabelValue || value.find('\0') != std::string::npos) {
      return core::InvalidArgument(core::StrCat("labels[\"", core::EscapeControl(key), "\"]"),
                                   "is too long, or has no key");
    }
  }
  return Status();
}

StatusOr<Ipv4> ParseGateway(const std::string& text, const Subnet& subnet) {
  if (text.empty()) return subnet.gateway();
  const auto gateway = network::ParseIpv4(text);
  if (!gateway) {
    return core::InvalidArgument(
        "gateway", core::StrCat("'", core::EscapeControl(text), "' is not an IPv4 address"));
  }
  if (!subnet.Contains(*gateway) || *gateway == subnet.base || *gateway == subnet.broadcast()) {
    return core::InvalidArgument(
        "gateway", core::StrCat("'", text, "' is not a host's address in ", subnet.ToString()));
  }
  return *gateway;
}

// Addresses whose meaning is fixed: no network of containers can have them.
Status CheckUsable(const Subnet& subnet) {
  constexpr Subnet kReserved[] = {{0, 8}, {0x7f000000, 8}, {0xa9fe0000, 16}, {0xe0000000, 3}};
  for (const Subnet& reserved : kReserved) {
    if (!subnet.Overlaps(reserved)) continue;
    return core::InvalidArgument(
        "subnet",
        core::StrCat("'", subnet.ToString(), "' is reserved for ", "something else than hosts"));
  }
  return Status();
}

template <typename Net>
Status SubnetConflict(std::string_view field, const Net& subnet, std::string_view with) {
  return core::FailedPrecondition("subnet_conflict",
                                  core::StrCat("subnet ", subnet.ToString(), " overlaps ", with))
      .WithField(field);
}

Status ConflictWith(std::string_view field, const NetworkRecord& other, const auto& subnet) {
  return SubnetConflict(field, subnet,
                        core::StrCat("network '", other.name, "' on '", other.bridge, "'"));
}

// What goes beyond the subnet itself.
Status CheckSubnet6(const NetworkRecord& record) {
  if (128 - record.subnet6->prefix_length < 32 - record.subnet.prefix_length) {
    return core::InvalidArgument("subnet6", core::StrCat("'", record.subnet6->ToString(),
                                                         "' has fewer addresses than the subnet ",
                                                         record.subnet.ToString()));
  }
  if (record.mtu != 0 && record.mtu < kLeastMtuOfIpv6) {
    return core::InvalidArgument(
        "mtu", core::StrCat("must be at least ", kLeastMtuOfIpv6, " on a network with IPv6"));
  }
  return Status();
}

}  // namespace

StatusOr<std::vector<NetworkInfo>> Network::Impl::OnBridges::List() {
  MBX_ASSIGN_OR_RETURN(State state, dir_.Load());
  if (state.Find(network::kDefaultNetwork) == nullptr) {
    state.networks.insert(state.networks.begin(), MakeDefault());
  }
  std::vector<NetworkInfo> infos;
  for (const NetworkRecord& record : state.networks) infos.push_back(network::InfoOf(record));
  std::sort(infos.begin(), infos.end(), [](const auto& a, const auto& b) {
    const bool a_is_default = a.name == network::kDefaultNetwork;
    const bool b_is_default = b.name == network::kDefaultNetwork;
    return a_is_default != b_is_default ? a_is_default : a.name < b.name;
  });
  return infos;
}

StatusOr<NetworkInfo> Network::Impl::OnBridges::Inspect(std::string_view name) {
  MBX_ASSIGN_OR_RETURN(std::vector<NetworkInfo> infos, List());
  for (NetworkInfo& info : infos) {
    if (info.name == name) return std::move(info);
  }
  return network::NoSuchNetwork(name);
}

StatusOr<NetworkInfo> Network::Impl::OnBridges::Create(const NetworkSpec& spec) {
  MBX_RETURN_IF_ERROR(CheckName(spec.name));
  MBX_RETURN_IF_ERROR(CheckLabels(spec.labels));
  if (spec.mtu != 0 && (spec.mtu < kLeastMtu || spec.mtu > kGreatestMtu)) {
    return core::InvalidArgument("mtu", core::StrCat("must be ", kLeastMtu, " to ", kGreatestMtu));
  }
  NetworkRecord record;
  record.name = spec.name;
  record.internal = spec.internal;
  record.dns = spec.dns;
  record.mtu = spec.mtu;
  record.labels = spec.labels;
  if (!spec.subnet.empty()) {
    MBX_ASSIGN_OR_RETURN(record.subnet, network::ParseSubnet(spec.subnet));
    MBX_RETURN_IF_ERROR(CheckUsable(record.subnet));
    MBX_RETURN_IF_ERROR(ParseGateway(spec.gateway, record.subnet).status());
  } else if (!spec.gateway.empty()) {
    return core::InvalidArgument("gateway", "needs 'subnet'");
  }
  if (!spec.subnet6.empty()) {
    MBX_ASSIGN_OR_RETURN(record.subnet6, network::ParseSubnet6(spec.subnet6));
  }
  if (record.subnet6 || options_.ipv6) MBX_RETURN_IF_ERROR(network::CheckHostHasIpv6());

  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  if (state.Find(spec.name) != nullptr) {
    return core::FailedPrecondition("name_in_use", core::StrCat("network '", spec.name, "' exists"))
        .WithField("name");
  }
  if (state.networks.size() >= kMaxNetworks) {
    return core::FailedPrecondition("no_address",
                                    core::StrCat("there are ", kMaxNetworks, " networks already"));
  }
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink rtnetlink, kernel::Rtnetlink::Open());
  MBX_ASSIGN_OR_RETURN(const network::HostRoutes routes, network::ReadHostRoutes(rtnetlink));
  const network::SubnetSource source = SourceFor(spec.name, state);
  if (spec.subnet.empty()) {
    MBX_ASSIGN_OR_RETURN(record.subnet, network::NextFreeSubnet(routes, source));
  } else if (const std::string link = routes.Conflict(record.subnet); !link.empty()) {
    return SubnetConflict("subnet", record.subnet, core::StrCat("a route of '", link, "'"));
  } else {
    for (const NetworkRecord& other : state.networks) {
      if (!other.subnet.Overlaps(record.subnet)) continue;
      return ConflictWith("subnet", other, record.subnet);
    }
    for (const Subnet& taken : source.taken) {
      if (!taken.Overlaps(record.subnet)) continue;
      return SubnetConflict("subnet", record.subnet,
                            core::StrCat("the default network on '", options_.default_bridge, "'"));
    }
  }
  if (!spec.subnet6.empty()) {
    if (const std::string link = routes.Conflict(*record.subnet6); !link.empty()) {
      return SubnetConflict("subnet6", *record.subnet6, core::StrCat("a route of '", link, "'"));
    }
    for (const NetworkRecord& other : state.networks) {
      if (!other.subnet6 || !other.subnet6->Overlaps(*record.subnet6)) continue;
      return ConflictWith("subnet6", other, *record.subnet6);
    }
  } else if (options_.ipv6) {
    record.subnet6 = network::FreeSubnet6(routes, state);
  }
  if (record.subnet6) MBX_RETURN_IF_ERROR(CheckSubnet6(record));
  record.configured = record.subnet;
  MBX_ASSIGN_OR_RETURN(record.gateway, ParseGateway(spec.gateway, record.subnet));
  record.pool.next = record.subnet.first();
  do {
    record.id = core::RandomHex(kIdDigits);
    record.bridge = core::StrCat(kBridgePrefix, record.id);
  } while (std::any_of(routes.links.begin(), routes.links.end(),
                       [&](const auto& link) { return link.name == record.bridge; }));

  const State before = state;
  state.networks.push_back(record);
  // The record comes first: what a crash leaves in the kernel is then known to be ours.
  MBX_RETURN_IF_ERROR(dir_.Save(state));
  absl::Cleanup undo = [&] {
    for (const Status& status :
         {resolvers_.Stop(state.Find(spec.name)), rtnetlink.DeleteLink(record.bridge),
          firewall_.Replace(before), dir_.Save(before)}) {
      if (!status.ok() && status.code() != StatusCode::kNotFound) {
        core::LogWarning("network", core::StrCat("network '", spec.name, "', which was not made: ",
                                                 status.message(), ", left for the next repair"));
      }
    }
  };
  MBX_FAILPOINT("network.create.recorded");
  bool changed = false;
  MBX_RETURN_IF_ERROR(SetUp(Repair::kIfNeeded, {spec.name}, &state, &changed));
  MBX_FAILPOINT("network.create.set_up");
  if (changed) MBX_RETURN_IF_ERROR(dir_.Save(state));
  MBX_RETURN_IF_ERROR(PublishAll(state));
  std::move(undo).Cancel();
  events_.Emit("network.create", spec.name, {{"name", spec.name}});
  return network::InfoOf(*state.Find(spec.name));
}

Status Network::Impl::OnBridges::Remove(std::string_view name) {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, dir_.Lock());
  MBX_ASSIGN_OR_RETURN(State state, dir_.LoadOrSetAside());
  NetworkRecord* record = state.Find(name);
  const bool is_default = name == network::kDefaultNetwork;
  if (record == nullptr && !is_default) return network::NoSuchNetwork(name);
  const std::string bridge = record != nullptr ? record->bridge : options_.default_bridge;
  if (record != nullptr && !record->leases.empty()) {
    return core::FailedPrecondition("network_in_use",
                                    core::StrCat("network '", name, "' is used by container '",
                                                 record->leases.front().container, "'"));
  }
  NetworkRecord unknown = MakeDefault();
  MBX_RETURN_IF_ERROR(resolvers_.Stop(record != nullptr ? record : &unknown));
  MBX_ASSIGN_OR_RETURN(kernel::Rtnetlink rtnetlink, kernel::Rtnetlink::Open());
  const auto link = rtnetlink.GetLink(bridge);
  if (link.ok() && link->kind == "bridge") {
    const Status deleted = rtnetlink.DeleteLink(bridge);
    if (!deleted.ok() && deleted.code() != StatusCode::kNotFound) return deleted;
  } else if (!link.ok() && link.status().code() != StatusCode::kNotFound) {
    return link.status();
  }
  // The record of the default network stays: it remembers which addresses were in use last.
  if (!is_default) {
    std::erase_if(state.networks, [&](const auto& each) { return each.name == name; });
    MBX_RETURN_IF_ERROR(dir_.Save(state));
  } else if (record != nullptr) {
    MBX_RETURN_IF_ERROR(dir_.SaveLeases(state));
  }
  MBX_ASSIGN_OR_RETURN(const auto links, rtnetlink.ListLinks());
  const bool none = std::none_of(state.networks.begin(), state.networks.end(), [&](const auto& n) {
    return std::any_of(links.begin(), links.end(),
                       [&](const auto& each) { return each.name == n.bridge; });
  });
  events_.Emit("network.remove", name, {{"name", std::string(name)}});
  return none ? firewall_.Delete() : firewall_.Replace(state);
}

}  // namespace v1
}  // namespace minibox
