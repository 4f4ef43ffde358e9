// SPDX-License-Identifier: Apache-2.0
#include "build/build_check.h"

#include <sys/stat.h>

#include <optional>
#include <utility>

#include "build/base.h"
#include "build/limits.h"
#include "build/lines.h"
#include "build/parser.h"
#include "build/plan.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/manifest.h"

namespace minibox::build {
namespace {

// All that a text may have, for tools that show more than an answer.
constexpr size_t kMaxOfText = 10 * kMaxDiagnostics;

Status InvalidContext(std::string_view reason) {
  return core::Error(StatusCode::kInvalidArgument, "invalid_context",
                     core::StrCat("invalid build context: ", reason))
      .WithField("context");
}

Status CheckFile(const BuildOptions& options, const StoreParts& store, CheckedBuild& checked) {
  if (core::TrimSpace(options.file_text).empty()) {
    return core::Error(StatusCode::kInvalidArgument, "invalid_build_file",
                       "MiniBox content is required")
        .WithField("minibox");
  }
  Diagnostics diagnostics;
  checked.source = WithoutBom(options.file_text);
  checked.file = ParseFile(checked.source, diagnostics);
  checked.arguments.given = options.args;
  checked.arguments.platform = oci::HostPlatform();
  if (!options.platform.architecture.empty()) checked.arguments.platform = options.platform;
  int target = -1;
  if (!options.target.empty()) {
    target = FindBlock(checked.file, options.target);
    if (checked.file.format == File::Format::kLinear) target = -1;
  }
  const bool unknown_target = !options.target.empty() && target < 0;
  checked.graph = BuildGraph(checked.file, checked.arguments, target, diagnostics);
  // With cycles there is no order to plan in.
  if (checked.graph.order.size() == checked.file.blocks.size()) {
    std::vector<std::optional<oci::ImageConfig>> known;
    BaseConfigs configs;
    for (const auto& base : checked.graph.bases) known.push_back(PeekBaseConfig(base, store));
    for (const auto& config : known) configs.push_back(config ? &*config : nullptr);
    (void)MakePlan(checked.file, checked.graph, checked.arguments, configs, diagnostics);
  }
  MBX_RETURN_IF_ERROR(ToStatus(diagnostics.Resolve(checked.source, kMaxOfText)));
  if (!unknown_target) return {};
  std::vector<std::string_view> names;
  for (const auto& block : checked.file.blocks) names.push_back(block.name);
  return core::InvalidArgument("target", core::StrCat("unknown block ", Quoted(options.target),
                                                      Suggestion(options.target, names)));
}

StatusOr<ImageRef> ParseName(std::string_view name, std::string_view field) {
  auto reference = ImageRef::Parse(name);
  if (!reference.ok()) return reference.status().WithField(field);
  if (reference->digest().empty()) return reference;
  return core::Error(StatusCode::kInvalidArgument, "invalid_reference",
                     core::StrCat(Quoted(name), " has a digest, which only the build can give"))
      .WithField(field);
}

Status CheckNames(const BuildOptions& options, CheckedBuild& checked) {
  MBX_ASSIGN_OR_RETURN(ImageRef image, ParseName(options.image, "image"));
  checked.names.push_back(std::move(image));
  for (size_t i = 0; i < options.tags.size(); ++i) {
    MBX_ASSIGN_OR_RETURN(ImageRef tag, ParseName(options.tags[i], core::StrCat("tags[", i, "]")));
    checked.names.push_back(std::move(tag));
  }
  return {};
}

Status CheckRest(const BuildOptions& options, const StoreParts& store) {
  if (options.network != "bridge" && options.network != "none" && options.network != "host") {
    return core::InvalidArgument("network", "must be 'bridge', 'none' or 'host'");
  }
  if (options.pull != "missing" && options.pull != "always" && options.pull != "never") {
    return core::InvalidArgument("pull", "must be 'missing', 'always' or 'never'");
  }
  if (options.pull == "always" && !store.pull) {
    return core::InvalidArgument("pull", "there is no registry to ask");
  }
  if (options.compression != "gzip" && options.compression != "zstd") {
    return core::InvalidArgument("compression", "must be 'gzip' or 'zstd'");
  }
  if (options.platform.os != "linux") {
    return core::InvalidArgument("platform", "must be linux/<architecture>[/<variant>]");
  }
  for (const auto& [id, value] : options.secrets) {
    if (value.size() <= kMaxSecretBytes) continue;
    return core::InvalidArgument(core::StrCat("secrets[\"", core::EscapeControl(id), "\"]"),
                                 "is longer than the limit of 1 MiB");
  }
  if (!options.keep_failed.empty()) {
    MBX_RETURN_IF_ERROR(ParseName(options.keep_failed, "keep_failed").status());
  }
  for (const auto& [name, value] : options.args) {
    if (value.find('\0') == std::string::npos && name.find('\0') == std::string::npos) continue;
    return core::InvalidArgument("build_args", "holds a NUL byte");
  }
  return {};
}

Status CheckContext(const BuildOptions& options, CheckedBuild& checked) {
  const std::string path = options.context.string();
  if (path.empty() || path.front() != '/') return InvalidContext("the path must be absolute");
  auto context = core::RootDir::Open(path);
  if (!context.ok()) return InvalidContext(context.status().message());
  checked.context = std::move(*context);
  auto ignore = ReadIgnoreRules(checked.context);
  if (!ignore.ok()) return InvalidContext(ignore.status().message());
  checked.ignore = std::move(*ignore);
  return {};
}

}  // namespace

StatusOr<CheckedBuild> CheckBuild(const BuildOptions& options, const StoreParts& store) {
  CheckedBuild checked;
  MBX_RETURN_IF_ERROR(CheckFile(options, store, checked));
  MBX_RETURN_IF_ERROR(CheckNames(options, checked));
  MBX_RETURN_IF_ERROR(CheckRest(options, store));
  MBX_RETURN_IF_ERROR(CheckContext(options, checked));
  return checked;
}

std::vector<Diagnostic> CheckText(std::string_view text) {
  Diagnostics diagnostics;
  const std::string_view source = WithoutBom(text);
  const File file = ParseFile(source, diagnostics);
  const Arguments arguments{.platform = oci::HostPlatform(), .complete = false};
  const Graph graph = BuildGraph(file, arguments, -1, diagnostics);
  if (graph.order.size() == file.blocks.size()) {
    (void)MakePlan(file, graph, arguments, BaseConfigs(graph.bases.size(), nullptr), diagnostics);
  }
  return diagnostics.Resolve(source, kMaxOfText);
}

}  // namespace minibox::build
