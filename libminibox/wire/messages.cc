// SPDX-License-Identifier: Apache-2.0
#include "wire/messages.h"

#include "core/clock.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "wire/image.h"

namespace minibox::wire {
namespace {

void Write(json::Writer& writer, const VolumeInfo& volume) {
  writer.BeginObject();
  writer.Key("name").String(volume.name);
  writer.Key("path").String(volume.path);
  writer.Key("created_at").String(core::FormatTime(volume.created));
  writer.Key("anonymous").Bool(volume.anonymous);
  if (!volume.labels.empty()) writer.Key("labels").StringMap(volume.labels);
  writer.Key("containers").StringArray(volume.containers);
  if (volume.size.has_value()) writer.Key("size_bytes").Uint(*volume.size);
  writer.EndObject();
}

StatusOr<VolumeInfo> ReadVolume(const json::Value& object) {
  VolumeInfo volume;
  MBX_ASSIGN_OR_RETURN(volume.name, object.GetString("name"));
  MBX_ASSIGN_OR_RETURN(volume.path, object.GetString("path", ""));
  MBX_ASSIGN_OR_RETURN(const std::string created, object.GetString("created_at"));
  MBX_ASSIGN_OR_RETURN(volume.created, core::ParseTime(created));
  MBX_ASSIGN_OR_RETURN(volume.anonymous, object.GetBool("anonymous", false));
  MBX_ASSIGN_OR_RETURN(volume.labels, object.GetStringMap("labels"));
  MBX_ASSIGN_OR_RETURN(volume.containers, object.GetStringArray("containers"));
  if (const json::Value size = object.Get("size_bytes"); !size.empty()) {
    MBX_ASSIGN_OR_RETURN(volume.size, size.AsUint());
  }
  return volume;
}

}  // namespace

std::string ToJson(const ErrorMessage& error) {
  json::Writer writer;
  writer.BeginObject().Key("error").BeginObject();
  writer.Key("code").String(error.code);
  writer.Key("message").String(error.message);
  if (!error.field.empty()) writer.Key("field").String(error.field);
  writer.EndObject().EndObject();
  return writer.Take();
}

std::optional<ErrorMessage> ParseError(std::string_view text) {
  const auto root = json::Parse(text, {.max_bytes = text.size()});
  if (!root.ok()) return std::nullopt;
  const json::Value error = root->Get("error");
  auto code = error.GetString("code");
  auto message = error.GetString("message");
  auto field = error.GetString("field", "");
  if (!code.ok() || !message.ok() || !field.ok()) return std::nullopt;
  return ErrorMessage{std::move(*code), std::move(*message), std::move(*field)};
}

std::string ResultLine(std::string_view id, std::string_view message) {
  json::Writer writer;
  writer.BeginObject().Key("id").String(id).Key("message").String(message).EndObject();
  return writer.Take();
}

std::string LogLine(std::string_view text) {
  json::Writer writer;
  writer.BeginObject().Key("type").String("log").Key("text").String(text).EndObject();
  return writer.Take() + "\n";
}

std::string FinalLine(const Status& error, const ImageInfo* image) {
  json::Writer writer;
  writer.BeginObject().Key("type").String("result");
  writer.Key("status").String(error.ok() ? "ok" : "error");
  if (!error.ok()) writer.Key("error").String(error.message());
  if (image != nullptr) writer.Key("image").Raw(ToJson(*image));
  writer.EndObject();
  return writer.Take() + "\n";
}

std::string ToJson(const VolumeInfo& volume) {
  json::Writer writer;
  Write(writer, volume);
  return writer.Take();
}

std::string ToJson(const std::vector<VolumeInfo>& volumes) {
  json::Writer writer;
  writer.BeginArray();
  for (const VolumeInfo& volume : volumes) Write(writer, volume);
  writer.EndArray();
  return writer.Take();
}

StatusOr<VolumeInfo> ParseVolume(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value object, json::Parse(text, {.max_bytes = text.size()}));
  return ReadVolume(object);
}

StatusOr<std::vector<VolumeInfo>> ParseVolumes(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, {.max_bytes = text.size()}));
  if (root.type() != json::Type::kArray) return root.Expected("an array");
  std::vector<VolumeInfo> volumes;
  for (const json::Value& element : root.Elements()) {
    MBX_ASSIGN_OR_RETURN(volumes.emplace_back(), ReadVolume(element));
  }
  return volumes;
}

std::string ToJson(const VersionInfo& version) {
  json::Writer writer;
  writer.BeginObject();
  writer.Key("version").String(version.version);
  writer.Key("api_version").String("1");
  writer.Key("os").String(version.os);
  writer.Key("architecture").String(version.architecture);
  writer.Key("kernel").String(version.kernel);
  writer.EndObject();
  return writer.Take();
}

}  // namespace minibox::wire
