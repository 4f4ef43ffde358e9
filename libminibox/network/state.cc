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

constexpr std::string_view kStateFile = "networks.json";
constexpr std::string_view kLockFile = "lock";
constexpr const char* kStartingDir = "starting";
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

StatusOr<NetworkRecord> ParseNetwork(const json::Value& value) {
  NetworkRecord network;
  MBX_ASSIGN_OR_RETURN(network.name, value.GetString("name"));
  MBX_ASSIGN_OR_RETURN(network.bridge, value.GetString("bridge"));
  MBX_ASSIGN_OR_RETURN(network.configured, GetSubnet(value, "configured"));
  MBX_ASSIGN_OR_RETURN(network.subnet, GetSubnet(value, "subnet"));
  MBX_ASSIGN_OR_RETURN(network.pool.next, GetIpv4(value, "next"));
  for (const json::Value& text : value.Get("released").Elements()) {
    MBX_ASSIGN_OR_RETURN(const std::string address, text.AsString());
    const auto parsed = ParseIpv4(address);
    if (!parsed) return text.Expected("an IPv4 address");
    network.pool.released.push_back(*parsed);
  }
  for (const json::Value& item : value.Get("leases").Elements()) {
    Lease lease;
    MBX_ASSIGN_OR_RETURN(lease.container, item.GetString("container"));
    MBX_ASSIGN_OR_RETURN(lease.address, GetIpv4(item, "address"));
    for (const json::Value& port : item.Get("ports").Elements()) {
      MBX_ASSIGN_OR_RETURN(PortMapping mapping, ParsePort(port));
      lease.ports.push_back(std::move(mapping));
    }
    network.leases.push_back(std::move(lease));
  }
  return network;
}

StatusOr<core::Fd> OpenDirAt(int dir, const char* path, std::string_view shown) {
  if (mkdirat(dir, path, 0700) != 0 && errno != EEXIST) return core::SysError("mkdirat", shown);
  core::Fd fd(openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return core::SysError("openat", shown);
  return fd;
}

}  // namespace

std::vector<Ipv4> NetworkRecord::LeasedAddresses() const {
  std::vector<Ipv4> addresses;
  addresses.reserve(leases.size());
  for (const Lease& lease : leases) addresses.push_back(lease.address);
  return addresses;
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

std::string FormatState(const State& state, std::string_view boot_id) {
  json::Writer out;
  out.BeginObject();
  out.Key("version").Int(kVersion);
  out.Key("boot_id").String(boot_id);
  out.Key("networks").BeginArray();
  for (const NetworkRecord& network : state.networks) {
    out.BeginObject();
    out.Key("name").String(network.name);
    out.Key("bridge").String(network.bridge);
    out.Key("configured").String(network.configured.ToString());
    out.Key("subnet").String(network.subnet.ToString());
    out.Key("next").String(FormatIpv4(network.pool.next));
    out.Key("released").BeginArray();
    for (const Ipv4 address : network.pool.released) out.String(FormatIpv4(address));
    out.EndArray();
    out.Key("leases").BeginArray();
    for (const Lease& lease : network.leases) {
      out.BeginObject();
      out.Key("container").String(lease.container);
      out.Key("address").String(FormatIpv4(lease.address));
      out.Key("ports").BeginArray();
      for (const PortMapping& port : lease.ports) {
        out.BeginObject();
        out.Key("host_ip").String(port.host_ip);
        out.Key("host_port").Int(port.host_port);
        out.Key("container_port").Int(port.container_port);
        out.Key("protocol").String(port.protocol == PortMapping::Protocol::kUdp ? "udp" : "tcp");
        out.EndObject();
      }
      out.EndArray();
      out.EndObject();
    }
    out.EndArray();
    out.EndObject();
  }
  out.EndArray();
  out.EndObject();
  return out.Take();
}

StatusOr<State> ParseState(std::string_view text, std::string_view boot_id) {
  json::ParseLimits limits;
  limits.max_bytes = kMaxStateBytes;
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, limits));
  MBX_ASSIGN_OR_RETURN(const int64_t version, root.GetInt("version"));
  if (version != kVersion) return root.Get("version").Expected("version 1");
  MBX_ASSIGN_OR_RETURN(const std::string written_in, root.GetString("boot_id"));
  State state;
  for (const json::Value& item : root.Get("networks").Elements()) {
    MBX_ASSIGN_OR_RETURN(NetworkRecord network, ParseNetwork(item));
    if (written_in != boot_id) {
      for (const Lease& lease : network.leases) ReturnAddress(lease.address, &network.pool);
      network.leases.clear();
    }
    state.networks.push_back(std::move(network));
  }
  return state;
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
  MBX_ASSIGN_OR_RETURN(state.boot_id_, core::BootId());
  return state;
}

StatusOr<core::FileLock> StateDir::Lock() const {
  return core::FileLock::Acquire(dir_.get(), kLockFile);
}

StatusOr<State> StateDir::Load() const {
  auto text = core::ReadFileAt(dir_.get(), kStateFile, kMaxStateBytes);
  if (!text.ok()) {
    if (text.status().code() == StatusCode::kNotFound) return State();
    return text.status();
  }
  auto state = ParseState(*text, boot_id_);
  if (!state.ok()) {
    return core::DataLoss(core::StrCat(path_, "/", kStateFile, ": ", state.status().message()));
  }
  return state;
}

StatusOr<State> StateDir::LoadOrSetAside() const {
  auto state = Load();
  if (state.ok() || state.status().code() != StatusCode::kDataLoss) return state;
  const std::string name(kStateFile);
  const std::string aside = name + ".corrupt";
  if (renameat(dir_.get(), name.c_str(), dir_.get(), aside.c_str()) != 0) {
    return core::SysError("renameat", name);
  }
  core::LogWarning("network", core::StrCat(state.status().message(), ", set aside as ", aside));
  return State();
}

Status StateDir::Save(const State& state) const {
  return core::ReplaceFileAt(dir_.get(), kStateFile, FormatState(state, boot_id_));
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
