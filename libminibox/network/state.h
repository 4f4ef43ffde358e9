// SPDX-License-Identifier: Apache-2.0
// What is remembered of networks: subnets, leases, published ports. One JSON file, replaced
// atomically under a lock that all processes share.
//
//   MBX_ASSIGN_OR_RETURN(core::FileLock lock, state_dir.Lock());
//   MBX_ASSIGN_OR_RETURN(State state, state_dir.Load());
//   … change the state, and the kernel …
//   MBX_RETURN_IF_ERROR(state_dir.Save(state));
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

// The text of the file. Leases of another boot are dropped when read: what they stood for is
// gone (spec §6.1).
std::string FormatState(const State& state, std::string_view boot_id);
StatusOr<State> ParseState(std::string_view text, std::string_view boot_id);

class StateDir {
 public:
  StateDir() = default;
  // Creates the directory (0700) if missing.
  static StatusOr<StateDir> Open(const std::filesystem::path& path);

  StatusOr<core::FileLock> Lock() const;
  // Reads without the lock see one whole state, perhaps not the latest.
  StatusOr<State> Load() const;
  // The same; a file that does not parse is set aside with a warning, and the state is empty.
  // Under the lock only.
  StatusOr<State> LoadOrSetAside() const;
  Status Save(const State& state) const;

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
