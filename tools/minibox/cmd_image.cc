// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "commands.h"
#include "render.h"
#include "run_flags.h"
#include "wire/build_request.h"
#include "wire/image.h"
#include "wire/json.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

namespace fs = std::filesystem;
using wire::StrCat;

struct BuildFlags {
  std::vector<std::string> names;
  std::string file, directory = ".", target, network, memory;
  std::vector<std::string> args, labels;
  int64_t cpu = 0;
  bool no_cache = false;
};

// Cuts a stream into lines and gives each to `line` as soon as it is complete.
class Lines {
 public:
  explicit Lines(std::function<bool(std::string_view)> line) : line_(std::move(line)) {}
  bool Add(std::string_view bytes) {
    pending_ += bytes;
    size_t end;
    while ((end = pending_.find('\n')) != std::string::npos) {
      if (!line_(std::string_view(pending_).substr(0, end + 1))) return false;
      pending_.erase(0, end + 1);
    }
    return true;
  }

 private:
  std::function<bool(std::string_view)> line_;
  std::string pending_;
};

StatusOr<BuildOptions> BuildRequestOf(const BuildFlags& flags, std::string* file_name) {
  BuildOptions options;
  options.image = flags.names.front();
  options.tags.assign(flags.names.begin() + 1, flags.names.end());
  std::error_code error;
  options.context = fs::canonical(flags.directory, error);
  const auto failed = [](const std::string& what, const std::string& why) {
    return Status(StatusCode::kInvalidArgument, StrCat(what, ": ", why), {.reason = "usage"});
  };
  if (error) return failed(flags.directory, error.message());
  const fs::path file = flags.file.empty() ? options.context / "MiniBox" : fs::path(flags.file);
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  if (!in || !fs::is_regular_file(file, error)) return failed(file.string(), "cannot be read");
  text << in.rdbuf();
  options.file_text = std::move(text).str();
  *file_name = file.filename().string();
  Status status = AddPairs(flags.args, "--build-arg", &options.args);
  if (status.ok()) status = AddPairs(flags.labels, "--label", &options.labels);
  if (!status.ok()) return status;
  options.target = flags.target;
  options.use_cache = !flags.no_cache;
  if (!flags.network.empty()) options.network = flags.network;
  if (!flags.memory.empty()) {
    const auto bytes = ParseMemory(flags.memory);
    if (!bytes.ok()) return bytes.status().WithContext("--memory");
    options.step_resources.memory_bytes = *bytes;
  }
  if (flags.cpu != 0) {
    options.step_resources.cpu_quota_us = flags.cpu >= 1000 ? flags.cpu : flags.cpu * 1000;
  }
  if (const char* epoch = getenv("SOURCE_DATE_EPOCH"); epoch != nullptr && *epoch != '\0') {
    const auto seconds = wire::ParseInt64(epoch);
    if (!seconds || *seconds < 0) return failed("SOURCE_DATE_EPOCH", "is not a number of seconds");
    options.source_date_epoch = *seconds;
  }
  return options;
}

int Build(Session& session, const BuildFlags& flags) {
  std::string file_name;
  const auto options = BuildRequestOf(flags, &file_name);
  if (!options.ok()) return session.Usage(options.status().message());
  session.terminal().Info(StrCat("Building image ", options->image, " from ", file_name));
  Lines lines(
      [&](std::string_view line) { return Terminal::Print(session.terminal().PaintTag(line)); });
  const auto reply = session.Ask({.method = "POST",
                                  .path = "/containers/build",
                                  .body = wire::ToJson(*options),
                                  .sink = [&](std::string_view bytes) { return lines.Add(bytes); },
                                  .patience = std::nullopt});
  if (!reply) return kFailure;
  const auto result = reply->Trailer("X-Minibox-Status");
  if (!result) {
    session.terminal().Error("the daemon did not report how the build ended");
    return kFailure;
  }
  return *result == "ok" ? kSuccess : kFailure;  // the last line said why
}

void AddBuild(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("build", "build an image from a MiniBox file");
  command->footer("Example:\n  minibox build -t site --build-arg VERSION=2 .");
  auto flags = std::make_shared<BuildFlags>();
  command->add_option("-t,--tag", flags->names, "name of the image; more give it more names")
      ->required()
      ->allow_extra_args(false);
  command->add_option("-f,--file", flags->file, "the file (default: MiniBox in the directory)");
  command->add_option("--target", flags->target, "block to build instead of the last");
  command->add_option("--build-arg", flags->args, "KEY=value of an ARG")->allow_extra_args(false);
  command->add_option("-l,--label", flags->labels, "key=value")->allow_extra_args(false);
  command->add_flag("--no-cache", flags->no_cache, "run every step again");
  command->add_option("--network", flags->network, "of RUN: bridge (default), none or host");
  command->add_option("-m,--memory", flags->memory, "memory limit of each step: MiB, or 512m, 2g");
  command->add_option("-c,--cpu", flags->cpu, "1-999: percent of a core; from 1000: µs per 100 ms")
      ->check(CLI::Range(int64_t{1}, int64_t{102400000}));
  command->add_option("directory", flags->directory, "context of the build (default: .)");
  command->callback(
      [&session, flags] { session.action = [&session, flags] { return Build(session, *flags); }; });
}

void AddList(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("images", "list images");
  command->footer("Example:\n  minibox images --filter label=app=web");
  struct Flags : ListFlags {
    std::string name;
  };
  auto flags = std::make_shared<Flags>();
  flags->AddTo(*command);
  command->add_option("name", flags->name, "only this image");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      auto query = flags->FilterQuery();
      if (!query.ok()) return session.Usage(query.status().message());
      if (!flags->name.empty()) query->emplace_back("name", flags->name);
      const auto body = session.Fetch("/images", *query);
      if (!body) return kFailure;
      const auto images = wire::ParseImages(*body);
      if (!images.ok()) return session.Fail(images.status());
      if (flags->wants_json()) return session.Print(*wire::Indented(*body));
      std::string ids;
      for (const ImageInfo& image : *images) ids += image.id.ToString() + "\n";
      return session.Print(flags->quiet ? ids : ImageTable(*images, session.terminal()));
    };
  });
}

int Load(Session& session, const std::string& path) {
  const bool from_stdin = path.empty() || path == "-";
  if (from_stdin && isatty(STDIN_FILENO)) return session.Usage("no file, and stdin is a terminal");
  const int fd = from_stdin ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    session.terminal().Error(StrCat("cannot open '", path, "'"));
    return kFailure;
  }
  const auto reply = session.Ask(
      {.method = "POST", .path = "/images/archive", .upload_fd = fd, .patience = std::nullopt});
  if (!from_stdin) close(fd);
  return reply ? session.Print(reply->body) : kFailure;
}

void AddLoad(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("load", "load images from an archive");
  command->footer("Example:\n  minibox load site.tar\n  gunzip -c site.tar.gz | minibox load");
  struct Flags {
    std::string input, file;
  };
  auto flags = std::make_shared<Flags>();
  CLI::Option* input = command->add_option("-i,--input", flags->input, "the archive");
  command->add_option("file", flags->file, "the archive (default: stdin)")->excludes(input);
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      return Load(session, flags->input.empty() ? flags->file : flags->input);
    };
  });
}

void AddRemove(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("rmi", "remove images");
  command->footer("Example:\n  minibox rmi site:old");
  struct Flags {
    std::vector<std::string> images;
    bool force = false;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("image", flags->images, "names or ids")->required();
  command->add_flag("-f,--force", flags->force, "also if containers use them");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      return session.ForEach(flags->images, "/images/remove", [&](const std::string& image) {
        Query query = {{"image", image}};
        if (flags->force) query.emplace_back("force", "1");
        return query;
      });
    };
  });
}

void AddTag(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("tag", "give an image another name");
  command->footer("Example:\n  minibox tag site site:v2");
  struct Flags {
    std::string source, name;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("image", flags->source, "name or id")->required();
  command->add_option("name", flags->name, "the further name")->required();
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      return session.ForEach({flags->source}, "/images/tag", [&](const std::string& image) {
        return Query{{"image", image}, {"tag", flags->name}};
      });
    };
  });
}

}  // namespace

void AddImageCommands(CLI::App& app, Session& session) {
  AddBuild(app, session);
  AddList(app, session);
  AddLoad(app, session);
  AddRemove(app, session);
  AddTag(app, session);
}

}  // namespace minibox::cli
