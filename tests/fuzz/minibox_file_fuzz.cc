// SPDX-License-Identifier: Apache-2.0
// Any bytes give a file or diagnostics, which are in order and printable; a file without errors
// can be planned, and reading it again gives the same.
#include <cstdint>
#include <string_view>
#include <vector>

#include "build/build_check.h"
#include "build/lines.h"
#include "build/parser.h"
#include "build/plan.h"
#include "core/check.h"
#include "core/strings.h"

namespace {

using minibox::Diagnostic;

void CheckDiagnostics(const std::vector<Diagnostic>& diagnostics) {
  const Diagnostic* before = nullptr;
  for (const auto& diagnostic : diagnostics) {
    MBX_CHECK(diagnostic.line >= 1 && diagnostic.column >= 1);
    MBX_CHECK(!diagnostic.message.empty());
    MBX_CHECK(minibox::core::IsValidUtf8(diagnostic.message));
    MBX_CHECK(diagnostic.message.find('\n') == std::string::npos);
    const bool ordered = before == nullptr || before->line < diagnostic.line ||
                         (before->line == diagnostic.line && before->column <= diagnostic.column);
    MBX_CHECK(ordered);
    before = &diagnostic;
  }
}

std::vector<std::string> PlanText(std::string_view source) {
  using namespace minibox::build;
  Diagnostics diagnostics;
  const File file = ParseFile(source, diagnostics);
  const Arguments arguments{.platform = {"linux", "amd64", ""}};
  const Graph graph = BuildGraph(file, arguments, -1, diagnostics);
  if (diagnostics.failed()) return {};
  MBX_CHECK(graph.order.size() == file.blocks.size());
  const minibox::oci::ImageConfig base;
  const Plan plan =
      MakePlan(file, graph, arguments, BaseConfigs(graph.bases.size(), &base), diagnostics);
  if (diagnostics.failed()) return {};
  std::vector<std::string> text = {minibox::oci::SerializeImageConfig(plan.config)};
  for (const auto& block : plan.blocks) {
    for (const auto& action : block.actions) {
      MBX_CHECK(action.variables != nullptr);
      MBX_CHECK(action.workdir.starts_with('/'));
      text.insert(text.end(), action.canonical.begin(), action.canonical.end());
    }
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckDiagnostics(minibox::build::CheckText(text));
  const std::string_view source = minibox::build::WithoutBom(text);
  MBX_CHECK(PlanText(source) == PlanText(source));
  return 0;
}
