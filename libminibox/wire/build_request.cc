// SPDX-License-Identifier: Apache-2.0
#include "wire/build_request.h"

#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "wire/fields.h"
#include "wire/resources.h"

namespace minibox::wire {

namespace {

void ReadPlatform(FieldReader& fields, Platform* platform) {
  std::string text;
  fields.Text("platform", &text);
  if (text.empty()) return;
  const auto parts = core::StrSplit(text, '/');
  bool good = parts.size() == 2 || parts.size() == 3;
  for (const auto part : parts) good = good && !part.empty();
  if (!good) return fields.Fail(InvalidField("platform", "must be os/arch or os/arch/variant"));
  platform->os = parts[0];
  platform->architecture = parts[1];
  platform->variant = parts.size() == 3 ? std::string(parts[2]) : std::string();
}

// true is "always"; which texts there are the builder knows.
void ReadPull(FieldReader& fields, std::string* pull) {
  const json::Value value = fields.Raw("pull");
  const auto flag = value.AsBool();
  if (!flag.ok()) return fields.Text("pull", pull);
  if (*flag) *pull = "always";
}

}  // namespace

StatusOr<BuildRequest> ParseBuildRequest(std::string_view body) {
  MBX_ASSIGN_OR_RETURN(FieldReader fields, FieldReader::Parse(body, Strictness::kPublished));
  BuildRequest request;
  BuildOptions& options = request.options;
  fields.Text("minibox", &options.file_text, Chars::kText);
  fields.Text("image", &options.image);
  std::string context;
  fields.Text("context", &context);
  options.context = context;
  fields.TextList("tags", &options.tags);
  fields.TextMap("build_args", &options.args);
  fields.TextMap("labels", &options.labels);
  fields.Text("target", &options.target);
  bool no_cache = false;
  fields.Bool("no_cache", &no_cache);
  options.use_cache = !no_cache;
  fields.Text("network", &options.network);
  std::optional<int64_t> epoch;
  fields.OptionalInt("source_date_epoch", 0, INT64_MAX / 1'000'000'000, &epoch);
  options.source_date_epoch = epoch.value_or(0);
  ReadStepLimits(fields, &options.step_resources);
  ReadPull(fields, &options.pull);
  ReadPlatform(fields, &options.platform);
  fields.TextMap("secrets", &options.secrets);
  fields.Text("compression", &options.compression);
  fields.Text("keep_failed", &options.keep_failed);
  MBX_RETURN_IF_ERROR(fields.Finish());
  if (core::TrimSpace(options.file_text).empty()) {
    return Status(StatusCode::kInvalidArgument, "MiniBox content is required",
                  {.reason = "missing_argument", .field = "minibox"});
  }
  request.unknown_fields = fields.Unknown();
  return request;
}

std::string ToJson(const BuildOptions& options) {
  const BuildOptions defaults;
  json::Writer writer;
  writer.BeginObject();
  writer.Key("image").String(options.image);
  writer.Key("minibox").String(options.file_text);
  writer.Key("context").String(options.context.string());
  if (!options.tags.empty()) writer.Key("tags").StringArray(options.tags);
  if (!options.args.empty()) writer.Key("build_args").StringMap(options.args);
  if (!options.labels.empty()) writer.Key("labels").StringMap(options.labels);
  if (!options.target.empty()) writer.Key("target").String(options.target);
  if (!options.use_cache) writer.Key("no_cache").Bool(true);
  if (options.network != defaults.network) writer.Key("network").String(options.network);
  if (options.source_date_epoch != 0) {
    writer.Key("source_date_epoch").Int(options.source_date_epoch);
  }
  if (options.pull != defaults.pull) writer.Key("pull").String(options.pull);
  if (!options.platform.architecture.empty()) {
    std::string platform = options.platform.os + "/" + options.platform.architecture;
    if (!options.platform.variant.empty()) platform += "/" + options.platform.variant;
    writer.Key("platform").String(platform);
  }
  if (options.compression != defaults.compression) {
    writer.Key("compression").String(options.compression);
  }
  if (!options.secrets.empty()) writer.Key("secrets").StringMap(options.secrets);
  if (!options.keep_failed.empty()) writer.Key("keep_failed").String(options.keep_failed);
  WriteLimits(writer, options.step_resources);
  writer.EndObject();
  return writer.Take();
}

}  // namespace minibox::wire
