// SPDX-License-Identifier: Apache-2.0
#include "wire/network.h"

#include <algorithm>
#include <limits>
#include <map>

#include "core/json.h"
#include "core/status_macros.h"

namespace minibox::wire {
namespace {

using Names = std::map<std::string, std::string>;

Names NamesOf(const std::vector<ContainerInfo>& containers) {
  Names names;
  for (const ContainerInfo& info : containers) names[info.id.ToString()] = info.name;
  return names;
}

void Write(json::Writer& writer, const NetworkInfo& network, const Names& names) {
  writer.BeginObject();
  writer.Key("id").String(network.id);
  writer.Key("name").String(network.name);
  writer.Key("bridge").String(network.bridge);
  writer.Key("subnet").String(network.subnet);
  writer.Key("gateway").String(network.gateway);
  if (!network.subnet6.empty()) writer.Key("subnet6").String(network.subnet6);
  writer.Key("internal").Bool(network.internal);
  writer.Key("dns").Bool(network.dns);
  writer.Key("mtu").Int(network.mtu);
  if (!network.labels.empty()) writer.Key("labels").StringMap(network.labels);
  writer.Key("containers").BeginObject();
  for (const auto& [id, member] : network.containers) {
    writer.Key(id).BeginObject();
    const auto name = names.find(id);
    if (name != names.end() && !name->second.empty()) writer.Key("name").String(name->second);
    writer.Key("ip").String(member.ip);
    if (!member.ipv6.empty()) writer.Key("ipv6").String(member.ipv6);
    writer.Key("mac").String(member.mac);
    writer.EndObject();
  }
  writer.EndObject().EndObject();
}

StatusOr<NetworkInfo> Read(const json::Value& object) {
  NetworkInfo network;
  MBX_ASSIGN_OR_RETURN(network.id, object.GetString("id", ""));
  MBX_ASSIGN_OR_RETURN(network.name, object.GetString("name"));
  MBX_ASSIGN_OR_RETURN(network.bridge, object.GetString("bridge", ""));
  MBX_ASSIGN_OR_RETURN(network.subnet, object.GetString("subnet", ""));
  MBX_ASSIGN_OR_RETURN(network.gateway, object.GetString("gateway", ""));
  MBX_ASSIGN_OR_RETURN(network.subnet6, object.GetString("subnet6", ""));
  MBX_ASSIGN_OR_RETURN(network.internal, object.GetBool("internal", false));
  MBX_ASSIGN_OR_RETURN(network.dns, object.GetBool("dns", true));
  MBX_ASSIGN_OR_RETURN(const int64_t mtu, object.GetInt("mtu", 0));
  network.mtu =
      static_cast<uint32_t>(std::clamp<int64_t>(mtu, 0, std::numeric_limits<uint32_t>::max()));
  MBX_ASSIGN_OR_RETURN(network.labels, object.GetStringMap("labels"));
  for (const auto& [id, value] : object.Get("containers").Members()) {
    NetworkMember& member = network.containers[id];
    MBX_ASSIGN_OR_RETURN(member.ip, value.GetString("ip", ""));
    MBX_ASSIGN_OR_RETURN(member.mac, value.GetString("mac", ""));
    MBX_ASSIGN_OR_RETURN(member.ipv6, value.GetString("ipv6", ""));
  }
  return network;
}

}  // namespace

std::string ToJson(const NetworkInfo& network, const std::vector<ContainerInfo>& containers) {
  json::Writer writer;
  Write(writer, network, NamesOf(containers));
  return writer.Take();
}

std::string ToJson(const std::vector<NetworkInfo>& networks,
                   const std::vector<ContainerInfo>& containers) {
  const Names names = NamesOf(containers);
  json::Writer writer;
  writer.BeginArray();
  for (const NetworkInfo& network : networks) Write(writer, network, names);
  writer.EndArray();
  return writer.Take();
}

StatusOr<NetworkInfo> ParseNetwork(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value object, json::Parse(text, {.max_bytes = text.size()}));
  return Read(object);
}

StatusOr<std::vector<NetworkInfo>> ParseNetworks(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, {.max_bytes = text.size()}));
  if (root.type() != json::Type::kArray) return root.Expected("an array");
  std::vector<NetworkInfo> networks;
  for (const json::Value& element : root.Elements()) {
    MBX_ASSIGN_OR_RETURN(networks.emplace_back(), Read(element));
  }
  return networks;
}

std::string ToJson(const NetworkSpec& spec) {
  json::Writer writer;
  writer.BeginObject().Key("name").String(spec.name);
  if (!spec.subnet.empty()) writer.Key("subnet").String(spec.subnet);
  if (!spec.gateway.empty()) writer.Key("gateway").String(spec.gateway);
  if (!spec.subnet6.empty()) writer.Key("subnet6").String(spec.subnet6);
  if (spec.internal) writer.Key("internal").Bool(true);
  writer.Key("dns").Bool(spec.dns);
  if (spec.mtu != 0) writer.Key("mtu").Int(spec.mtu);
  if (!spec.labels.empty()) writer.Key("labels").StringMap(spec.labels);
  writer.EndObject();
  return writer.Take();
}

}  // namespace minibox::wire
