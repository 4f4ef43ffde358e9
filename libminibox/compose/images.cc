// SPDX-License-Identifier: Apache-2.0
// Images of services: what is here, else built, else pulled.
#include "compose/compose_impl.h"
#include "compose/service_reader.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::compose {
namespace {

constexpr size_t kMaxMiniBoxFile = 16u << 20;
constexpr size_t kMaxSecret = 1u << 20;

}  // namespace

Status BuildService(const State& impl, const Service& service, bool no_cache, Reporter& reporter,
                    std::stop_token stop) {
  const BuildSource& build = *service.build;
  BuildOptions options;
  const std::string own = core::StrCat(impl.project.name, "-", service.name);
  options.image = service.spec.image;
  if (own != service.spec.image) options.tags.push_back(own);
  options.context = build.context;
  options.args = build.args;
  options.target = build.target;
  options.labels = build.labels;
  options.platform = service.platform;
  options.use_cache = !no_cache;
  auto text = ReadProjectFile(build.file, kMaxMiniBoxFile);
  if (!text.ok()) return text.status().WithContext(core::StrCat("service ", service.name));
  options.file_text = std::move(*text);
  for (const auto& [name, file] : build.secrets) {
    MBX_ASSIGN_OR_RETURN(options.secrets[name], ReadProjectFile(file, kMaxSecret));
  }
  const BuildEventFn events = [&](const BuildEvent& event) {
    reporter.Report(ComposeEvent::Kind::kBuilding, service.name, {}, event.text);
    return Status();
  };
  const auto built = impl.backend->BuildImage(options, events, std::move(stop));
  return built.ok() ? Status()
                    : built.status().WithContext(
                          core::StrCat("the build of service ", service.name, " failed"));
}

Status PullService(const State& impl, const Service& service, Reporter& reporter,
                   std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const ImageRef image, ImageRef::Parse(service.spec.image));
  PullOptions options;
  options.platform = service.platform;
  options.log = [&](std::string_view line) {
    reporter.Report(ComposeEvent::Kind::kPulling, service.name, {}, line);
  };
  const auto pulled = impl.backend->PullImage(image, options, std::move(stop));
  return pulled.ok()
             ? Status()
             : pulled.status().WithContext(core::StrCat("the image of service ", service.name));
}

StatusOr<ImageInfo> ProvideImage(const State& impl, const Service& service, bool build,
                                 Reporter& reporter, std::stop_token stop) {
  const PullPolicy policy = service.pull_policy;
  const bool may_build = service.build.has_value();
  if (may_build && (build || policy == PullPolicy::kBuild)) {
    MBX_RETURN_IF_ERROR(BuildService(impl, service, false, reporter, stop));
    return impl.backend->GetImage(service.spec.image);
  }
  if (policy == PullPolicy::kAlways && !may_build) {
    MBX_RETURN_IF_ERROR(PullService(impl, service, reporter, stop));
    return impl.backend->GetImage(service.spec.image);
  }
  auto image = impl.backend->GetImage(service.spec.image);
  if (image.ok() || image.status().reason() != "image_not_found") return image;
  if (may_build) {
    MBX_RETURN_IF_ERROR(BuildService(impl, service, false, reporter, stop));
  } else if (policy == PullPolicy::kNever) {
    return image.status().WithContext(core::StrCat("service ", service.name));
  } else {
    MBX_RETURN_IF_ERROR(PullService(impl, service, reporter, stop));
  }
  return impl.backend->GetImage(service.spec.image);
}

}  // namespace minibox::compose
