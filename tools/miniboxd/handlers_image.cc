// SPDX-License-Identifier: Apache-2.0
#include "handlers.h"
#include "params.h"
#include "wire/image.h"
#include "wire/store_reports.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::ImageInfo;
using minibox::Status;
using minibox::wire::StrCat;
using minibox::wire::Strictness;

void List(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  std::optional<bool> dangling;
  std::vector<std::string> labels;
  params.Text("name", &name);
  params.OptionalFlag("dangling", &dangling);
  params.List("label", &labels);
  if (!params.Finish()) return;
  auto images = engine.store.ListImages();
  if (!images.ok()) return exchange.SendError(images.status());
  const auto reference = minibox::ImageRef::Parse(name);
  std::erase_if(*images, [&](const ImageInfo& image) {
    if (dangling && *dangling != image.name.empty()) return true;
    if (!name.empty() && (!reference.ok() || image.reference != reference->ToString())) return true;
    return !HasLabels(image.labels, labels);
  });
  exchange.SendJson(minibox::wire::ToJson(*images));
}

void Inspect(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string image, platform;
  params.Required("image", &image);
  params.Text("platform", &platform);
  if (!params.Finish()) return;
  const auto details = engine.store.InspectImage(image, platform);
  if (!details.ok()) return exchange.SendError(details.status());
  exchange.SendJson(minibox::wire::ToJson(*details));
}

void History(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string image;
  params.Required("image", &image);
  if (!params.Finish()) return;
  const auto history = engine.store.GetHistory(image);
  if (!history.ok()) return exchange.SendError(history.status());
  exchange.SendJson(minibox::wire::ToJson(*history));
}

void Remove(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string image;
  minibox::RemoveImageOptions options;
  params.Required("image", &image);
  params.Flag("force", &options.force);
  if (!params.Finish()) return;
  const auto removed = engine.store.RemoveImage(image, options);
  if (!removed.ok()) {
    HttpError error = ErrorOf(removed.status());
    if (error.code == "image_not_found") error.message = "image not found";
    return exchange.SendError(error);
  }
  exchange.SendLine(image, StrCat("Image ", image, " removed"));
}

void Tag(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string image, tag;
  params.Required("image", &image);
  params.Required("tag", &tag);
  if (!params.Finish()) return;
  const Status tagged = engine.store.TagImage(image, tag);
  if (!tagged.ok()) return exchange.SendError(tagged);
  exchange.SendLine(image, StrCat("Image ", image, " tagged ", tag));
}

}  // namespace

std::vector<Route> ImageRoutes(Engine& engine) {
  return {
      {"GET", "/images", Bind(engine, List)},
      {"GET", "/images/inspect", Bind(engine, Inspect)},
      {"GET", "/images/history", Bind(engine, History)},
      {"POST", "/images/remove", Bind(engine, Remove)},
      {"POST", "/images/tag", Bind(engine, Tag)},
  };
}

}  // namespace miniboxd
