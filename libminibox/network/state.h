// SPDX-License-Identifier: Apache-2.0
// What is remembered of networks, in two files that are replaced atomically under a lock that
// all processes share:
//
//   networks.json  names, bridges, subnets, reserved addresses: kept for good, synced
//   leases.json    addresses and published ports of containers: of one boot only, so it is not
//                  synced; it outlives every process, and a power cut ends what it stands for
//
//   MBX_ASSIGN_OR_RETURN(core::FileLock lock, state_dir.Lock());
//   MBX_ASSIGN_OR_RETURN(State state, state_dir.LoadOrSetAside());
//   … change the state, and the kernel …
//   MBX_RETURN_IF_ERROR(state_dir.SaveLeases(state));
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "core/file_lock.h"
#include "core/root_dir.h"
#include "minibox/network.h"
#include "minibox/status.h"
#include "network/ipam.h"
#include "network/ipv4.h"
#include "network/ipv6.h"

namespace minibox::network {

struct Lease {
  std::string container{};
  Ipv4 address = 0;
  std::vector<PortMapping> ports{};  // host ports filled in; host_ip empty for all addresses
  kernel::MacAddress mac{};
  int index = 0;  // of the container's interface: eth<index>
  // Host addresses on which published ports stay with somebody else: host_ip and host_port count.
  std::vector<PortMapping> spared{};
  // What the network's name server says of the container, and asks for it.
  std::vector<std::string> names{};
  std::string project{};
  std::vector<std::string> dns{};
  std::vector<std::string> host_names{};  // for hosts files
  std::optional<Ipv6> address6{};         // follows from `address`; not written down
};

// An address that belongs to a container also while it does not run.
struct ReservedAddress {
  std::string container{};
  std::optional<Ipv4> address{};
  std::optional<kernel::MacAddress> mac{};
};

struct NetworkRecord {
  std::string name{}, bridge{};
  Subnet configured{};  // what was asked for when `subnet` was chosen
  Subnet subnet{};
  Ipv4 gateway = 0;
  std::optional<Subnet6> subnet6{};
  std::string id{};  // 8 hex digits
  bool internal = false, dns = true;
  uint32_t mtu = 0;  // 0: that of the host's default route
  Labels labels{};
  std::vector<ReservedAddress> reserved{};
  AddressPool pool{};
  // Its name server, of this boot: where it listens and which process it is; 0: none yet.
  uint16_t resolver_port = 0;
  int resolver_pid = 0;
  uint64_t resolver_start = 0;  // ticks since boot
  std::vector<Lease> leases{};

  // Addresses that `container` cannot have.
  std::vector<Ipv4> TakenFrom(std::string_view container) const;
  // The IPv6 address that goes with an address; nullopt without IPv6.
  std::optional<Ipv6> Address6For(Ipv4 address) const;
  bool HasMac(const kernel::MacAddress& mac, std::string_view except) const;
  const ReservedAddress* FindReserved(std::string_view container) const;
  const Lease* FindLease(std::string_view container) const;
  // Takes the lease out and returns its address to the pool.
  std::optional<Lease> RemoveLease(std::string_view container);
};

struct State {
  std::vector<NetworkRecord> networks{};

  NetworkRecord* Find(std::string_view network);
  const NetworkRecord* Find(std::string_view network) const;
};

// The texts of the two files.
std::string FormatNetworks(const State& state);
std::string FormatLeases(const State& state, std::string_view boot_id);
StatusOr<State> ParseNetworks(std::string_view text);
// Adds the leases to the networks they are of. Those of another boot are dropped and their
// addresses free: what they stood for is gone (spec §6.1).
Status ParseLeases(std::string_view text, std::string_view boot_id, State* state);

class StateDir {
 public:
  StateDir() = default;
  // Creates the directory (0700) if missing.
  static StatusOr<StateDir> Open(const std::filesystem::path& path);

  StatusOr<core::FileLock> Lock() const;
  // Readers without the lock see each file whole, perhaps not the latest. kDataLoss with the
  // file's name as field() if it does not parse.
  StatusOr<State> Load() const;
  // The same; a file that does not parse is set aside with a warning, and what it said is
  // forgotten. Under the lock only.
  StatusOr<State> LoadOrSetAside() const;
  Status Save(const State& state) const;  // both files
  Status SaveLeases(const State& state) const;

  // The mark of a start in progress. It dies with its process, so a lease whose container is
  // not known to run and whose mark nobody holds is left over.
  StatusOr<core::FileLock> MarkStarting(std::string_view container) const;
  StatusOr<bool> IsStarting(std::string_view container) const;
  void RemoveMark(std::string_view container) const;
  StatusOr<std::vector<std::string>> ListMarks() const;

  int fd() const { return dir_.get(); }
  // Of what name servers know.
  int dns_fd() const { return dns_.get(); }

 private:
  core::Fd dir_, dns_;
  core::RootDir starting_;
  std::string path_, boot_id_;
};

}  // namespace minibox::network
