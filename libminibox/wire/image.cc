// SPDX-License-Identifier: Apache-2.0
#include "wire/image.h"

#include "core/clock.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::wire {
namespace {

void Write(json::Writer& writer, const ImageInfo& info) {
  writer.BeginObject();
  writer.Key("name").String(info.name);
  writer.Key("reference").String(info.reference);
  writer.Key("id").String(info.id.ToString());
  writer.Key("digest").String(info.manifest.ToString());
  writer.Key("size_bytes").Uint(info.size);
  writer.Key("size").Uint(info.size);
  writer.Key("created").String(core::FormatTime(info.created));
  writer.Key("platform").String(ToString(info.platform));
  if (!info.labels.empty()) writer.Key("labels").StringMap(info.labels);
  writer.Key("in_use").Bool(info.in_use);
  writer.EndObject();
}

Platform ParsePlatform(std::string_view text) {
  const std::vector<std::string_view> parts = core::StrSplit(text, '/');
  Platform platform;
  if (!parts.empty()) platform.os = parts[0];
  if (parts.size() > 1) platform.architecture = parts[1];
  if (parts.size() > 2) platform.variant = parts[2];
  return platform;
}

StatusOr<ImageInfo> Read(const json::Value& object) {
  MBX_ASSIGN_OR_RETURN(const std::string id_text, object.GetString("id"));
  MBX_ASSIGN_OR_RETURN(const std::string manifest_text, object.GetString("digest"));
  MBX_ASSIGN_OR_RETURN(Digest id, Digest::Parse(id_text));
  MBX_ASSIGN_OR_RETURN(Digest manifest, Digest::Parse(manifest_text));
  ImageInfo info{.id = std::move(id), .manifest = std::move(manifest)};
  MBX_ASSIGN_OR_RETURN(info.name, object.GetString("name", ""));
  MBX_ASSIGN_OR_RETURN(info.reference, object.GetString("reference", ""));
  MBX_ASSIGN_OR_RETURN(info.size, object.Get("size_bytes").AsUint());
  MBX_ASSIGN_OR_RETURN(const std::string created, object.GetString("created"));
  MBX_ASSIGN_OR_RETURN(info.created, core::ParseTime(created));
  MBX_ASSIGN_OR_RETURN(const std::string platform, object.GetString("platform"));
  info.platform = ParsePlatform(platform);
  MBX_ASSIGN_OR_RETURN(info.labels, object.GetStringMap("labels"));
  MBX_ASSIGN_OR_RETURN(info.in_use, object.GetBool("in_use", false));
  return info;
}

}  // namespace

std::string ToString(const Platform& platform) {
  std::string text = core::StrCat(platform.os, "/", platform.architecture);
  if (!platform.variant.empty()) text += "/" + platform.variant;
  return text;
}

std::string ToJson(const ImageInfo& info) {
  json::Writer writer;
  Write(writer, info);
  return writer.Take();
}

std::string ToJson(const std::vector<ImageInfo>& images) {
  json::Writer writer;
  writer.BeginArray();
  for (const ImageInfo& info : images) Write(writer, info);
  writer.EndArray();
  return writer.Take();
}

StatusOr<ImageInfo> ParseImage(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value object, json::Parse(text, {.max_bytes = text.size()}));
  return Read(object);
}

StatusOr<std::vector<ImageInfo>> ParseImages(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, {.max_bytes = text.size()}));
  if (root.type() != json::Type::kArray) return root.Expected("an array");
  std::vector<ImageInfo> images;
  for (const json::Value& element : root.Elements()) {
    MBX_ASSIGN_OR_RETURN(ImageInfo info, Read(element));
    images.push_back(std::move(info));
  }
  return images;
}

}  // namespace minibox::wire
