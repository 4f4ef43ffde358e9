// SPDX-License-Identifier: Apache-2.0
// Images in and out as archives (spec §4.5, §10.1): by path on the daemon's host, and as streams.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "body_pipe.h"
#include "handlers.h"
#include "params.h"
#include "transfer_stream.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::ImageInfo;
using minibox::Progress;
using minibox::ProgressFn;
using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::StrCat;
using minibox::wire::Strictness;

constexpr size_t kPiece = 256 << 10;
constexpr std::string_view kTar = "application/x-tar";
// Lines that are sent while the body still comes: a client that reads only when it has sent
// everything must not be waited for, and so many fit into the socket.
constexpr int kMaxEarlyLines = 1000;

std::string NameOf(const ImageInfo& image) {
  return image.name.empty() ? image.manifest.ToString() : image.name;
}

std::string LoadedLine(const ImageInfo& image, std::string_view path) {
  const std::string line = StrCat("Loaded image ", NameOf(image));
  return path.empty() ? line : StrCat(line, " from ", path);
}

// "Loaded image <name>[ from <path>]" per image.
void SendLoaded(Exchange& exchange, const std::vector<ImageInfo>& images, std::string_view path) {
  std::vector<std::string> ids, lines;
  for (const ImageInfo& image : images) {
    ids.push_back(NameOf(image));
    lines.push_back(LoadedLine(image, path));
  }
  exchange.SendLine(minibox::wire::StrJoin(ids, ","), minibox::wire::StrJoin(lines, "\n"));
}

// The same as JSON lines, which have begun.
void EndLines(TransferStream& stream, std::string_view operation,
              const StatusOr<std::vector<ImageInfo>>& images,
              const std::function<std::string(const ImageInfo&)>& line) {
  if (!images.ok()) {
    stream.Line(StrCat("[error] ", operation,
                       " failed: ", minibox::wire::EscapeControl(images.status().message())));
    return stream.End(images.status(), nullptr);
  }
  for (const ImageInfo& image : *images) stream.Line(line(image));
  stream.End(Status(), images->size() == 1 ? &images->front() : nullptr);
}

void Load(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict);
  std::string path;
  params.Required("path", &path);
  if (!params.Finish()) return;
  const auto file = engine.paths.OpenFile(path, "path");
  if (!file.ok()) return exchange.SendError(file.status());
  if (exchange.head().Accepts(kJsonLines)) {
    TransferStream stream(engine, exchange, exchange.gone());
    ProgressLimit limit(stream.progress());
    const auto images = engine.store.Load(
        *file, [&](const Progress& progress) { limit.Report(progress); }, stream.stop());
    close(*file);
    return EndLines(stream, "load", images,
                    [&](const ImageInfo& image) { return LoadedLine(image, path); });
  }
  const auto images = engine.store.Load(*file, {}, engine.operations.get_token());
  close(*file);
  if (!images.ok()) return exchange.SendError(images.status());
  SendLoaded(exchange, *images, path);
}

// What makes images of an archive that is read from `fd`.
using Taker = std::function<StatusOr<std::vector<ImageInfo>>(int fd, const ProgressFn& progress,
                                                             std::stop_token stop)>;

// Gives the body to `take` as a descriptor, in a thread. `begin` is called once the body has begun
// to come, and gives what is called here with the progress; it may be empty.
StatusOr<std::vector<ImageInfo>> FeedBody(Engine& engine, Exchange& exchange, const Taker& take,
                                          const std::function<ProgressFn()>& begin) {
  Pipe pipe;
  if (!pipe.Open()) return NoPipe();
  StatusOr<std::vector<ImageInfo>> result = std::vector<ImageInfo>();
  std::stop_source stop;
  const std::stop_callback closing(engine.operations.get_token(), [&] { stop.request_stop(); });
  ProgressQueue queue;
  std::thread worker([&] {
    ProgressLimit limit([&](const Progress& progress) { queue.Push(progress); });
    ProgressFn progress;
    if (begin) progress = [&](const Progress& p) { limit.Report(p); };
    result = take(pipe.read_end, progress, stop.get_token());
    pipe.CloseRead();  // what is still being written fails instead of waiting for ever
    queue.Close();
  });
  ProgressFn show;
  int early_lines = 0;
  bool reader_ended = false;
  const Status received = exchange.ReadBody([&](std::string_view bytes) {
    if (begin && !show) show = begin();
    const Status written = WriteToPipe(pipe.write_end, bytes);
    reader_ended = !written.ok();
    for (const Progress& progress : queue.Take(/*wait=*/false)) {
      if (++early_lines <= kMaxEarlyLines) show(progress);
    }
    return written;
  });
  // A body that broke off must not be taken for the whole archive.
  const bool broken = !received.ok() && !reader_ended;
  if (broken) stop.request_stop();
  pipe.CloseWrite();
  if (begin && !show) show = begin();
  for (auto some = queue.Take(/*wait=*/true); !some.empty(); some = queue.Take(/*wait=*/true)) {
    for (const Progress& progress : some) show(progress);
  }
  worker.join();
  if (broken) return received;
  if (!result.ok()) return result.status();
  // The archive was complete before its padding was: take that too, so that the answer arrives.
  const Status rest = exchange.ReadBody([](std::string_view) { return Status(); });
  if (!rest.ok()) return rest;
  return result;
}

// The same as JSON lines.
void FeedBodyWithLines(Engine& engine, Exchange& exchange, std::string_view operation,
                       const Taker& take,
                       const std::function<std::string(const ImageInfo&)>& line) {
  std::optional<TransferStream> stream;
  const auto images = FeedBody(engine, exchange, take, [&] {
    stream.emplace(engine, exchange, std::stop_token());
    return stream->progress();
  });
  if (!stream) return exchange.SendError(images.status());
  EndLines(*stream, operation, images, line);
}

void LoadBody(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict, Params::Body::kNone);
  if (!params.Finish()) return;
  const Taker load = [&](int fd, const ProgressFn& progress, std::stop_token stop) {
    return engine.store.Load(fd, progress, std::move(stop));
  };
  if (exchange.head().Accepts(kJsonLines)) {
    return FeedBodyWithLines(engine, exchange, "load", load,
                             [](const ImageInfo& image) { return LoadedLine(image, ""); });
  }
  const auto loaded = FeedBody(engine, exchange, load, {});
  if (!loaded.ok()) return exchange.SendError(loaded.status());
  SendLoaded(exchange, *loaded, "");
}

void Import(Engine& engine, Exchange& exchange) {
  Params params(exchange, Strictness::kStrict, Params::Body::kNone);
  minibox::ImportOptions options;
  params.Required("image", &options.image);
  params.Text("message", &options.message);
  if (!params.Finish()) return;
  const auto name = minibox::ImageRef::Parse(options.image);
  if (!name.ok()) return exchange.SendError(name.status());
  const Taker import = [&](int fd, const ProgressFn& progress,
                           std::stop_token stop) -> StatusOr<std::vector<ImageInfo>> {
    auto image = engine.store.Import(fd, options, progress, std::move(stop));
    if (!image.ok()) return image.status();
    return std::vector<ImageInfo>{*std::move(image)};
  };
  const std::string line = StrCat("Imported image ", options.image);
  if (exchange.head().Accepts(kJsonLines)) {
    return FeedBodyWithLines(engine, exchange, "import", import,
                             [&](const ImageInfo&) { return line; });
  }
  const auto imported = FeedBody(engine, exchange, import, {});
  if (!imported.ok()) return exchange.SendError(imported.status());
  exchange.SendLine(options.image, line);
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
  if (!pipe.Open()) return exchange.SendError(NoPipe());
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
