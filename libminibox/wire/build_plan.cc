// SPDX-License-Identifier: Apache-2.0
#include "wire/build_plan.h"

#include <optional>
#include <utility>

#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::wire {
namespace {

// The number in front of ':', which is taken away too.
std::optional<int> TakeNumber(std::string_view& text) {
  const size_t colon = text.find(':');
  if (colon == text.npos) return std::nullopt;
  const auto number = core::ParseInt64(text.substr(0, colon));
  if (!number || *number < 1 || *number > (1 << 30)) return std::nullopt;
  text.remove_prefix(colon + 1);
  return static_cast<int>(*number);
}

StatusOr<BuildPlan::Step> ReadStep(const json::Value& value) {
  BuildPlan::Step step;
  MBX_ASSIGN_OR_RETURN(step.instruction, value.GetString("instruction"));
  MBX_ASSIGN_OR_RETURN(const int64_t line, value.GetInt("line"));
  step.line = static_cast<int>(line);
  MBX_ASSIGN_OR_RETURN(step.key, value.GetString("key", ""));
  MBX_ASSIGN_OR_RETURN(step.cached, value.GetBool("cached", false));
  return step;
}

StatusOr<BuildPlan::Block> ReadBlock(const json::Value& value) {
  BuildPlan::Block block;
  MBX_ASSIGN_OR_RETURN(block.name, value.GetString("name"));
  MBX_ASSIGN_OR_RETURN(const int64_t line, value.GetInt("line"));
  MBX_ASSIGN_OR_RETURN(const int64_t generation, value.GetInt("generation"));
  block.line = static_cast<int>(line);
  block.generation = static_cast<int>(generation);
  MBX_ASSIGN_OR_RETURN(block.wanted, value.GetBool("wanted", false));
  MBX_ASSIGN_OR_RETURN(block.cached, value.GetBool("cached", false));
  MBX_ASSIGN_OR_RETURN(block.base, value.GetString("base", ""));
  MBX_ASSIGN_OR_RETURN(block.key, value.GetString("key", ""));
  MBX_ASSIGN_OR_RETURN(block.needs, value.GetStringArray("needs"));
  MBX_ASSIGN_OR_RETURN(block.build_needs, value.GetStringArray("build_needs"));
  for (const auto& element : value.Get("steps").Elements()) {
    MBX_ASSIGN_OR_RETURN(BuildPlan::Step step, ReadStep(element));
    block.steps.push_back(std::move(step));
  }
  return block;
}

}  // namespace

std::string ToJson(const BuildPlan& plan) {
  json::Writer writer;
  writer.BeginObject();
  writer.Key("blocks").BeginArray();
  for (const auto& block : plan.blocks) {
    writer.BeginObject();
    writer.Key("base").String(block.base);
    writer.Key("build_needs").StringArray(block.build_needs);
    writer.Key("cached").Bool(block.cached);
    writer.Key("generation").Int(block.generation);
    writer.Key("key").String(block.key);
    writer.Key("line").Int(block.line);
    writer.Key("name").String(block.name);
    writer.Key("needs").StringArray(block.needs);
    writer.Key("steps").BeginArray();
    for (const auto& step : block.steps) {
      writer.BeginObject();
      writer.Key("cached").Bool(step.cached);
      writer.Key("instruction").String(step.instruction);
      writer.Key("key").String(step.key);
      writer.Key("line").Int(step.line);
      writer.EndObject();
    }
    writer.EndArray();
    writer.Key("wanted").Bool(block.wanted);
    writer.EndObject();
  }
  writer.EndArray();
  writer.Key("mode").String(plan.linear ? "linear" : "dag");
  writer.Key("target").String(plan.target);
  writer.EndObject();
  return writer.Take();
}

StatusOr<BuildPlan> ParseBuildPlan(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text));
  BuildPlan plan;
  MBX_ASSIGN_OR_RETURN(const std::string mode, root.GetString("mode"));
  plan.linear = mode == "linear";
  MBX_ASSIGN_OR_RETURN(plan.target, root.GetString("target", ""));
  for (const auto& element : root.Get("blocks").Elements()) {
    MBX_ASSIGN_OR_RETURN(BuildPlan::Block block, ReadBlock(element));
    plan.blocks.push_back(std::move(block));
  }
  return plan;
}

std::string ToJson(const std::vector<Diagnostic>& diagnostics) {
  json::Writer writer;
  writer.BeginArray();
  for (const auto& diagnostic : diagnostics) {
    const bool error = diagnostic.severity == Diagnostic::Severity::kError;
    writer.BeginObject();
    writer.Key("column").Int(diagnostic.column);
    writer.Key("line").Int(diagnostic.line);
    writer.Key("message").String(diagnostic.message);
    writer.Key("severity").String(error ? "error" : "warning");
    writer.EndObject();
  }
  writer.EndArray();
  return writer.Take();
}

std::vector<Diagnostic> ParseDiagnostics(std::string_view message) {
  constexpr std::string_view kPrefix = "MiniBox:";
  std::vector<Diagnostic> diagnostics;
  for (auto line : core::StrSplit(core::TrimSpace(message), '\n')) {
    if (!line.starts_with(kPrefix)) return {};
    line.remove_prefix(kPrefix.size());
    const auto number = TakeNumber(line);
    const auto column = number ? TakeNumber(line) : std::nullopt;
    if (!column) return {};
    diagnostics.push_back(
        {.line = *number, .column = *column, .message = std::string(core::TrimSpace(line))});
  }
  return diagnostics;
}

}  // namespace minibox::wire
