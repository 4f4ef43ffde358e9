// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/export.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {

struct NetworkOptions {
  // Records of networks, leases and published ports; normally <data root>/networks.
  std::filesystem::path state_dir = "/var/lib/minibox/networks";
  // Where events.jsonl lies that tells of networks, normally the data root; empty: nowhere.
  std::filesystem::path event_dir{};
  std::string default_bridge = "minibox0";
  std::string default_subnet = "172.19.0.0/24";
};

struct NetworkInfo {
  std::string name{};                     // "bridge" for the default network
  std::string bridge{};                   // interface on the host
  std::string subnet{};                   // CIDR
  std::string gateway{};                  // the bridge's address
  std::vector<std::string> containers{};  // ids with an address on it
};

struct PortMapping {
  enum class Protocol { kTcp, kUdp };
  std::string host_ip{};        // empty: all addresses
  uint16_t host_port = 0;       // 0: a free one
  uint16_t container_port = 0;  // 1-65535
  Protocol protocol = Protocol::kTcp;
};

// The bridge networks of this host and the addresses, links, firewall entries and
// published ports of containers on them (spec §13).
//
// Thread-safe handle; several processes may use one state_dir at once. Needs
// CAP_NET_ADMIN. Opening touches no kernel state but repairs what a dead process
// left half-made; the bridge appears with EnsureDefault() or the first container.
class MINIBOX_EXPORT Network {
 public:
  static StatusOr<Network> Open(const NetworkOptions& options = {});

  // Sets the default bridge and the firewall table up, or repairs them. Idempotent.
  StatusOr<NetworkInfo> EnsureDefault();
  StatusOr<std::vector<NetworkInfo>> List() const;
  // Removes the bridge and, with the last one, the firewall table. For the default
  // network ("bridge") it comes back with the next container that needs it.
  // kNotFound "network_not_found"; kFailedPrecondition "network_in_use".
  Status Remove(std::string_view name);
  // Deletes interfaces, firewall entries and leases whose container is not in `live`
  // (container ids) and restores the entries that a live one lacks. Safe at any time.
  Status Reconcile(const std::vector<std::string>& live);

 private:
  friend class Runtime;
  friend class ImageBuilder;
  struct Impl;
  explicit Network(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace v1
}  // namespace minibox
