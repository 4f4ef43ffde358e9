// SPDX-License-Identifier: Apache-2.0
// save, load, import: the client reads and writes the files, with its own rights.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "commands.h"
#include "transfer.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

// With bars on a terminal, else the answer as it is.
int Upload(Session& session, TransferCall call, int fd) {
  if (MayDraw(call.out)) {
    call.upload_fd = fd;
    return Transfer(session, call);
  }
  const auto reply = session.Ask({.method = "POST",
                                  .path = call.path,
                                  .query = call.query,
                                  .upload_fd = fd,
                                  .patience = std::nullopt});
  return reply ? session.Print(reply->body) : kFailure;
}

int Load(Session& session, const std::string& path) {
  const bool from_stdin = path.empty() || path == "-";
  if (from_stdin && isatty(STDIN_FILENO)) return session.Usage("no file, and stdin is a terminal");
  const int fd = from_stdin ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    session.terminal().Error(StrCat("cannot open '", path, "'"));
    return kFailure;
  }
  const int status = Upload(session, {.path = "/images/archive", .operation = "load"}, fd);
  if (!from_stdin) close(fd);
  return status;
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

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

struct SaveFlags {
  std::vector<std::string> arguments;
  std::string output, compression;
};

// Writes the daemon's archive to `fd`. False: why has been shown.
bool Receive(Session& session, const std::vector<std::string>& images,
             const std::string& compression, int fd) {
  Query query = {{"image", wire::StrJoin(images, ",")}};
  if (!compression.empty()) query.emplace_back("compression", compression);
  int error = 0;
  const auto reply = session.Ask({.path = "/images/archive",
                                  .query = query,
                                  .sink =
                                      [&](std::string_view bytes) {
                                        if (WriteAll(fd, bytes)) return true;
                                        error = errno;
                                        return false;
                                      },
                                  .patience = std::nullopt});
  if (error != 0) session.terminal().Error(StrCat("cannot write: ", strerrordesc_np(error)));
  return reply.has_value() && error == 0;
}

int Save(Session& session, SaveFlags flags) {
  std::vector<std::string>& images = flags.arguments;
  if (flags.output.empty() && images.size() == 2) {
    flags.output = images.back();
    images.pop_back();
  }
  if (flags.output.empty() || flags.output == "-") {
    if (isatty(STDOUT_FILENO)) return session.Usage("no file, and stdout is a terminal");
    return Receive(session, images, flags.compression, STDOUT_FILENO) ? kSuccess : kFailure;
  }
  const auto fail = [&](int error) {
    session.terminal().Error(StrCat("cannot write '", flags.output, "': ", strerrordesc_np(error)));
    return kFailure;
  };
  // A device or a pipe is written as it is; a file appears when it is whole.
  struct stat there {};
  if (stat(flags.output.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
    const int fd = open(flags.output.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fail(errno);
    const bool received = Receive(session, images, flags.compression, fd);
    return close(fd) == 0 && received ? kSuccess : kFailure;
  }
  std::string temporary = flags.output + ".XXXXXX";
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return fail(errno);
  bool written = Receive(session, images, flags.compression, fd);
  int error = 0;
  if (close(fd) != 0) error = errno;
  if (written && error == 0 && rename(temporary.c_str(), flags.output.c_str()) != 0) error = errno;
  written = written && error == 0;
  if (!written) unlink(temporary.c_str());
  return error != 0 ? fail(error) : written ? kSuccess : kFailure;
}

void AddSave(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("save", "write images to an archive");
  command->footer(
      "Example:\n  minibox save -o both.tar site site:v2\n  minibox save site site.tar\n"
      "  minibox save site | ssh host minibox load\n\nWith two arguments and no -o the second is "
      "the file.");
  auto flags = std::make_shared<SaveFlags>();
  command->add_option("-o,--output", flags->output, "the file (default: stdout)");
  command->add_option("--compression", flags->compression, "none (default), gzip or zstd")
      ->check(CLI::IsMember({"none", "gzip", "zstd"}));
  command->add_option("image", flags->arguments, "names or ids")->required();
  command->callback(
      [&session, flags] { session.action = [&session, flags] { return Save(session, *flags); }; });
}

int Import(Session& session, const std::string& file, const std::string& name,
           const std::string& message) {
  const bool from_stdin = file == "-";
  const int fd = from_stdin ? STDIN_FILENO : open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    session.terminal().Error(StrCat("cannot open '", file, "'"));
    return kFailure;
  }
  Query query = {{"image", name}};
  if (!message.empty()) query.emplace_back("message", message);
  const int status =
      Upload(session, {.path = "/images/import", .operation = "import", .query = query}, fd);
  if (!from_stdin) close(fd);
  return status;
}

void AddImport(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("import", "make an image from a root file system");
  command->footer("Example:\n  minibox import rootfs.tar.gz debian:mine");
  struct Flags {
    std::string file, name, message;
  };
  auto flags = std::make_shared<Flags>();
  command->add_option("file", flags->file, "tar, plain or compressed; - for stdin")->required();
  command->add_option("name", flags->name, "name of the image")->required();
  command->add_option("-m,--message", flags->message, "comment in its history");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      return Import(session, flags->file, flags->name, flags->message);
    };
  });
}

}  // namespace

void AddImageArchiveCommands(CLI::App& app, Session& session) {
  AddSave(app, session);
  AddLoad(app, session);
  AddImport(app, session);
}

}  // namespace minibox::cli
