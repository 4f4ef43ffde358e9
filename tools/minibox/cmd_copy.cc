// SPDX-License-Identifier: Apache-2.0
// cp: between a container and the client's own files (spec §15.3).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "commands.h"
#include "minibox/container_files.h"
#include "wire/changes.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr int kMaxLinks = 16;

struct CopyFlags {
  std::string source, destination;
  bool archive = false, follow_link = false;
};

// One side of a copy.
struct Place {
  std::string container{};  // empty: the client's own
  std::string path{};

  // "<container>:<path>"; what begins with '/' or '.' is the client's own, as is what has no colon.
  static Place Parse(const std::string& text) {
    const size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || text[0] == '/' || text[0] == '.') {
      return {"", text};
    }
    std::string path = text.substr(colon + 1);
    if (!path.starts_with('/')) path.insert(0, 1, '/');
    return {text.substr(0, colon), std::move(path)};
  }
  // What is asked for is what is in the directory.
  bool means_content() const { return path == "." || path.ends_with("/."); }
  bool means_directory() const { return path.ends_with('/') || means_content(); }
  bool is_stream() const { return container.empty() && path == "-"; }
};

std::string WithoutEnd(std::string path) {
  while (path.size() > 1 && (path.ends_with('/') || path.ends_with("/."))) path.pop_back();
  return path;
}

std::string ParentOf(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(WithoutEnd(path)).parent_path();
  return parent.empty() ? "." : parent.string();
}

std::string NameOf(const std::string& path) {
  return std::filesystem::path(WithoutEnd(path)).filename().string();
}

// Where entries go and what they are called there, given what is at the destination.
struct Target {
  std::string directory;
  std::optional<std::string> name;  // "": the content alone; unset: as at the source
};
struct There {
  bool exists = false, directory = false;
};

StatusOr<Target> Aim(bool source_is_directory, bool content, const Place& destination,
                     const There& there) {
  const std::string& path = destination.path;
  const auto refused = [&](std::string_view why) {
    return Status(StatusCode::kInvalidArgument, StrCat("'", path, "' ", why));
  };
  if (there.directory) {
    return Target{path, content ? std::optional<std::string>("") : std::nullopt};
  }
  if (there.exists) {
    if (source_is_directory) return refused("is a file, and the source is a directory");
    if (destination.means_directory()) return refused("is not a directory");
  } else if (destination.means_directory() && !source_is_directory) {
    return refused("does not exist");
  }
  return Target{ParentOf(path), NameOf(path)};
}

class Copy {
 public:
  Copy(Session& session, const CopyFlags& flags) : session_(session), flags_(flags) {}

  int Run() {
    const Place source = Place::Parse(flags_.source),
                destination = Place::Parse(flags_.destination);
    if (source.container.empty() == destination.container.empty()) {
      return session_.Usage(source.container.empty() ? "one of the two is <container>:<path>"
                                                     : "cannot copy from container to container");
    }
    // The reader of a pipe that has failed has its own message.
    (void)signal(SIGPIPE, SIG_IGN);
    return source.container.empty() ? Upload(source, destination) : Download(source, destination);
  }

 private:
  // Nothing is shown: whoever goes on learns why.
  std::optional<PathStat> Look(const Place& place, bool follow) {
    Call call{.method = "HEAD",
              .path = "/containers/copy",
              .query = {{"id", place.container}, {"path", place.path}},
              .patience = std::nullopt};
    if (follow) call.query.emplace_back("follow_link", "1");
    const auto reply = session_.Send(call);
    if (!reply.ok() || !reply->ok()) return std::nullopt;
    auto stat = wire::DecodePathStat(reply->Header("x-minibox-path-stat").value_or(""));
    if (!stat.ok()) return std::nullopt;
    return *std::move(stat);
  }

  // Through links, so that what they lead to is replaced and not they.
  std::pair<Place, There> LookThroughLinks(Place place) {
    for (int links = 0; links < kMaxLinks; ++links) {
      const auto stat = Look(place, false);
      if (!stat) return {place, {}};
      if (!S_ISLNK(stat->mode)) return {place, {true, S_ISDIR(stat->mode)}};
      const std::filesystem::path target(stat->link_target);
      place.path = target.is_absolute()
                       ? target.string()
                       : (std::filesystem::path(ParentOf(place.path)) / target).string();
    }
    return {place, {}};
  }

  int Send(int fd, const std::string& container, const std::string& directory) {
    Call call{.method = "POST",
              .path = "/containers/copy",
              .query = {{"id", container}, {"path", directory}},
              .upload_fd = fd,
              .patience = std::nullopt};
    if (flags_.archive) call.query.emplace_back("keep_ids", "1");
    return session_.Ask(call) ? kSuccess : kFailure;
  }

  int Upload(const Place& source, const Place& destination) {
    if (source.is_stream()) {
      if (isatty(STDIN_FILENO) != 0) return session_.Usage("a tar does not come from a terminal");
      return Send(STDIN_FILENO, destination.container, destination.path);
    }
    const bool follow = flags_.follow_link || source.means_directory();
    struct stat own {};
    if ((follow ? stat : lstat)(source.path.c_str(), &own) != 0) {
      return Fail(StrCat("'", source.path, "': ", strerrordesc_np(errno)));
    }
    const bool directory = S_ISDIR(own.st_mode);
    if (source.means_directory() && !directory) {
      return Fail(StrCat("'", source.path, "' is not a directory"));
    }
    const auto [place, there] = LookThroughLinks(destination);
    const auto target = Aim(directory, source.means_content(), place, there);
    if (!target.ok()) return session_.Fail(target.status());
    PackOptions options;
    options.follow_link = follow;
    std::error_code error;
    options.name = target->name.value_or(
        NameOf(std::filesystem::absolute(source.path, error).lexically_normal().string()));
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Fail("no more descriptors");
    Status packed;
    std::thread packer([&, end = ends[1]] {
      packed = PackTree(source.path, options,
                        [&](std::string_view bytes) { return WriteTo(end, bytes); });
      close(end);
    });
    // What is cut off has no end, which the daemon notices.
    const int sent = Send(ends[0], destination.container, target->directory);
    close(ends[0]);
    packer.join();
    if (sent == kSuccess && !packed.ok()) return session_.Fail(packed);
    return sent;
  }

  int Download(const Place& source, const Place& destination) {
    if (destination.is_stream()) {
      if (isatty(STDOUT_FILENO) != 0) return session_.Usage("a tar is not for a terminal");
      return Receive(source, STDOUT_FILENO) ? kSuccess : kFailure;
    }
    const auto found = Look(source, flags_.follow_link);
    // Asked again, the daemon says why.
    if (!found) return Receive(source, -1) ? Fail("the source has changed meanwhile") : kFailure;
    struct stat own {};
    There there;
    there.exists = stat(destination.path.c_str(), &own) == 0;
    there.directory = there.exists && S_ISDIR(own.st_mode);
    auto target = Aim(S_ISDIR(found->mode), source.means_content(), destination, there);
    if (!target.ok()) return session_.Fail(target.status());
    // The root has no name in the archive.
    if (found->name == "/") {
      if (!there.exists && mkdir(destination.path.c_str(), 0755) != 0) {
        return Fail(StrCat("'", destination.path, "': ", strerrordesc_np(errno)));
      }
      target = Target{destination.path, std::nullopt};
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Fail("no more descriptors");
    Status unpacked;
    std::thread unpacker([&, end = ends[0]] {
      unpacked =
          UnpackTree(end, target->directory, {.name = target->name, .keep_ids = flags_.archive});
      close(end);
    });
    const bool received = Receive(source, ends[1]);
    close(ends[1]);
    unpacker.join();
    if (received && !unpacked.ok()) return session_.Fail(unpacked);
    return received ? kSuccess : kFailure;
  }

  // The archive goes to `fd`, whose reader says itself when it has had enough. False: why has been
  // shown.
  bool Receive(const Place& source, int fd) {
    bool reads = fd >= 0;
    Call call{.path = "/containers/copy",
              .query = {{"id", source.container}, {"path", source.path}},
              .sink =
                  [&](std::string_view bytes) {
                    reads = reads && WriteTo(fd, bytes).ok();
                    return true;
                  },
              .patience = std::nullopt};
    if (flags_.follow_link) call.query.emplace_back("follow_link", "1");
    const bool whole = session_.Ask(call).has_value();
    if (whole && !reads && fd == STDOUT_FILENO) session_.terminal().Error("cannot write");
    return whole && (reads || fd != STDOUT_FILENO);
  }

  static Status WriteTo(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = write(fd, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Status(StatusCode::kCancelled, "nobody reads the archive");
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return Status();
  }

  int Fail(std::string_view message) {
    session_.terminal().Error(message);
    return kFailure;
  }

  Session& session_;
  const CopyFlags& flags_;
};

}  // namespace

void AddCopyCommand(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("cp", "copy files into a container, or out of it");
  command->footer(
      "Example:\n  minibox cp site.conf web:/etc/\n  minibox cp web:/var/log/. logs\n"
      "  tar c site | minibox cp - web:/srv\n\nA directory goes into one that exists, and becomes "
      "one that does not; with /. at its end\nits content goes. - is a tar on stdin or stdout. "
      "What is copied in belongs to root.");
  auto flags = std::make_shared<CopyFlags>();
  command->add_option("source", flags->source, "path, <container>:<path> or -")->required();
  command->add_option("destination", flags->destination, "the same")->required();
  command->add_flag("-a,--archive", flags->archive, "keep owners");
  command->add_flag("-L,--follow-link", flags->follow_link, "a link stands for what it leads to");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return Copy(session, *flags).Run(); };
  });
}

}  // namespace minibox::cli
