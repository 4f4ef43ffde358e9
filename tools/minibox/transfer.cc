// SPDX-License-Identifier: Apache-2.0
#include "transfer.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "minibox/registry.h"
#include "render.h"
#include "wire/text.h"
#include "wire/transfer.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr size_t kBarCells = 20;
constexpr size_t kShortDigest = 12;
constexpr std::string_view kAlgorithm = "sha256:";

bool IsSet(const char* name) {
  const char* value = getenv(name);
  return value != nullptr && *value != '\0';
}

std::string_view PhaseText(Progress::Phase phase) {
  switch (phase) {
    case Progress::Phase::kResolving:
      return "resolving";
    case Progress::Phase::kTransferring:
      return "transferring";
    case Progress::Phase::kVerifying:
      return "verifying";
    case Progress::Phase::kUnpacking:
      return "unpacking";
    case Progress::Phase::kDone:
      return "done";
  }
  return "";
}

// A digest or a prefix of one: nothing that could be pulled.
bool IsId(std::string_view image) {
  if (image.starts_with(kAlgorithm)) return true;
  return image.size() >= 6 && image.find_first_not_of("0123456789abcdef") == image.npos;
}

// The daemon's lines, or JSON lines, as they come.
class Reader {
 public:
  Reader(Session& session, const TransferCall& call, bool draw)
      : session_(session), out_(call.out), draw_(draw), bars_(call.out) {}

  bool Take(std::string_view bytes) {
    pending_ += bytes;
    size_t end;
    while ((end = pending_.find('\n')) != std::string::npos) {
      if (!Line(std::string_view(pending_).substr(0, end))) return false;
      pending_.erase(0, end + 1);
    }
    return true;
  }

 private:
  bool Line(std::string_view line) {
    if (!draw_) return Write(line);
    const auto parsed = wire::ParseStreamLine(line);
    if (!parsed.ok()) return false;
    switch (parsed->type) {
      case wire::StreamLine::Type::kLog:
        bars_.Line(session_.terminal().PaintTag(wire::EscapeControl(parsed->text)));
        break;
      case wire::StreamLine::Type::kProgress:
        // The image as a whole has lines, not a bar.
        if (parsed->progress.subject.starts_with(kAlgorithm)) bars_.Update(parsed->progress);
        break;
      case wire::StreamLine::Type::kResult:
        break;
    }
    return ferror(out_) == 0;
  }
  bool Write(std::string_view line) {
    const std::string text = wire::EscapeControl(line) + "\n";
    return fwrite(text.data(), 1, text.size(), out_) == text.size() && fflush(out_) == 0;
  }

  Session& session_;
  FILE* out_;
  const bool draw_;
  ProgressBars bars_;
  std::string pending_;
};

}  // namespace

bool MayDraw(FILE* out) {
  return isatty(fileno(out)) && !IsSet("NO_COLOR") && !IsSet("MINIBOX_PLAIN");
}

void ProgressBars::Update(const Progress& progress) {
  const auto known = std::find_if(bars_.begin(), bars_.end(), [&](const Progress& bar) {
    return bar.subject == progress.subject;
  });
  Erase();
  if (known == bars_.end()) {
    bars_.push_back(progress);
  } else {
    *known = progress;
  }
  Draw();
}

void ProgressBars::Line(std::string_view line) {
  Erase();
  fprintf(out_, "%.*s\n", static_cast<int>(line.size()), line.data());
  Draw();
}

std::string ProgressBars::Text(const Progress& progress) {
  std::string_view name = progress.subject;
  if (name.starts_with(kAlgorithm)) name = name.substr(kAlgorithm.size(), kShortDigest);
  std::string phase(PhaseText(progress.phase));
  phase.resize(kShortDigest, ' ');
  const uint64_t total = std::max<uint64_t>(progress.total, 1);
  const auto share =
      static_cast<double>(std::min(progress.done, total)) / static_cast<double>(total);
  const auto cells = static_cast<size_t>(share * kBarCells);
  return StrCat(wire::EscapeControl(name), "  ", phase, " [", std::string(cells, '#'),
                std::string(kBarCells - cells, ' '), "]  ", SizeText(progress.done),
                progress.total > 0 ? StrCat(" / ", SizeText(progress.total)) : std::string());
}

void ProgressBars::Erase() {
  for (; drawn_ > 0; --drawn_) fputs("\033[1A\033[2K", out_);
}

void ProgressBars::Draw() {
  for (const Progress& bar : bars_) fprintf(out_, "%s\n", Text(bar).c_str());
  drawn_ = bars_.size();
  fflush(out_);
}

std::filesystem::path AuthFile() {
  if (const char* file = getenv("MINIBOX_AUTH_FILE"); file != nullptr && *file != '\0') return file;
  const char* home = getenv("HOME");
  return home == nullptr ? std::filesystem::path()
                         : std::filesystem::path(home) / ".docker/config.json";
}

int Transfer(Session& session, const TransferCall& call) {
  std::vector<std::pair<std::string, std::string>> headers;
  if (const auto reference = ImageRef::Parse(call.image); reference.ok()) {
    const auto credentials = FindCredentials(AuthFile(), reference->registry());
    if (!credentials.ok()) return session.Fail(credentials.status());
    if (!credentials->empty()) {
      headers.emplace_back(wire::kRegistryAuthHeader, wire::EncodeRegistryAuth(*credentials));
    }
  }
  const bool draw = MayDraw(call.out);
  if (draw) headers.emplace_back("Accept", "application/x-ndjson");
  Reader reader(session, call, draw);
  const auto reply =
      session.Ask({.method = "POST",
                   .path = call.path,
                   .query = call.query,
                   .headers = headers,
                   .upload_fd = call.upload_fd,
                   .sink = [&](std::string_view bytes) { return reader.Take(bytes); },
                   .patience = std::nullopt});
  if (!reply) return kFailure;
  const auto result = reply->Trailer("X-Minibox-Status");
  if (!result) {
    session.terminal().Error(
        StrCat("the daemon did not report how the ", call.operation, " ended"));
    return kFailure;
  }
  return *result == "ok" ? kSuccess : kFailure;  // the last line said why
}

bool ProvideImage(Session& session, const std::string& policy, const std::string& image,
                  const std::string& platform) {
  const auto reference = ImageRef::Parse(image);
  // What cannot be pulled is for the daemon to find, or to refuse.
  if (policy == "never" || !reference.ok() || reference->is_local()) return true;
  if (policy != "always") {
    if (IsId(image)) return true;
    const auto there = session.Fetch("/images", {{"name", image}});
    if (!there) return false;
    if (wire::TrimSpace(*there) != "[]") return true;
  }
  Query query = {{"image", image}};
  if (!platform.empty()) query.emplace_back("platform", platform);
  return Transfer(session, {.path = "/images/pull",
                            .operation = "pull",
                            .query = std::move(query),
                            .image = image,
                            .out = stderr}) == kSuccess;
}

}  // namespace minibox::cli
