// SPDX-License-Identifier: Apache-2.0
#include "network/state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "core/errors.h"
#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/process.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::network {
namespace {

constexpr std::string_view kNetworksFile = "networks.json";
constexpr std::string_view kLeasesFile = "leases.json";
constexpr const char* kLeasesTemporary = ".leases.json.tmp";
constexpr std::string_view kLockFile = "lock";
constexpr const char* kStartingDir = "starting";
constexpr const char* kDnsDir = "dns";
constexpr int64_t kVersion = 1;
constexpr size_t kMaxStateBytes = 64u << 20;

StatusOr<Ipv4> GetIpv4(const json::Value& value, std::string_view key) {
  MBX_ASSIGN_OR_RETURN(const std::string text, value.GetString(key));
  const auto address = ParseIpv4(text);
  if (!address) return value.Get(key).Expected("an IPv4 address");
  return *address;
}

StatusOr<Subnet> GetSubnet(const json::Value& value, std::string_view key) {
  MBX_ASSIGN_OR_RETURN(const std::string text, value.GetString(key));
  return ParseSubnet(text);
}

StatusOr<uint16_t> GetPort(const json::Value& value, std::string_view key) {
  MBX_ASSIGN_OR_RETURN(const int64_t port, value.GetInt(key));
  if (port < 1 || port > std::numeric_limits<uint16_t>::max()) {
    return value.Get(key).Expected("a port");
  }
  return static_cast<uint16_t>(port);
}

StatusOr<PortMapping> ParsePort(const json::Value& value) {
  PortMapping port;
  MBX_ASSIGN_OR_RETURN(port.host_ip, value.GetString("host_ip", ""));
  MBX_ASSIGN_OR_RETURN(port.host_port, GetPort(value, "host_port"));
  MBX_ASSIGN_OR_RETURN(port.container_port, GetPort(value, "container_port"));
  MBX_ASSIGN_OR_RETURN(const std::string protocol, value.GetString("protocol"));
  if (protocol != "tcp" && protocol != "udp") return value.Get("protocol").Expected("tcp or udp");
  port.protocol = protocol == "udp" ? PortMapping::Protocol::kUdp : PortMapping::Protocol::kTcp;
  return port;
}

StatusOr<std::vector<PortMapping>> ParsePortList(const json::Value& list) {
  std::vector<PortMapping> ports;
  for (const json::Value& port : list.Elements()) {
    MBX_ASSIGN_OR_RETURN(PortMapping mapping, ParsePort(port));
    ports.push_back(std::move(mapping));
  }
  return ports;
}

StatusOr<kernel::MacAddress> GetMac(const json::Value& value, std::string_view key) {
  MBX_ASSIGN_OR_RETURN(const std::string text, value.GetString(key));
  const auto mac = ParseMac(text);
  if (!mac) return value.Get(key).Expected("a MAC address");
  return *mac;
}

StatusOr<ReservedAddress> ParseReserved(const json::Value& value) {
  ReservedAddress reserved;
  MBX_ASSIGN_OR_RETURN(reserved.container, value.GetString("container"));
  if (!value.Get("address").empty()) {
    MBX_ASSIGN_OR_RETURN(reserved.address, GetIpv4(value, "address"));
  }
  if (!value.Get("mac").empty()) {
    MBX_ASSIGN_OR_RETURN(reserved.mac, GetMac(value, "mac"));
  }
  return reserved;
}

StatusOr<NetworkRecord> ParseNetwork(const json::Value& value) {
  NetworkRecord network;
  MBX_ASSIGN_OR_RETURN(network.name, value.GetString("name"));
  MBX_ASSIGN_OR_RETURN(network.bridge, value.GetString("bridge"));
  MBX_ASSIGN_OR_RETURN(network.configured, GetSubnet(value, "configured"));
  MBX_ASSIGN_OR_RETURN(network.subnet, GetSubnet(value, "subnet"));
  network.gateway = network.subnet.gateway();
  if (!value.Get("gateway").empty()) {
    MBX_ASSIGN_OR_RETURN(network.gateway, GetIpv4(value, "gateway"));
  }
  if (!value.Get("subnet6").empty()) {
    MBX_ASSIGN_OR_RETURN(const std::string subnet6, value.GetString("subnet6"));
    MBX_ASSIGN_OR_RETURN(network.subnet6, ParseSubnet6(subnet6));
  }
  MBX_ASSIGN_OR_RETURN(network.id, value.GetString("id", ""));
  MBX_ASSIGN_OR_RETURN(network.internal, value.GetBool("internal", false));
  MBX_ASSIGN_OR_RETURN(network.dns, value.GetBool("dns", true));
  MBX_ASSIGN_OR_RETURN(const int64_t mtu, value.GetInt("mtu", 0));
  network.mtu = static_cast<uint32_t>(mtu);
  MBX_ASSIGN_OR_RETURN(network.labels, value.GetStringMap("labels"));
  for (const json::Value& item : value.Get("reserved").Elements()) {
    MBX_ASSIGN_OR_RETURN(ReservedAddress reserved, ParseReserved(item));
    network.reserved.push_back(std::move(reserved));
  }
  network.pool.next = network.subnet.first();
  return network;
}

StatusOr<AddressPool> ParsePool(const json::Value& value) {
  AddressPool pool;
  MBX_ASSIGN_OR_RETURN(pool.next, GetIpv4(value, "next"));
  for (const json::Value& text : value.Get("released").Elements()) {
    MBX_ASSIGN_OR_RETURN(const std::string address, text.AsString());
    const auto parsed = ParseIpv4(address);
    if (!parsed) return text.Expected("an IPv4 address");
    pool.released.push_back(*parsed);
  }
  return pool;
}

StatusOr<Lease> ParseLease(const json::Value& value) {
  Lease lease;
  MBX_ASSIGN_OR_RETURN(lease.container, value.GetString("container"));
  MBX_ASSIGN_OR_RETURN(lease.address, GetIpv4(value, "address"));
  MBX_ASSIGN_OR_RETURN(lease.ports, ParsePortList(value.Get("ports")));
  MBX_ASSIGN_OR_RETURN(lease.spared, ParsePortList(value.Get("spared")));
  lease.mac = MacFor(lease.address);
  if (!value.Get("mac").empty()) {
    MBX_ASSIGN_OR_RETURN(lease.mac, GetMac(value, "mac"));
  }
  MBX_ASSIGN_OR_RETURN(const int64_t index, value.GetInt("index", 0));
  lease.index = static_cast<int>(index);
  MBX_ASSIGN_OR_RETURN(lease.names, value.GetStringArray("names"));
  MBX_ASSIGN_OR_RETURN(lease.project, value.GetString("project", ""));
  MBX_ASSIGN_OR_RETURN(lease.dns, value.GetStringArray("dns"));
  MBX_ASSIGN_OR_RETURN(lease.host_names, value.GetStringArray("host_names"));
  return lease;
}

Status ParseResolver(const json::Value& value, bool of_this_boot, NetworkRecord* network) {
  MBX_ASSIGN_OR_RETURN(const int64_t port, value.GetInt("port", 0));
  MBX_ASSIGN_OR_RETURN(const int64_t pid, value.GetInt("pid", 0));
  MBX_ASSIGN_OR_RETURN(const int64_t start, value.GetInt("start", 0));
  if (!of_this_boot) return Status();
  network->resolver_port = static_cast<uint16_t>(port);
  network->resolver_pid = static_cast<int>(pid);
  network->resolver_start = static_cast<uint64_t>(start);
  return Status();
}

StatusOr<json::Value> ParseVersioned(std::string_view text) {
  json::ParseLimits limits;
  limits.max_bytes = kMaxStateBytes;
  MBX_ASSIGN_OR_RETURN(json::Value root, json::Parse(text, limits));
  MBX_ASSIGN_OR_RETURN(const int64_t version, root.GetInt("version"));
  if (version != kVersion) return root.Get("version").Expected("version 1");
  return root;
}

void WritePorts(const std::vector<PortMapping>& ports, json::Writer* out) {
  out->BeginArray();
  for (const PortMapping& port : ports) {
    out->BeginObject();
    out->Key("host_ip").String(port.host_ip);
    out->Key("host_port").Int(port.host_port);
    out->Key("container_port").Int(port.container_port);
    out->Key("protocol").String(port.protocol == PortMapping::Protocol::kUdp ? "udp" : "tcp");
    out->EndObject();
  }
  out->EndArray();
}

void WriteLease(const Lease& lease, json::Writer* out) {
  out->BeginObject();
  out->Key("container").String(lease.container);
  out->Key("address").String(FormatIpv4(lease.address));
  out->Key("ports");
  WritePorts(lease.ports, out);
  if (!lease.spared.empty()) {
    out->Key("spared");
    WritePorts(lease.spared, out);
  }
  out->Key("mac").String(FormatMac(lease.mac));
  out->Key("index").Int(lease.index);
  out->Key("names").StringArray(lease.names);
  if (!lease.project.empty()) out->Key("project").String(lease.project);
  if (!lease.dns.empty()) out->Key("dns").StringArray(lease.dns);
  if (!lease.host_names.empty()) out->Key("host_names").StringArray(lease.host_names);
  out->EndObject();
}

StatusOr<core::Fd> OpenDirAt(int dir, const char* path, std::string_view shown) {
  if (mkdirat(dir, path, 0700) != 0 && errno != EEXIST) return core::SysError("mkdirat", shown);
  core::Fd fd(openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return core::SysError("openat", shown);
  return fd;
}

// The field tells which file it was.
Status Damaged(std::string_view path, std::string_view file, const Status& why) {
  return core::DataLoss(core::StrCat(path, "/", file, ": ", why.message())).WithField(file);
}

}  // namespace

std::vector<Ipv4> NetworkRecord::TakenFrom(std::string_view container) const {
  std::vector<Ipv4> addresses = {gateway};
  addresses.reserve(leases.size() + reserved.size() + 1);
  for (const Lease& lease : leases) {
    if (lease.container != container) addresses.push_back(lease.address);
  }
  for (const ReservedAddress& other : reserved) {
    if (other.address && other.container != container) addresses.push_back(*other.address);
  }
  return addresses;
}

bool NetworkRecord::HasMac(const kernel::MacAddress& mac, std::string_view except) const {
  return std::any_of(leases.begin(), leases.end(),
                     [&](const Lease& l) { return l.container != except && l.mac == mac; }) ||
         std::any_of(reserved.begin(), reserved.end(), [&](const ReservedAddress& r) {
           return r.container != except && r.mac == mac;
         });
}

std::optional<Ipv6> NetworkRecord::Address6For(Ipv4 address) const {
  return subnet6 ? std::optional(subnet6->HostFor(address, subnet)) : std::nullopt;
}

const ReservedAddress* NetworkRecord::FindReserved(std::string_view container) const {
  for (const ReservedAddress& each : reserved) {
    if (each.container == container) return &each;
  }
  return nullptr;
}

const Lease* NetworkRecord::FindLease(std::string_view container) const {
  for (const Lease& lease : leases) {
    if (lease.container == container) return &lease;
  }
  return nullptr;
}

std::optional<Lease> NetworkRecord::RemoveLease(std::string_view container) {
  const auto found = std::find_if(leases.begin(), leases.end(),
                                  [&](const Lease& lease) { return lease.container == container; });
  if (found == leases.end()) return std::nullopt;
  Lease lease = std::move(*found);
  leases.erase(found);
  ReturnAddress(lease.address, &pool);
  return lease;
}

NetworkRecord* State::Find(std::string_view network) {
  for (NetworkRecord& record : networks) {
    if (record.name == network) return &record;
  }
  return nullptr;
}

const NetworkRecord* State::Find(std::string_view network) const {
  return const_cast<State*>(this)->Find(network);
}

std::string FormatNetworks(const State& state) {
  json::Writer out;
  out.BeginObject();
  out.Key("version").Int(kVersion);
  out.Key("networks").BeginArray();
  for (const NetworkRecord& network : state.networks) {
    out.BeginObject();
    out.Key("name").String(network.name);
    out.Key("bridge").String(network.bridge);
    out.Key("configured").String(network.configured.ToString());
    out.Key("subnet").String(network.subnet.ToString());
    out.Key("gateway").String(FormatIpv4(network.gateway));
    if (network.subnet6) out.Key("subnet6").String(network.subnet6->ToString());
    out.Key("id").String(network.id);
    out.Key("internal").Bool(network.internal);
    out.Key("dns").Bool(network.dns);
    out.Key("mtu").Int(network.mtu);
    out.Key("labels").StringMap(network.labels);
    out.Key("reserved").BeginArray();
    for (const ReservedAddress& reserved : network.reserved) {
      out.BeginObject();
      out.Key("container").String(reserved.container);
      if (reserved.address) out.Key("address").String(FormatIpv4(*reserved.address));
      if (reserved.mac) out.Key("mac").String(FormatMac(*reserved.mac));
      out.EndObject();
    }
    out.EndArray();
    out.EndObject();
  }
  out.EndArray();
  out.EndObject();
  return out.Take();
}

std::string FormatLeases(const State& state, std::string_view boot_id) {
  json::Writer out;
  out.BeginObject();
  out.Key("version").Int(kVersion);
  out.Key("boot_id").String(boot_id);
  out.Key("networks").BeginArray();
  for (const NetworkRecord& network : state.networks) {
    out.BeginObject();
    out.Key("name").String(network.name);
    out.Key("subnet").String(network.subnet.ToString());
    out.Key("next").String(FormatIpv4(network.pool.next));
    out.Key("resolver").BeginObject();
    out.Key("port").Int(network.resolver_port);
    out.Key("pid").Int(network.resolver_pid);
    out.Key("start").Uint(network.resolver_start);
    out.EndObject();
    out.Key("released").BeginArray();
    for (const Ipv4 address : network.pool.released) out.String(FormatIpv4(address));
    out.EndArray();
    out.Key("leases").BeginArray();
    for (const Lease& lease : network.leases) WriteLease(lease, &out);
    out.EndArray();
    out.EndObject();
  }
  out.EndArray();
  out.EndObject();
  return out.Take();
}

StatusOr<State> ParseNetworks(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, ParseVersioned(text));
  State state;
  for (const json::Value& item : root.Get("networks").Elements()) {
    MBX_ASSIGN_OR_RETURN(NetworkRecord network, ParseNetwork(item));
    state.networks.push_back(std::move(network));
  }
  return state;
}

Status ParseLeases(std::string_view text, std::string_view boot_id, State* state) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, ParseVersioned(text));
  MBX_ASSIGN_OR_RETURN(const std::string written_in, root.GetString("boot_id"));
  for (const json::Value& item : root.Get("networks").Elements()) {
    MBX_ASSIGN_OR_RETURN(const std::string name, item.GetString("name"));
    MBX_ASSIGN_OR_RETURN(const Subnet subnet, GetSubnet(item, "subnet"));
    MBX_ASSIGN_OR_RETURN(AddressPool pool, ParsePool(item));
    NetworkRecord* network = state->Find(name);
    // The subnet of a network changes only while it has no leases, and is written first.
    if (network == nullptr || network->subnet != subnet) continue;
    network->pool = std::move(pool);
    MBX_RETURN_IF_ERROR(ParseResolver(item.Get("resolver"), written_in == boot_id, network));
    for (const json::Value& value : item.Get("leases").Elements()) {
      MBX_ASSIGN_OR_RETURN(Lease lease, ParseLease(value));
      lease.address6 = network->Address6For(lease.address);
      if (written_in == boot_id) {
        network->leases.push_back(std::move(lease));
      } else {
        ReturnAddress(lease.address, &network->pool);
      }
    }
  }
  return Status();
}

StatusOr<StateDir> StateDir::Open(const std::filesystem::path& path) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (error) return core::SysError("mkdir", path.parent_path().native(), error.value());
  StateDir state;
  state.path_ = path.native();
  MBX_ASSIGN_OR_RETURN(state.dir_, OpenDirAt(AT_FDCWD, path.c_str(), path.native()));
  MBX_ASSIGN_OR_RETURN(core::Fd starting, OpenDirAt(state.dir_.get(), kStartingDir, kStartingDir));
  state.starting_ = core::RootDir(std::move(starting));
  MBX_ASSIGN_OR_RETURN(state.dns_, OpenDirAt(state.dir_.get(), kDnsDir, kDnsDir));
  // Name servers have no privileges; what is above keeps everybody else out.
  if (fchmod(state.dns_.get(), 0755) != 0) return core::SysError("fchmod", kDnsDir);
  MBX_ASSIGN_OR_RETURN(state.boot_id_, core::BootId());
  return state;
}

StatusOr<core::FileLock> StateDir::Lock() const {
  return core::FileLock::Acquire(dir_.get(), kLockFile);
}

StatusOr<State> StateDir::Load() const {
  State state;
  auto text = core::ReadFileAt(dir_.get(), kNetworksFile, kMaxStateBytes);
  if (text.ok()) {
    auto networks = ParseNetworks(*text);
    if (!networks.ok()) return Damaged(path_, kNetworksFile, networks.status());
    state = std::move(*networks);
    text = core::ReadFileAt(dir_.get(), kLeasesFile, kMaxStateBytes);
    if (text.ok()) {
      const Status leases = ParseLeases(*text, boot_id_, &state);
      if (!leases.ok()) return Damaged(path_, kLeasesFile, leases);
    }
  }
  if (!text.ok() && text.status().code() != StatusCode::kNotFound) return text.status();
  return state;
}

StatusOr<State> StateDir::LoadOrSetAside() const {
  // Each attempt gets rid of one damaged file.
  auto state = Load();
  for (const std::string_view file : {kNetworksFile, kLeasesFile}) {
    if (state.ok() || state.status().field() != file) continue;
    const std::string name(file), aside = name + ".corrupt";
    if (renameat(dir_.get(), name.c_str(), dir_.get(), aside.c_str()) != 0) {
      return core::SysError("renameat", name);
    }
    core::LogWarning("network", core::StrCat(state.status().message(), ", set aside as ", aside));
    state = Load();
  }
  return state;
}

Status StateDir::Save(const State& state) const {
  MBX_RETURN_IF_ERROR(core::ReplaceFileAt(dir_.get(), kNetworksFile, FormatNetworks(state)));
  return SaveLeases(state);
}

Status StateDir::SaveLeases(const State& state) const {
  const std::string name(kLeasesFile);
  core::Fd file(openat(dir_.get(), kLeasesTemporary,
                       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return core::SysError("openat", kLeasesTemporary);
  MBX_RETURN_IF_ERROR(
      core::WriteAll(file.get(), FormatLeases(state, boot_id_)).WithContext(kLeasesTemporary));
  if (close(file.release()) != 0) return core::SysError("close", kLeasesTemporary);
  if (renameat(dir_.get(), kLeasesTemporary, dir_.get(), name.c_str()) != 0) {
    return core::SysError("renameat", name);
  }
  return Status();
}

StatusOr<core::FileLock> StateDir::MarkStarting(std::string_view container) const {
  return core::FileLock::Acquire(starting_.fd(), container);
}

StatusOr<bool> StateDir::IsStarting(std::string_view container) const {
  MBX_ASSIGN_OR_RETURN(const auto lock, core::FileLock::TryAcquire(starting_.fd(), container));
  return !lock.has_value();
}

void StateDir::RemoveMark(std::string_view container) const {
  // A mark without a lease means nothing, and the next opening sweeps it.
  (void)unlinkat(starting_.fd(), std::string(container).c_str(), 0);
}

StatusOr<std::vector<std::string>> StateDir::ListMarks() const { return starting_.List(""); }

}  // namespace minibox::network
