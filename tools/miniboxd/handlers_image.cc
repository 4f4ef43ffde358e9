// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "handlers.h"
#include "params.h"
#include "wire/image.h"
#include "wire/messages.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::ImageInfo;
using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::StrCat;
using minibox::wire::Strictness;

void List(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string name;
  bool dangling = false;
  std::vector<std::string> labels;
  params.Text("name", &name);
  params.Flag("dangling", &dangling);
  params.List("label", &labels);
  if (!params.Finish()) return;
  auto images = engine.store.ListImages();
  if (!images.ok()) return exchange.SendError(images.status());
  const auto reference = minibox::ImageRef::Parse(name);
  std::erase_if(*images, [&](const ImageInfo& image) {
    if (dangling && !image.name.empty()) return true;
    if (!name.empty() && (!reference.ok() || image.reference != reference->ToString())) return true;
    return !HasLabels(image.labels, labels);
  });
  exchange.SendJson(minibox::wire::ToJson(*images));
}

// "Loaded image <name>[ from <path>]" per image, or the lines of progress that were asked for.
void SendLoaded(Exchange& exchange, const std::vector<ImageInfo>& images, std::string_view path) {
  std::string ids, lines;
  for (const ImageInfo& image : images) {
    const std::string& name = image.name.empty() ? image.manifest.ToString() : image.name;
    if (!lines.empty()) {
      ids += ",";
      lines += "\n";
    }
    ids += name;
    lines += StrCat("Loaded image ", name);
    if (!path.empty()) lines += StrCat(" from ", path);
  }
  exchange.SendLine(ids, lines);
}

void Load(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string path;
  params.Required("path", &path);
  if (!params.Finish()) return;
  const auto file = engine.paths.OpenFile(path, "path");
  if (!file.ok()) return exchange.SendError(file.status());
  const auto images = engine.store.Load(*file, {}, engine.operations.get_token());
  close(*file);
  if (!images.ok()) return exchange.SendError(images.status());
  SendLoaded(exchange, *images, path);
}

// kCancelled once nobody reads any more.
Status WriteToPipe(int pipe, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(pipe, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Status(StatusCode::kCancelled, "the archive's reader has ended");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return Status();
}

void LoadBody(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict, Params::Body::kNone);
  if (!params.Finish()) return;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return exchange.SendError(HttpError{500, "internal", "pipe2: no more descriptors", {}});
  }
  StatusOr<std::vector<ImageInfo>> images(std::vector<ImageInfo>{});
  std::stop_source stop;
  const std::stop_callback closing(engine.operations.get_token(), [&] { stop.request_stop(); });
  std::thread loader([&] {
    images = engine.store.Load(ends[0], {}, stop.get_token());
    close(ends[0]);  // what is still being written fails instead of waiting for ever
  });
  bool reader_ended = false;
  const Status received = exchange.ReadBody([&](std::string_view bytes) {
    const Status written = WriteToPipe(ends[1], bytes);
    reader_ended = !written.ok();
    return written;
  });
  // A body that broke off must not be taken for the whole archive.
  if (!received.ok() && !reader_ended) stop.request_stop();
  close(ends[1]);
  loader.join();
  if (!received.ok() && !reader_ended) return exchange.SendError(received);
  if (!images.ok()) return exchange.SendError(images.status());
  // The archive was complete before its padding was: take that too, so that the answer arrives.
  const Status rest = exchange.ReadBody([](std::string_view) { return Status(); });
  if (!rest.ok()) return exchange.SendError(rest);
  SendLoaded(exchange, *images, "");
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
      {"POST", "/images/load", Bind(engine, Load)},
      {"POST", "/images/archive", Bind(engine, LoadBody)},
      {"POST", "/images/remove", Bind(engine, Remove)},
      {"POST", "/images/tag", Bind(engine, Tag)},
  };
}

}  // namespace miniboxd
