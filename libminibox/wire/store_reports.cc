// SPDX-License-Identifier: Apache-2.0
#include "wire/store_reports.h"

#include <utility>

#include "core/json.h"
#include "core/status_macros.h"
#include "wire/image.h"

namespace minibox::wire {
namespace {

constexpr std::pair<const char*, Usage DiskUsageReport::*> kUsages[] = {
    {"images", &DiskUsageReport::images},           {"layers", &DiskUsageReport::layers},
    {"containers", &DiskUsageReport::containers},   {"volumes", &DiskUsageReport::volumes},
    {"build_cache", &DiskUsageReport::build_cache}, {"logs", &DiskUsageReport::logs}};

StatusOr<json::Value> ParseText(std::string_view text) {
  return json::Parse(text, {.max_bytes = text.size()});
}

// Missing is 0.
StatusOr<uint64_t> Count(const json::Value& object, std::string_view key) {
  const json::Value value = object.Get(key);
  if (value.empty()) return uint64_t{0};
  return value.AsUint();
}

}  // namespace

std::string ToJson(const ImageDetails& details) {
  json::Writer writer;
  // The members of the image itself, then the rest.
  std::string image = ToJson(details.info);
  image.pop_back();
  writer.BeginObject();
  writer.Key("config").Raw(details.config_json);
  writer.Key("manifest").Raw(details.manifest_json);
  writer.Key("layers").BeginArray();
  for (const ImageLayer& layer : details.layers) {
    writer.BeginObject();
    writer.Key("digest").String(layer.digest.ToString());
    writer.Key("diff_id").String(layer.diff_id.ToString());
    writer.Key("size").Uint(layer.size);
    writer.Key("media_type").String(layer.media_type);
    writer.EndObject();
  }
  writer.EndArray();
  writer.Key("containers").StringArray(details.containers);
  writer.EndObject();
  return image + "," + writer.Take().substr(1);
}

std::string ToJson(const std::vector<ImageHistory>& history) {
  json::Writer writer;
  writer.BeginArray();
  for (const ImageHistory& step : history) {
    writer.BeginObject();
    writer.Key("created").String(step.created);
    writer.Key("created_by").String(step.created_by);
    writer.Key("size").Uint(step.size);
    writer.Key("comment").String(step.comment);
    writer.Key("empty_layer").Bool(step.empty_layer);
    writer.Key("digest").String(step.digest);
    writer.EndObject();
  }
  writer.EndArray();
  return writer.Take();
}

StatusOr<std::vector<ImageHistory>> ParseHistory(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, ParseText(text));
  if (root.type() != json::Type::kArray) return root.Expected("an array");
  std::vector<ImageHistory> history;
  for (const json::Value& element : root.Elements()) {
    ImageHistory& step = history.emplace_back();
    MBX_ASSIGN_OR_RETURN(step.created, element.GetString("created", ""));
    MBX_ASSIGN_OR_RETURN(step.created_by, element.GetString("created_by", ""));
    MBX_ASSIGN_OR_RETURN(step.comment, element.GetString("comment", ""));
    MBX_ASSIGN_OR_RETURN(step.digest, element.GetString("digest", ""));
    MBX_ASSIGN_OR_RETURN(step.empty_layer, element.GetBool("empty_layer", false));
    MBX_ASSIGN_OR_RETURN(step.size, Count(element, "size"));
  }
  return history;
}

std::string ToJson(const PruneReport& report) {
  json::Writer writer;
  writer.BeginObject();
  writer.Key("blobs_removed").Uint(report.blobs_removed);
  writer.Key("bytes_freed").Uint(report.bytes_freed);
  // Lazy mounts, of which this version makes none.
  writer.Key("fuse_mounts_killed").Uint(0);
  const std::pair<const char*, uint64_t> others[] = {
      {"build_cache_removed", report.build_cache_removed},
      {"build_cache_bytes_freed", report.build_cache_bytes_freed},
      {"layers_removed", report.layers_removed},
      {"temp_removed", report.temp_removed}};
  for (const auto& [key, value] : others) {
    if (value != 0) writer.Key(key).Uint(value);
  }
  if (report.dry_run) writer.Key("dry_run").Bool(true);
  writer.EndObject();
  return writer.Take();
}

StatusOr<PruneReport> ParsePruneReport(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, ParseText(text));
  PruneReport report;
  MBX_ASSIGN_OR_RETURN(report.blobs_removed, Count(root, "blobs_removed"));
  MBX_ASSIGN_OR_RETURN(report.bytes_freed, Count(root, "bytes_freed"));
  MBX_ASSIGN_OR_RETURN(report.layers_removed, Count(root, "layers_removed"));
  MBX_ASSIGN_OR_RETURN(report.temp_removed, Count(root, "temp_removed"));
  MBX_ASSIGN_OR_RETURN(report.build_cache_removed, Count(root, "build_cache_removed"));
  MBX_ASSIGN_OR_RETURN(report.build_cache_bytes_freed, Count(root, "build_cache_bytes_freed"));
  MBX_ASSIGN_OR_RETURN(report.dry_run, root.GetBool("dry_run", false));
  return report;
}

std::string ToJson(const PruneVolumesReport& report) {
  json::Writer writer;
  writer.BeginObject();
  writer.Key("removed").StringArray(report.removed);
  writer.Key("bytes_freed").Uint(report.bytes_freed);
  writer.EndObject();
  return writer.Take();
}

StatusOr<PruneVolumesReport> ParsePruneVolumesReport(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, ParseText(text));
  PruneVolumesReport report;
  MBX_ASSIGN_OR_RETURN(report.removed, root.GetStringArray("removed"));
  MBX_ASSIGN_OR_RETURN(report.bytes_freed, Count(root, "bytes_freed"));
  return report;
}

std::string ToJson(const DiskUsageReport& report, bool items) {
  json::Writer writer;
  writer.BeginObject();
  for (const auto& [key, member] : kUsages) {
    const Usage& usage = report.*member;
    writer.Key(key).BeginObject();
    writer.Key("count").Uint(usage.count);
    writer.Key("size_bytes").Uint(usage.size);
    writer.Key("reclaimable_bytes").Uint(usage.reclaimable);
    if (items) {
      writer.Key("items").BeginArray();
      for (const UsageItem& item : usage.items) {
        writer.BeginObject();
        writer.Key("id").String(item.id);
        writer.Key("size_bytes").Uint(item.size);
        writer.Key("reclaimable").Bool(item.reclaimable);
        writer.EndObject();
      }
      writer.EndArray();
    }
    writer.EndObject();
  }
  writer.EndObject();
  return writer.Take();
}

StatusOr<DiskUsageReport> ParseDiskUsage(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, ParseText(text));
  DiskUsageReport report;
  for (const auto& [key, member] : kUsages) {
    Usage& usage = report.*member;
    const json::Value value = root.Get(key);
    MBX_ASSIGN_OR_RETURN(usage.count, Count(value, "count"));
    MBX_ASSIGN_OR_RETURN(usage.size, Count(value, "size_bytes"));
    MBX_ASSIGN_OR_RETURN(usage.reclaimable, Count(value, "reclaimable_bytes"));
    for (const json::Value& element : value.Get("items").Elements()) {
      UsageItem& item = usage.items.emplace_back();
      MBX_ASSIGN_OR_RETURN(item.id, element.GetString("id"));
      MBX_ASSIGN_OR_RETURN(item.size, Count(element, "size_bytes"));
      MBX_ASSIGN_OR_RETURN(item.reclaimable, element.GetBool("reclaimable", false));
    }
  }
  return report;
}

std::string ToJson(const VerifyReport& report) {
  json::Writer writer;
  writer.BeginObject();
  writer.Key("ok").Bool(report.problems.empty());
  writer.Key("blobs").Uint(report.blobs);
  writer.Key("bytes").Uint(report.bytes);
  writer.Key("images").Uint(report.images);
  writer.Key("layers").Uint(report.layers);
  writer.Key("snapshots").Uint(report.snapshots);
  writer.Key("problems").BeginArray();
  for (const StoreProblem& problem : report.problems) {
    writer.BeginObject();
    writer.Key("object").String(problem.object);
    writer.Key("problem").String(problem.problem);
    writer.EndObject();
  }
  writer.EndArray().EndObject();
  return writer.Take();
}

StatusOr<VerifyReport> ParseVerifyReport(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, ParseText(text));
  VerifyReport report;
  MBX_ASSIGN_OR_RETURN(report.blobs, Count(root, "blobs"));
  MBX_ASSIGN_OR_RETURN(report.bytes, Count(root, "bytes"));
  MBX_ASSIGN_OR_RETURN(report.images, Count(root, "images"));
  MBX_ASSIGN_OR_RETURN(report.layers, Count(root, "layers"));
  MBX_ASSIGN_OR_RETURN(report.snapshots, Count(root, "snapshots"));
  for (const json::Value& element : root.Get("problems").Elements()) {
    StoreProblem& problem = report.problems.emplace_back();
    MBX_ASSIGN_OR_RETURN(problem.object, element.GetString("object"));
    MBX_ASSIGN_OR_RETURN(problem.problem, element.GetString("problem"));
  }
  return report;
}

std::string ToJson(const SystemInfo& info) {
  json::Writer writer;
  writer.BeginObject();
  writer.Key("version").String(info.version);
  writer.Key("data_root").String(info.data_root);
  writer.Key("run_dir").String(info.run_dir);
  writer.Key("kernel").String(info.kernel);
  writer.Key("os").String(info.os);
  writer.Key("architecture").String(info.architecture);
  writer.Key("cpus").Uint(info.cpus);
  writer.Key("memory_bytes").Uint(info.memory_bytes);
  writer.Key("cgroup").String(info.cgroup);
  writer.Key("controllers").StringArray(info.controllers);
  writer.Key("features").BeginObject();
  for (const auto& [name, there] : info.features) writer.Key(name).Bool(there);
  writer.EndObject();
  writer.Key("containers").BeginObject();
  for (const auto& [status, count] : info.containers) writer.Key(status).Uint(count);
  writer.EndObject();
  writer.Key("images").Uint(info.images);
  writer.Key("encrypted").Bool(info.encrypted);
  writer.Key("warnings").StringArray(info.warnings);
  writer.EndObject();
  return writer.Take();
}

}  // namespace minibox::wire
