// SPDX-License-Identifier: Apache-2.0
// Pull and push: streams of lines, or of JSON, with the result in a trailer (spec §4.5, §9).
#include <optional>

#include "handlers.h"
#include "params.h"
#include "transfer_stream.h"
#include "wire/text.h"
#include "wire/transfer.h"

namespace miniboxd {
namespace {

using minibox::Credentials;
using minibox::ImageRef;
using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::StrCat;
using minibox::wire::Strictness;

// Credentials of the request, if there are any.
StatusOr<std::optional<Credentials>> RequestCredentials(const Exchange& exchange) {
  const auto header = exchange.head().Find(minibox::wire::kRegistryAuthHeader);
  if (!header || header->empty()) return std::optional<Credentials>();
  auto credentials = minibox::wire::ParseRegistryAuth(*header);
  if (!credentials.ok()) return credentials.status();
  return std::optional(std::move(*credentials));
}

Status CheckReference(std::string_view field, const std::string& text,
                      std::optional<ImageRef>* out) {
  auto reference = ImageRef::Parse(text);
  if (!reference.ok()) return reference.status().WithField(field);
  if (reference->is_local()) {
    return Status(StatusCode::kInvalidArgument,
                  StrCat(field, ": '", reference->Shown(), "' is a name of this host only"),
                  {.reason = "invalid_reference", .field = std::string(field)});
  }
  out->emplace(std::move(*reference));
  return Status();
}

void Pull(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string image, platform;
  params.Required("image", &image, "Image name is required");
  params.Text("platform", &platform);
  params.Unsupported("lazy");
  std::optional<ImageRef> reference;
  minibox::PullOptions options;
  if (!image.empty()) {
    if (const Status status = CheckReference("image", image, &reference); !status.ok()) {
      params.Fail(status);
    }
  }
  if (!platform.empty()) {
    auto parsed = minibox::wire::ParsePlatformText(platform);
    if (parsed.ok()) {
      options.platform = std::move(*parsed);
    } else {
      params.Fail(parsed.status());
    }
  }
  auto credentials = RequestCredentials(exchange);
  if (!credentials.ok()) {
    params.Fail(credentials.status());
  } else {
    options.credentials = std::move(*credentials);
  }
  if (!params.Finish()) return;
  TransferStream stream(engine, exchange, exchange.gone());
  options.log = stream.log();
  options.progress = stream.progress();
  const auto pulled = engine.registry.Pull(*reference, options, stream.stop());
  stream.End(pulled.status(), pulled.ok() ? &*pulled : nullptr);
}

void Push(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string image, as;
  params.Required("image", &image, "Image name is required");
  params.Text("as", &as);
  minibox::PushOptions options;
  if (!as.empty()) {
    if (const Status status = CheckReference("as", as, &options.as); !status.ok()) {
      params.Fail(status);
    }
  }
  auto credentials = RequestCredentials(exchange);
  if (!credentials.ok()) {
    params.Fail(credentials.status());
  } else {
    options.credentials = std::move(*credentials);
  }
  if (!params.Finish()) return;
  const auto found = engine.store.GetImage(image);
  if (!found.ok()) return exchange.SendError(found.status());
  if (!options.as) {
    // By digest: the image's own name.
    const std::string& name = found->reference.empty() ? image : found->reference;
    const Status status = CheckReference("image", name, &options.as);
    if (!status.ok()) return exchange.SendError(status);
  }
  TransferStream stream(engine, exchange, exchange.gone());
  options.log = stream.log();
  options.progress = stream.progress();
  const Status pushed = engine.registry.Push(image, options, stream.stop());
  stream.End(pushed, nullptr);
}

}  // namespace

std::vector<Route> RegistryRoutes(Engine& engine) {
  return {
      {"POST", "/images/pull", Bind(engine, Pull)},
      {"POST", "/images/push", Bind(engine, Push)},
  };
}

}  // namespace miniboxd
