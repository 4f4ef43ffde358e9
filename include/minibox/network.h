// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
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
  // Where other networks get their subnets from, and the default one if its own is not free.
  std::vector<std::string> subnet_pool{"172.19.0.0/16", "10.219.0.0/16"};
  // Networks get an IPv6 subnet too: a random unique local one unless another is asked for. The
  // default network follows while nobody uses it.
  bool ipv6 = false;
  // The host's resolver configuration.
  std::filesystem::path resolv_conf = "/etc/resolv.conf";
};

struct NetworkSpec {
  std::string name{};     // spec §3; not "bridge", "host", "none", "container"
  std::string subnet{};   // CIDR, prefix 8 to 29; empty: the next free /24 of the pool
  std::string gateway{};  // the bridge's address; empty: the subnet's first
  // IPv6 subnet in CIDR, prefix 8 to 120, with no fewer addresses than `subnet`; empty: none,
  // unless NetworkOptions::ipv6. The bridge has the first address.
  std::string subnet6{};
  bool internal = false;  // no way out and none in
  bool dns = true;        // a name server on the gateway's address
  uint32_t mtu = 0;       // 0: that of the host's default route
  Labels labels{};
};

struct NetworkMember {
  std::string ip{}, mac{};
  std::string ipv6{};  // empty: none
};

struct NetworkInfo {
  std::string id{};       // 8 hex digits
  std::string name{};     // "bridge" for the default network
  std::string bridge{};   // interface on the host
  std::string subnet{};   // CIDR
  std::string gateway{};  // the bridge's address
  std::string subnet6{};  // CIDR; empty: no IPv6
  bool internal = false, dns = true;
  uint32_t mtu = 0;  // 0: that of the host's default route
  Labels labels{};
  std::map<std::string, NetworkMember> containers{};  // by id, those with an address on it
};

struct PortMapping {
  enum class Protocol { kTcp, kUdp };
  // IPv4, or on networks with an IPv6 subnet IPv6; empty or "0.0.0.0": all IPv4 addresses, and
  // where there is IPv6 all of those too, which is then reported as a second entry with "::".
  std::string host_ip{};
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
  // The default network first, then by name.
  StatusOr<std::vector<NetworkInfo>> List() const;
  StatusOr<NetworkInfo> Inspect(std::string_view name) const;  // kNotFound "network_not_found"
  // A network with a bridge of its own, isolated from all others. kInvalidArgument names the
  // field; kFailedPrecondition "name_in_use", "subnet_conflict" (names the interface whose route
  // overlaps an explicit subnet); kInternal "unsupported_by_host" for IPv6 on a kernel without
  // it. Leaves nothing on failure.
  StatusOr<NetworkInfo> Create(const NetworkSpec& spec);
  // Removes the bridge and, with the last one, the firewall table. For the default
  // network ("bridge") it comes back with the next container that needs it.
  // kNotFound "network_not_found"; kFailedPrecondition "network_in_use".
  Status Remove(std::string_view name);
  // Deletes interfaces, firewall entries and leases whose container is not in `live`
  // (container ids) and restores the entries that a live one lacks. Safe at any time.
  Status Reconcile(const std::vector<std::string>& live);
  // A TCP listener of this process on one loopback address. Where it alone is in the way of a
  // port that is to be published on all addresses, the port is published on all others, with a
  // warning (spec §13.4).
  void SetApiListener(std::string_view ip, uint16_t port);
  // What keeps networks from working that only the host's administrator can change: subnets
  // that overlap routes of the host, firewall chains of others that drop forwarded traffic.
  StatusOr<std::vector<std::string>> Warnings() const;

 private:
  friend class Runtime;
  friend class ImageBuilder;
  struct Impl;
  explicit Network(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace v1
}  // namespace minibox
