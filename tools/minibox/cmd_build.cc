// SPDX-License-Identifier: Apache-2.0
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>

#include "build_view.h"
#include "commands.h"
#include "render.h"
#include "run_flags.h"
#include "wire/build_plan.h"
#include "wire/build_request.h"
#include "wire/json.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

namespace fs = std::filesystem;
using wire::StrCat;

constexpr size_t kMaxSecret = 1u << 20;

struct BuildFlags {
  std::vector<std::string> names;
  std::string file, directory = ".", target, network, memory, compression, platform, keep_failed;
  std::string pull;
  std::vector<std::string> args, labels, secrets;
  int64_t cpu = 0, pids_limit = 0;
  bool no_cache = false;
  bool check = false, plan = false, graph = false, json = false;
};

Status Usage(std::string_view what, std::string_view why) {
  return Status(StatusCode::kInvalidArgument, StrCat(what, ": ", why), {.reason = "usage"});
}

// Cuts a stream into lines and gives each to `line` as soon as it is complete.
class Lines {
 public:
  explicit Lines(std::function<bool(std::string_view)> line) : line_(std::move(line)) {}
  bool Add(std::string_view bytes) {
    pending_ += bytes;
    size_t begin = 0, end;
    bool ok = true;
    while (ok && (end = pending_.find('\n', begin)) != std::string::npos) {
      ok = line_(std::string_view(pending_).substr(begin, end + 1 - begin));
      begin = end + 1;
    }
    pending_.erase(0, begin);
    return ok;
  }

 private:
  std::function<bool(std::string_view)> line_;
  std::string pending_;
};

// Draws a BuildView: whatever comes, and the time that passes in between.
class Screen {
 public:
  explicit Screen(const Terminal& terminal)
      : live_(terminal.CanMoveCursor()), view_(terminal, live_, Width()) {
    if (live_) ticker_ = std::thread([this] { Tick(); });
  }
  ~Screen() { Finish(); }

  bool Line(std::string_view line) {
    const std::lock_guard lock(mutex_);
    return Terminal::Print(view_.Line(line, BuildView::Clock::now()));
  }
  void Finish() {
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      over_ = true;
      if (live_) (void)Terminal::Print(view_.Finish());
    }
    wake_.notify_all();
    if (ticker_.joinable()) ticker_.join();
  }
  BuildView::Failure failure() const { return view_.failure(); }

 private:
  static int Width() {
    struct winsize size {};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
  }
  void Tick() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(200), [this] { return over_; })) {
      (void)Terminal::Print(view_.Tick(BuildView::Clock::now()));
    }
  }

  const bool live_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;
  BuildView view_;
  std::thread ticker_;
};

StatusOr<std::string> ReadFile(const fs::path& path, size_t limit) {
  std::error_code error;
  std::ifstream in(path, std::ios::binary);
  if (!in || fs::is_directory(path, error)) return Usage(path.string(), "cannot be read");
  std::string text;
  char buffer[65536];
  while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
    text.append(buffer, static_cast<size_t>(in.gcount()));
    if (text.size() > limit) return Usage(path.string(), "is too long");
  }
  return text;
}

// "id=NAME,src=FILE" or "id=NAME,env=VARIABLE"; without both the variable NAME, else the file.
Status AddSecret(std::string_view text, std::map<std::string, std::string>* secrets) {
  std::string id, source, variable;
  for (const auto part : wire::StrSplit(text, ',')) {
    const size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string value(equals == part.npos ? std::string_view() : part.substr(equals + 1));
    if (key == "id") {
      id = value;
    } else if (key == "src" || key == "source") {
      source = value;
    } else if (key == "env") {
      variable = value;
    } else {
      return Usage("--secret",
                   StrCat("unknown key '", wire::EscapeControl(key), "': it has id, src and env"));
    }
  }
  if (id.empty()) return Usage("--secret", "needs id=<name>,src=<file>");
  if (source.empty()) {
    const char* value = getenv(variable.empty() ? id.c_str() : variable.c_str());
    if (value == nullptr) {
      return Usage("--secret", StrCat("no src= for '", id, "', and no variable of that name"));
    }
    (*secrets)[id] = value;
    return {};
  }
  auto value = ReadFile(source, kMaxSecret);
  if (!value.ok()) return value.status().WithContext("--secret");
  (*secrets)[id] = std::move(*value);
  return {};
}

Status ReadPlatform(const std::string& text, Platform* platform) {
  const auto parts = wire::StrSplit(text, '/');
  if (parts.size() < 2 || parts.size() > 3) return Usage("--platform", "is os/arch[/variant]");
  *platform = {std::string(parts[0]), std::string(parts[1]),
               parts.size() == 3 ? std::string(parts[2]) : std::string()};
  return {};
}

StatusOr<std::string> ReadMiniBox(const BuildFlags& flags) {
  constexpr size_t kMaxFile = (16u << 20) + 1;
  return ReadFile(flags.file.empty() ? fs::path(flags.directory) / "MiniBox" : fs::path(flags.file),
                  kMaxFile);
}

StatusOr<BuildOptions> BuildRequestOf(const BuildFlags& flags) {
  BuildOptions options;
  // A plan is not given a name.
  options.image = flags.names.empty() ? "plan" : flags.names.front();
  for (size_t i = 1; i < flags.names.size(); ++i) options.tags.push_back(flags.names[i]);
  std::error_code error;
  options.context = fs::canonical(flags.directory, error);
  if (error) return Usage(flags.directory, error.message());
  auto text = ReadMiniBox(flags);
  if (!text.ok()) return text.status();
  options.file_text = std::move(*text);
  Status status = AddPairs(flags.args, "--build-arg", &options.args);
  if (status.ok()) status = AddPairs(flags.labels, "--label", &options.labels);
  for (const auto& secret : flags.secrets) {
    if (status.ok()) status = AddSecret(secret, &options.secrets);
  }
  if (status.ok() && !flags.platform.empty()) {
    status = ReadPlatform(flags.platform, &options.platform);
  }
  if (!status.ok()) return status;
  options.target = flags.target;
  options.use_cache = !flags.no_cache;
  if (!flags.pull.empty()) options.pull = flags.pull;
  options.keep_failed = flags.keep_failed;
  if (!flags.network.empty()) options.network = flags.network;
  if (!flags.compression.empty()) options.compression = flags.compression;
  if (!flags.memory.empty()) {
    const auto bytes = ParseMemory(flags.memory);
    if (!bytes.ok()) return bytes.status().WithContext("--memory");
    options.step_resources.memory_bytes = *bytes;
  }
  if (flags.cpu != 0) {
    options.step_resources.cpu_quota_us = flags.cpu >= 1000 ? flags.cpu : flags.cpu * 1000;
  }
  if (flags.pids_limit != 0) options.step_resources.pids = flags.pids_limit;
  if (const char* epoch = getenv("SOURCE_DATE_EPOCH"); epoch != nullptr && *epoch != '\0') {
    const auto seconds = wire::ParseInt64(epoch);
    if (!seconds || *seconds < 0) return Usage("SOURCE_DATE_EPOCH", "is not a number of seconds");
    options.source_date_epoch = *seconds;
  }
  return options;
}

int Check(Session& session, const BuildFlags& flags) {
  const auto text = ReadMiniBox(flags);
  if (!text.ok()) return session.Usage(text.status().message());
  const auto diagnostics = ImageBuilder::Check(*text);
  bool failed = false;
  for (const auto& diagnostic : diagnostics) {
    failed = failed || diagnostic.severity == Diagnostic::Severity::kError;
  }
  const std::string shown =
      flags.json ? *wire::Indented(wire::ToJson(diagnostics)) : WithSource(diagnostics, *text);
  if (session.Print(shown) != kSuccess) return kFailure;
  if (!failed) session.terminal().Success("the MiniBox file is well formed");
  return failed ? kFailure : kSuccess;
}

// Errors of the file with the lines that they are about.
std::string ErrorView(std::string_view message, std::string_view source) {
  const auto diagnostics = wire::ParseDiagnostics(message);
  if (diagnostics.empty()) return std::string(message);
  return WithSource(diagnostics, source);
}

int Plan(Session& session, const BuildFlags& flags) {
  const auto options = BuildRequestOf(flags);
  if (!options.ok()) return session.Usage(options.status().message());
  session.error_view = [&](std::string_view text) { return ErrorView(text, options->file_text); };
  const auto reply = session.Ask({.method = "POST",
                                  .path = "/containers/build/plan",
                                  .body = wire::ToJson(*options),
                                  .patience = std::nullopt});
  if (!reply) return kFailure;
  if (flags.json && !flags.graph) return session.Print(*wire::Indented(reply->body));
  const auto plan = wire::ParseBuildPlan(reply->body);
  if (!plan.ok()) return session.Fail(plan.status());
  return session.Print(flags.graph ? PlanGraph(*plan) : PlanText(*plan));
}

// The last lines of what failed, and what to do next. On stderr: the log has said it all before.
void ShowFailure(Session& session, const BuildFlags& flags, const BuildView::Failure& failure) {
  if (failure.block.empty()) return;
  std::string text = StrCat("block '", failure.block, "' failed");
  if (!failure.lines.empty()) text += "; its last lines:";
  for (const auto& line : failure.lines) text += "\n    " + line;
  session.terminal().Error(text);
  if (flags.keep_failed.empty()) {
    session.terminal().Info(
        "to look into the failed step: build with --keep-failed NAME, then run that image");
  }
}

int Build(Session& session, const BuildFlags& flags) {
  if (flags.check) return Check(session, flags);
  if (flags.plan || flags.graph) return Plan(session, flags);
  if (flags.names.empty()) return session.Usage("-t is missing: the name of the image");
  const auto options = BuildRequestOf(flags);
  if (!options.ok()) return session.Usage(options.status().message());
  const std::string file_name =
      flags.file.empty() ? "MiniBox" : fs::path(flags.file).filename().string();
  session.terminal().Info(StrCat("Building image ", options->image, " from ", file_name));
  session.error_view = [&](std::string_view text) { return ErrorView(text, options->file_text); };
  Screen screen(session.terminal());
  Lines lines([&](std::string_view line) { return screen.Line(line); });
  const auto reply = session.Ask({.method = "POST",
                                  .path = "/containers/build",
                                  .body = wire::ToJson(*options),
                                  .sink = [&](std::string_view bytes) { return lines.Add(bytes); },
                                  .patience = std::nullopt});
  screen.Finish();
  if (!reply) return kFailure;
  const auto result = reply->Trailer("X-Minibox-Status");
  if (!result) {
    session.terminal().Error("the daemon did not report how the build ended");
    return kFailure;
  }
  if (*result == "ok") return kSuccess;
  ShowFailure(session, flags, screen.failure());
  return kFailure;
}

}  // namespace

void AddBuildCommand(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("build", "build an image from a MiniBox file");
  command->footer(
      "Example:\n  minibox build -t site --build-arg VERSION=2 .\n"
      "  minibox build --check\n  minibox build --graph . | dot -Tsvg > plan.svg");
  auto flags = std::make_shared<BuildFlags>();
  command->add_option("-t,--tag", flags->names, "name of the image; more give it more names")
      ->allow_extra_args(false);
  command->add_option("-f,--file", flags->file, "the file (default: MiniBox in the directory)");
  command->add_option("--target", flags->target, "block to build instead of the last");
  command->add_option("--build-arg", flags->args, "KEY=value of an ARG")->allow_extra_args(false);
  command->add_option("-l,--label", flags->labels, "key=value")->allow_extra_args(false);
  command->add_flag("--no-cache", flags->no_cache, "run every step again");
  command
      ->add_flag("--pull{always}", flags->pull,
                 "look for newer bases; --pull=missing (default), --pull=never")
      ->check(CLI::IsMember({"missing", "always", "never"}));
  command
      ->add_option("--secret", flags->secrets,
                   "id=NAME,src=FILE or id=NAME,env=VARIABLE for RUN --mount=type=secret")
      ->allow_extra_args(false);
  command->add_option("--network", flags->network, "of RUN: bridge (default), none or host");
  command->add_option("--compression", flags->compression, "of layers: gzip (default) or zstd");
  command->add_option("--platform", flags->platform, "os/arch[/variant] (default: the host's)");
  command->add_option("-m,--memory", flags->memory, "memory limit of each step: MiB, or 512m, 2g");
  command->add_option("-c,--cpu", flags->cpu, "1-999: percent of a core; from 1000: µs per 100 ms")
      ->check(CLI::Range(int64_t{1}, int64_t{102400000}));
  command->add_option("--pids-limit", flags->pids_limit, "processes of each step")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 22));
  command->add_option("--keep-failed", flags->keep_failed,
                      "name of an image that gets what a failing step has left");
  auto* check = command->add_flag("--check", flags->check, "only check the file");
  auto* plan = command->add_flag("--plan", flags->plan, "only show blocks, keys and cache hits");
  auto* graph = command->add_flag("--graph", flags->graph, "only show the blocks as Graphviz text");
  check->excludes(plan)->excludes(graph);
  plan->excludes(graph);
  command->add_flag("--json", flags->json, "JSON of --check and --plan");
  command->add_option("directory", flags->directory, "context of the build (default: .)");
  command->callback(
      [&session, flags] { session.action = [&session, flags] { return Build(session, *flags); }; });
}

}  // namespace minibox::cli
