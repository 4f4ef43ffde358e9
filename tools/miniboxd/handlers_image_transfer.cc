// SPDX-License-Identifier: Apache-2.0
// Images in and out as archives (spec §4.5, §10.1): by path on the daemon's host, and as streams.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "handlers.h"
#include "params.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::ImageInfo;
using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::StrCat;
using minibox::wire::Strictness;

constexpr size_t kPiece = 256 << 10;
constexpr std::string_view kTar = "application/x-tar";

struct Pipe {
  int read_end = -1, write_end = -1;
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  bool Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end = ends[0];
    write_end = ends[1];
    return true;
  }
  void CloseRead() {
    if (read_end >= 0) close(std::exchange(read_end, -1));
  }
  void CloseWrite() {
    if (write_end >= 0) close(std::exchange(write_end, -1));
  }
};

void SendNoPipe(Exchange& exchange) {
  exchange.SendError(HttpError{500, "internal", "pipe2: no more descriptors", {}});
}

// "Loaded image <name>[ from <path>]" per image.
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

// Gives the body to `reader` as a descriptor, in a thread. False: an error has been sent.
bool FeedBody(Engine& engine, Exchange& exchange,
              const std::function<Status(int fd, std::stop_token stop)>& reader) {
  Pipe pipe;
  if (!pipe.Open()) {
    SendNoPipe(exchange);
    return false;
  }
  Status result;
  std::stop_source stop;
  const std::stop_callback closing(engine.operations.get_token(), [&] { stop.request_stop(); });
  std::thread worker([&] {
    result = reader(pipe.read_end, stop.get_token());
    pipe.CloseRead();  // what is still being written fails instead of waiting for ever
  });
  bool reader_ended = false;
  const Status received = exchange.ReadBody([&](std::string_view bytes) {
    const Status written = WriteToPipe(pipe.write_end, bytes);
    reader_ended = !written.ok();
    return written;
  });
  // A body that broke off must not be taken for the whole archive.
  const bool broken = !received.ok() && !reader_ended;
  if (broken) stop.request_stop();
  pipe.CloseWrite();
  worker.join();
  if (broken || !result.ok()) {
    exchange.SendError(broken ? received : result);
    return false;
  }
  // The archive was complete before its padding was: take that too, so that the answer arrives.
  const Status rest = exchange.ReadBody([](std::string_view) { return Status(); });
  if (!rest.ok()) exchange.SendError(rest);
  return rest.ok();
}

void LoadBody(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict, Params::Body::kNone);
  if (!params.Finish()) return;
  std::vector<ImageInfo> loaded;
  const bool fed = FeedBody(engine, exchange, [&](int fd, std::stop_token stop) {
    auto images = engine.store.Load(fd, {}, std::move(stop));
    if (images.ok()) loaded = *std::move(images);
    return images.status();
  });
  if (fed) SendLoaded(exchange, loaded, "");
}

void Import(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict, Params::Body::kNone);
  minibox::ImportOptions options;
  params.Required("image", &options.image);
  params.Text("message", &options.message);
  if (!params.Finish()) return;
  const auto name = minibox::ImageRef::Parse(options.image);
  if (!name.ok()) return exchange.SendError(name.status());
  const bool fed = FeedBody(engine, exchange, [&](int fd, std::stop_token stop) {
    return engine.store.Import(fd, options, {}, std::move(stop)).status();
  });
  if (fed) exchange.SendLine(options.image, StrCat("Imported image ", options.image));
}

std::vector<std::string> SplitList(const std::string& text) {
  std::vector<std::string> items;
  for (const std::string_view item : minibox::wire::StrSplit(text, ',')) {
    const std::string_view trimmed = minibox::wire::TrimSpace(item);
    if (!trimmed.empty()) items.emplace_back(trimmed);
  }
  return items;
}

void Save(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string image, path;
  params.Required("image", &image);
  params.Required("path", &path);
  if (!params.Finish()) return;
  auto file = engine.paths.CreateFile(path, "path");
  if (!file.ok()) return exchange.SendError(file.status());
  Status saved =
      engine.store.Save(SplitList(image), file->fd(), {}, {}, engine.operations.get_token());
  if (saved.ok()) saved = file->Commit();
  if (!saved.ok()) return exchange.SendError(saved);
  exchange.SendLine(image, StrCat("Saved image ", image, " to ", path));
}

Status ParseCompression(std::string_view text, minibox::ArchiveCompression* out) {
  using minibox::ArchiveCompression;
  if (text.empty() || text == "none") {
    *out = ArchiveCompression::kNone;
  } else if (text == "gzip") {
    *out = ArchiveCompression::kGzip;
  } else if (text == "zstd") {
    *out = ArchiveCompression::kZstd;
  } else {
    return minibox::wire::InvalidField("compression", "must be none, gzip or zstd");
  }
  return Status();
}

void Archive(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string image, compression;
  minibox::SaveOptions options;
  params.Required("image", &image);
  params.Text("compression", &compression);
  params.Fail(ParseCompression(compression, &options.compression));
  if (!params.Finish()) return;
  if (exchange.is_head_request()) {
    for (const std::string& name : SplitList(image)) {
      const auto found = engine.store.GetImage(name);
      if (!found.ok()) return exchange.SendError(found.status());
    }
    (void)exchange.BeginStream(kTar).End();
    return;
  }
  Pipe pipe;
  if (!pipe.Open()) return SendNoPipe(exchange);
  Status saved;
  std::stop_source stop;
  const std::stop_callback closing(engine.operations.get_token(), [&] { stop.request_stop(); });
  std::thread writer([&] {
    saved = engine.store.Save(SplitList(image), pipe.write_end, options, {}, stop.get_token());
    pipe.CloseWrite();
  });
  std::string piece(kPiece, '\0');
  // Only once there is something is it known that it can be had at all.
  std::optional<ResponseStream> stream;
  Status sent;
  while (sent.ok()) {
    const ssize_t count = read(pipe.read_end, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    if (!stream) stream.emplace(exchange.BeginStream(kTar));
    sent = stream->Write(std::string_view(piece).substr(0, static_cast<size_t>(count)));
  }
  if (!sent.ok()) stop.request_stop();
  pipe.CloseRead();
  writer.join();
  if (!stream) return exchange.SendError(saved);
  // Without its end the client knows that it is not whole.
  if (saved.ok() && sent.ok()) (void)stream->End();
}

}  // namespace

std::vector<Route> ImageTransferRoutes(Engine& engine) {
  return {
      {"POST", "/images/load", Bind(engine, Load)},
      {"POST", "/images/save", Bind(engine, Save)},
      {"GET", "/images/archive", Bind(engine, Archive)},
      {"POST", "/images/archive", Bind(engine, LoadBody)},
      {"POST", "/images/import", Bind(engine, Import)},
  };
}

}  // namespace miniboxd
