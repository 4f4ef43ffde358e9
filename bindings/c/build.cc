// SPDX-License-Identifier: Apache-2.0
// Builds.
#include "handles.h"
#include "wire/build_plan.h"
#include "wire/build_request.h"
#include "wire/image.h"

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::ImageBuilder;
using minibox::Status;
namespace wire = minibox::wire;

namespace {

minibox::StatusOr<minibox::BuildOptions> ReadRequest(const char* request_json) {
  MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(request_json, "request_json"));
  MBX_ASSIGN_OR_RETURN(wire::BuildRequest request, wire::ParseBuildRequest(text));
  MBX_RETURN_IF_ERROR(CheckWhole(text, text.size(), request.unknown_fields));
  return std::move(request.options);
}

}  // namespace

minibox_error* minibox_build_check(const char* minibox_file, char** diagnostics_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(minibox_file, "minibox_file"));
    return Give(wire::ToJson(ImageBuilder::Check(text)), diagnostics_json);
  });
}

minibox_error* minibox_builder_open(minibox_store* store, minibox_runtime* runtime,
                                    const minibox_builder_options* options,
                                    minibox_builder** builder) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const minibox::Store* const images, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const minibox::Runtime* const containers, Value(runtime, "runtime"));
    MBX_RETURN_IF_ERROR(Need(builder, "builder"));
    MBX_ASSIGN_OR_RETURN(const minibox_builder_options known, Options(options));
    if (known.max_parallel < 0) return Bad("max_parallel", "must not be negative");
    minibox::BuilderOptions wanted{.max_parallel = known.max_parallel};
    if (known.registry != nullptr) {
      MBX_ASSIGN_OR_RETURN(const minibox::Registry* const registry,
                           Value(known.registry, "registry"));
      wanted.registry = *registry;
    }
    MBX_ASSIGN_OR_RETURN(ImageBuilder opened, ImageBuilder::Create(*images, *containers, wanted));
    return Wrap(std::move(opened), builder);
  });
}

void minibox_builder_free(minibox_builder* builder) { Free(builder); }

minibox_error* minibox_builder_plan(minibox_builder* builder, const char* request_json,
                                    minibox_cancel* cancel, char** plan_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const ImageBuilder* const it, Value(builder, "builder"));
    MBX_ASSIGN_OR_RETURN(const auto request, ReadRequest(request_json));
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(const auto plan, it->Plan(request, ending.token()));
    return Give(wire::ToJson(plan), plan_json);
  });
}

minibox_error* minibox_builder_build(minibox_builder* builder, const char* request_json,
                                     minibox_data_fn line, void* user, minibox_cancel* cancel,
                                     char** image_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(ImageBuilder* const it, Value(builder, "builder"));
    MBX_ASSIGN_OR_RETURN(const auto request, ReadRequest(request_json));
    MBX_ENDING(ending, cancel);
    const auto image = it->Build(
        request,
        [&](const minibox::BuildEvent& event) {
          return DataTo(ending, line, user, std::string(event.text));
        },
        ending.token());
    if (!image.ok()) return ending.Result(image.status());
    return Give(wire::ToJson(*image), image_json);
  });
}
