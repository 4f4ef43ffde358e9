// SPDX-License-Identifier: Apache-2.0
// What is remembered of networks, in two files that are replaced atomically under a lock that
// all processes share:
//
//   networks.json  names, bridges, subnets: kept for good, synced
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

namespace minibox::network {

struct Lease {
  std::string container{};
  Ipv4 address = 0;
  std::vector<PortMapping> ports{};  // host ports filled in; host_ip empty for all addresses
};

struct NetworkRecord {
  std::string name{}, bridge{};
  Subnet configured{};  // what was asked for when `subnet` was chosen
  Subnet subnet{};
  AddressPool pool{};
  std::vector<Lease> leases{};

  std::vector<Ipv4> LeasedAddresses() const;
  const Lease* FindLease(std::string_view container) const;
  // Takes the lease out and returns its address to the pool.
  std::optional<Lease> RemoveLease(std::string_view container);
};

struct State {
  std::vector<NetworkRecord> networks{};

  NetworkRecord* Find(std::string_view network);
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

 private:
  core::Fd dir_;
  core::RootDir starting_;
  std::string path_, boot_id_;
};

}  // namespace minibox::network
