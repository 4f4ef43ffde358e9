// SPDX-License-Identifier: Apache-2.0
// Networks.
#include "wire/network.h"

#include "handles.h"
#include "wire/json.h"

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::Network;
using minibox::Status;
namespace wire = minibox::wire;

namespace {

constexpr int64_t kMaxMtu = 65535;

minibox::StatusOr<minibox::NetworkSpec> ReadSpec(const char* spec_json) {
  MBX_ASSIGN_OR_RETURN(wire::FieldReader fields, Fields(spec_json, "spec_json"));
  minibox::NetworkSpec spec;
  std::optional<bool> dns;
  int64_t mtu = 0;
  fields.Text("name", &spec.name);
  fields.Text("subnet", &spec.subnet);
  fields.Text("gateway", &spec.gateway);
  fields.Text("subnet6", &spec.subnet6);
  fields.Bool("internal", &spec.internal);
  fields.OptionalBool("dns", &dns);
  fields.Int("mtu", 0, kMaxMtu, &mtu);
  fields.TextMap("labels", &spec.labels);
  MBX_RETURN_IF_ERROR(fields.Finish());
  spec.dns = dns.value_or(true);
  spec.mtu = static_cast<uint32_t>(mtu);
  return spec;
}

}  // namespace

minibox_error* minibox_network_open(minibox_store* store, const minibox_network_options* options,
                                    minibox_network** network) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const minibox::Store* const it, Value(store, "store"));
    MBX_RETURN_IF_ERROR(Need(network, "network"));
    MBX_ASSIGN_OR_RETURN(const minibox_network_options known, Options(options));
    minibox::NetworkOptions wanted;
    wanted.state_dir = it->root() / "networks";
    wanted.event_dir = it->root();
    if (known.state_dir != nullptr) wanted.state_dir = known.state_dir;
    if (known.default_bridge != nullptr) wanted.default_bridge = known.default_bridge;
    if (known.default_subnet != nullptr) wanted.default_subnet = known.default_subnet;
    if (known.subnet_pool_count != 0) {
      MBX_ASSIGN_OR_RETURN(wanted.subnet_pool,
                           List(known.subnet_pool, known.subnet_pool_count, "subnet_pool"));
    }
    wanted.ipv6 = known.ipv6 != 0;
    if (known.resolv_conf != nullptr) wanted.resolv_conf = known.resolv_conf;
    MBX_ASSIGN_OR_RETURN(Network opened, Network::Open(wanted));
    return Wrap(std::move(opened), network);
  });
}

void minibox_network_free(minibox_network* network) { Free(network); }

minibox_error* minibox_network_ensure_default(minibox_network* network, char** network_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Network* const it, Value(network, "network"));
    MBX_ASSIGN_OR_RETURN(const auto info, it->EnsureDefault());
    return Give(wire::ToJson(info, {}), network_json);
  });
}

minibox_error* minibox_network_list(minibox_network* network, char** networks_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Network* const it, Value(network, "network"));
    MBX_ASSIGN_OR_RETURN(const auto networks, it->List());
    return Give(wire::ToJson(networks, {}), networks_json);
  });
}

minibox_error* minibox_network_inspect(minibox_network* network, const char* name,
                                       char** network_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Network* const it, Value(network, "network"));
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(name, "name"));
    MBX_ASSIGN_OR_RETURN(const auto info, it->Inspect(text));
    return Give(wire::ToJson(info, {}), network_json);
  });
}

minibox_error* minibox_network_create(minibox_network* network, const char* spec_json,
                                      char** network_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Network* const it, Value(network, "network"));
    MBX_ASSIGN_OR_RETURN(const minibox::NetworkSpec spec, ReadSpec(spec_json));
    MBX_ASSIGN_OR_RETURN(const auto info, it->Create(spec));
    return Give(wire::ToJson(info, {}), network_json);
  });
}

minibox_error* minibox_network_remove(minibox_network* network, const char* name) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Network* const it, Value(network, "network"));
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(name, "name"));
    return it->Remove(text);
  });
}

minibox_error* minibox_network_warnings(minibox_network* network, char** warnings_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Network* const it, Value(network, "network"));
    MBX_ASSIGN_OR_RETURN(const auto warnings, it->Warnings());
    return Give(wire::JsonWriter().StringArray(warnings).Take(), warnings_json);
  });
}
