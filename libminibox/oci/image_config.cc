// SPDX-License-Identifier: Apache-2.0
#include "oci/image_config.h"

#include <algorithm>

#include "core/errors.h"
#include "core/json.h"
#include "core/status_macros.h"

namespace minibox::oci {
namespace {

constexpr size_t kMaxConfigBytes = 8u << 20;
constexpr size_t kMaxLayers = 500;

// The keys of a JSON object that stands for a set: {"80/tcp": {}}.
StatusOr<std::vector<std::string>> ParseSet(const json::Value& value) {
  std::vector<std::string> keys;
  if (value.empty()) return keys;
  if (value.type() != json::Type::kObject) return value.Expected("an object");
  for (const auto& [key, ignored] : value.Members()) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

StatusOr<int64_t> ParseAmount(const json::Value& object, std::string_view key) {
  MBX_ASSIGN_OR_RETURN(const int64_t amount, object.GetInt(key, 0));
  if (amount < 0) return object.Get(key).Expected("a number that is not negative");
  return amount;
}

StatusOr<Healthcheck> ParseHealthcheck(const json::Value& value) {
  if (value.type() != json::Type::kObject) return value.Expected("an object");
  Healthcheck check;
  MBX_ASSIGN_OR_RETURN(check.test, value.GetStringArray("Test"));
  MBX_ASSIGN_OR_RETURN(check.interval_ns, ParseAmount(value, "Interval"));
  MBX_ASSIGN_OR_RETURN(check.timeout_ns, ParseAmount(value, "Timeout"));
  MBX_ASSIGN_OR_RETURN(check.start_period_ns, ParseAmount(value, "StartPeriod"));
  MBX_ASSIGN_OR_RETURN(const int64_t retries, ParseAmount(value, "Retries"));
  if (retries > INT32_MAX) return value.Get("Retries").Expected("a smaller number");
  check.retries = static_cast<int>(retries);
  return check;
}

Status ParseExecution(const json::Value& value, ImageConfig& config) {
  if (value.empty()) return {};
  if (value.type() != json::Type::kObject) return value.Expected("an object");
  MBX_ASSIGN_OR_RETURN(config.user, value.GetString("User", ""));
  MBX_ASSIGN_OR_RETURN(config.working_dir, value.GetString("WorkingDir", ""));
  MBX_ASSIGN_OR_RETURN(config.stop_signal, value.GetString("StopSignal", ""));
  MBX_ASSIGN_OR_RETURN(config.env, value.GetStringArray("Env"));
  MBX_ASSIGN_OR_RETURN(config.cmd, value.GetStringArray("Cmd"));
  MBX_ASSIGN_OR_RETURN(config.entrypoint, value.GetStringArray("Entrypoint"));
  MBX_ASSIGN_OR_RETURN(config.shell, value.GetStringArray("Shell"));
  MBX_ASSIGN_OR_RETURN(config.exposed_ports, ParseSet(value.Get("ExposedPorts")));
  MBX_ASSIGN_OR_RETURN(config.volumes, ParseSet(value.Get("Volumes")));
  MBX_ASSIGN_OR_RETURN(config.labels, value.GetStringMap("Labels"));
  if (const json::Value check = value.Get("Healthcheck"); !check.empty()) {
    MBX_ASSIGN_OR_RETURN(config.healthcheck, ParseHealthcheck(check));
  }
  return {};
}

Status ParseRootfs(const json::Value& value, ImageConfig& config) {
  if (value.empty()) return {};
  if (value.type() != json::Type::kObject) return value.Expected("an object");
  MBX_ASSIGN_OR_RETURN(const std::string type, value.GetString("type", "layers"));
  if (type != "layers") return value.Get("type").Expected("'layers'");
  const json::Value ids = value.Get("diff_ids");
  if (ids.empty()) return {};
  if (ids.type() != json::Type::kArray) return ids.Expected("an array");
  if (ids.size() > kMaxLayers) return ids.Expected("at most 500 layers");
  for (const json::Value& id : ids.Elements()) {
    MBX_ASSIGN_OR_RETURN(const std::string text, id.AsString());
    auto digest = Digest::Parse(text);
    if (!digest.ok()) return id.Expected("sha256: and 64 lower-case hex digits");
    config.diff_ids.push_back(*std::move(digest));
  }
  return {};
}

Status ParseHistory(const json::Value& value, ImageConfig& config) {
  if (value.empty()) return {};
  if (value.type() != json::Type::kArray) return value.Expected("an array");
  for (const json::Value& entry : value.Elements()) {
    if (entry.type() != json::Type::kObject) return entry.Expected("an object");
    History item;
    MBX_ASSIGN_OR_RETURN(item.created, entry.GetString("created", ""));
    MBX_ASSIGN_OR_RETURN(item.created_by, entry.GetString("created_by", ""));
    MBX_ASSIGN_OR_RETURN(item.comment, entry.GetString("comment", ""));
    MBX_ASSIGN_OR_RETURN(item.empty_layer, entry.GetBool("empty_layer", false));
    config.history.push_back(std::move(item));
  }
  return {};
}

void WriteText(json::Writer& out, std::string_view key, std::string_view value) {
  if (!value.empty()) out.Key(key).String(value);
}

void WriteList(json::Writer& out, std::string_view key, const std::vector<std::string>& values) {
  if (!values.empty()) out.Key(key).StringArray(values);
}

void WriteSet(json::Writer& out, std::string_view key, std::vector<std::string> values) {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  out.Key(key).BeginObject();
  for (const std::string& value : values) out.Key(value).BeginObject().EndObject();
  out.EndObject();
}

void WriteAmount(json::Writer& out, std::string_view key, int64_t value) {
  if (value != 0) out.Key(key).Int(value);
}

void WriteExecution(json::Writer& out, const ImageConfig& config) {
  out.Key("config").BeginObject();
  WriteText(out, "User", config.user);
  WriteSet(out, "ExposedPorts", config.exposed_ports);
  WriteList(out, "Env", config.env);
  WriteList(out, "Entrypoint", config.entrypoint);
  WriteList(out, "Cmd", config.cmd);
  WriteSet(out, "Volumes", config.volumes);
  WriteText(out, "WorkingDir", config.working_dir);
  if (!config.labels.empty()) out.Key("Labels").StringMap(config.labels);
  WriteText(out, "StopSignal", config.stop_signal);
  if (config.healthcheck.has_value()) {
    const Healthcheck& check = *config.healthcheck;
    out.Key("Healthcheck").BeginObject();
    WriteList(out, "Test", check.test);
    WriteAmount(out, "Interval", check.interval_ns);
    WriteAmount(out, "Timeout", check.timeout_ns);
    WriteAmount(out, "StartPeriod", check.start_period_ns);
    WriteAmount(out, "Retries", check.retries);
    out.EndObject();
  }
  WriteList(out, "Shell", config.shell);
  out.EndObject();
}

}  // namespace

StatusOr<ImageConfig> ParseImageConfig(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, {.max_bytes = kMaxConfigBytes}));
  if (root.type() != json::Type::kObject) return root.Expected("an object");
  ImageConfig config;
  MBX_ASSIGN_OR_RETURN(config.created, root.GetString("created", ""));
  MBX_ASSIGN_OR_RETURN(config.platform.os, root.GetString("os", "linux"));
  MBX_ASSIGN_OR_RETURN(config.platform.architecture, root.GetString("architecture", ""));
  MBX_ASSIGN_OR_RETURN(config.platform.variant, root.GetString("variant", ""));
  MBX_RETURN_IF_ERROR(ParseExecution(root.Get("config"), config));
  MBX_RETURN_IF_ERROR(ParseRootfs(root.Get("rootfs"), config));
  MBX_RETURN_IF_ERROR(ParseHistory(root.Get("history"), config));
  return config;
}

std::string SerializeImageConfig(const ImageConfig& config) {
  json::Writer out;
  out.BeginObject();
  WriteText(out, "created", config.created);
  out.Key("architecture").String(config.platform.architecture);
  out.Key("os").String(config.platform.os);
  WriteText(out, "variant", config.platform.variant);
  WriteExecution(out, config);
  out.Key("rootfs").BeginObject();
  out.Key("type").String("layers");
  out.Key("diff_ids").BeginArray();
  for (const Digest& id : config.diff_ids) out.String(id.ToString());
  out.EndArray().EndObject();
  out.Key("history").BeginArray();
  for (const History& item : config.history) {
    out.BeginObject();
    WriteText(out, "created", item.created);
    WriteText(out, "created_by", item.created_by);
    WriteText(out, "comment", item.comment);
    if (item.empty_layer) out.Key("empty_layer").Bool(true);
    out.EndObject();
  }
  out.EndArray().EndObject();
  return out.Take();
}

}  // namespace minibox::oci
