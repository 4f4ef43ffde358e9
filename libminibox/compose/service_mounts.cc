// SPDX-License-Identifier: Apache-2.0
#include "compose/service_mounts.h"

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::compose {
namespace {

using core::StrCat;

bool IsHostPath(std::string_view source) {
  return source.starts_with('/') || source.starts_with('.') || source.starts_with('~');
}

Status AddNamed(const ServiceContext& context, Position at, const std::string& key, Mount mount,
                Service* service) {
  const VolumeDefinition* const volume = context.project.FindVolume(key);
  if (volume == nullptr) {
    return context.fields.Error(
        at, StrCat("there is no volume '", core::EscapeControl(key), "' in the top-level volumes"));
  }
  mount.kind = Mount::Kind::kVolume;
  mount.source = volume->name;
  service->volume_keys.push_back(key);
  service->spec.mounts.push_back(std::move(mount));
  return Status();
}

// `source:target[:opts]`, or the target alone.
Status ReadShort(const ServiceContext& context, const Node& node, Service* service) {
  MBX_ASSIGN_OR_RETURN(const std::string text, context.fields.Text("each of volumes", node));
  const auto parts = core::StrSplit(text, ':');
  if (parts.size() > 3) {
    return context.fields.Expected("each of volumes", node, "source:target[:options]");
  }
  Mount mount;
  if (parts.size() == 1) {
    mount.kind = Mount::Kind::kVolume;
    mount.target = parts[0];
    service->spec.mounts.push_back(std::move(mount));
    return Status();
  }
  mount.target = parts[1];
  if (parts.size() == 3) mount.options = parts[2];
  const std::string source(parts[0]);
  if (!IsHostPath(source)) return AddNamed(context, node.at, source, std::move(mount), service);
  MBX_ASSIGN_OR_RETURN(const auto path, ResolveFile(context, node.at, source));
  mount.source = path.string();
  service->spec.mounts.push_back(std::move(mount));
  return Status();
}

void AddOption(std::string_view option, std::string* options) {
  if (!options->empty()) *options += ',';
  *options += option;
}

Status ReadLong(const ServiceContext& context, const Node& node, Service* service) {
  const Fields& fields = context.fields;
  fields.WarnUnknown(node, "of volumes",
                     {"type", "source", "target", "read_only", "bind", "volume", "tmpfs"});
  std::string type, source;
  Mount mount;
  // What follows depends on it.
  const Node* const kind = node.Find("type");
  if (kind == nullptr) return fields.Error(node.at, "volumes needs a type");
  MBX_ASSIGN_OR_RETURN(type, fields.Text("volumes.type", *kind));
  if (type != "bind" && type != "volume" && type != "tmpfs") {
    return fields.Expected("volumes.type", *kind, "bind, volume or tmpfs");
  }
  for (const auto& [key, at, value] : node.members) {
    if (key == "source") {
      MBX_ASSIGN_OR_RETURN(source, fields.Text("volumes.source", value));
    } else if (key == "target") {
      MBX_ASSIGN_OR_RETURN(mount.target, fields.Text("volumes.target", value));
    } else if (key == "read_only") {
      MBX_ASSIGN_OR_RETURN(const bool read_only, fields.Bool("volumes.read_only", value));
      if (read_only) AddOption("ro", &mount.options);
    } else if (key == "bind" && type == "bind") {
      fields.WarnUnknown(value, "of bind", {"create_host_path"});
      if (const Node* create = value.Find("create_host_path"); create != nullptr) {
        MBX_ASSIGN_OR_RETURN(const bool wanted, fields.Bool("bind.create_host_path", *create));
        if (!wanted) AddOption("nocreate", &mount.options);
      }
    } else if (key == "volume" && type == "volume") {
      fields.WarnUnknown(value, "of volume", {"nocopy"});
      if (const Node* nocopy = value.Find("nocopy"); nocopy != nullptr) {
        MBX_ASSIGN_OR_RETURN(const bool wanted, fields.Bool("volume.nocopy", *nocopy));
        if (wanted) AddOption("nocopy", &mount.options);
      }
    } else if (key == "tmpfs" && type == "tmpfs") {
      fields.WarnUnknown(value, "of tmpfs", {"size"});
      if (const Node* size = value.Find("size"); size != nullptr) {
        MBX_ASSIGN_OR_RETURN(const int64_t bytes, fields.Bytes("tmpfs.size", *size));
        AddOption(StrCat("size=", bytes), &mount.options);
      }
    }
  }
  if (mount.target.empty()) return fields.Error(node.at, "volumes needs a target");
  if (type == "volume" && !source.empty()) {
    return AddNamed(context, node.at, source, std::move(mount), service);
  }
  if (type == "bind") {
    if (source.empty()) return fields.Error(node.at, "volumes of type bind needs a source");
    MBX_ASSIGN_OR_RETURN(const auto path, ResolveFile(context, node.at, source));
    mount.source = path.string();
  } else {
    mount.kind = type == "tmpfs" ? Mount::Kind::kTmpfs : Mount::Kind::kVolume;
  }
  service->spec.mounts.push_back(std::move(mount));
  return Status();
}

}  // namespace

Status ReadVolumes(const ServiceContext& context, const Node& node, Service* service) {
  if (node.kind == Node::Kind::kNull) return Status();
  if (node.kind != Node::Kind::kList) return context.fields.Expected("volumes", node, "a list");
  for (const Node& item : node.items) {
    MBX_RETURN_IF_ERROR(item.kind == Node::Kind::kMap ? ReadLong(context, item, service)
                                                      : ReadShort(context, item, service));
  }
  return Status();
}

}  // namespace minibox::compose
