// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "commands.h"
#include "run_flags.h"
#include "stream.h"
#include "transfer.h"
#include "wire/container.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

// The id goes to a file that is not there yet, opened before anything is started.
class CidFile {
 public:
  // nullopt and a message if that is not possible.
  static std::optional<CidFile> Create(Session& session, const std::string& path) {
    CidFile file;
    if (path.empty()) return file;
    file.fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.fd_ >= 0) return file;
    session.terminal().Error(wire::StrCat("--cidfile: cannot create '", path, "'"));
    return std::nullopt;
  }
  CidFile(CidFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  CidFile& operator=(CidFile&&) = delete;
  ~CidFile() {
    if (fd_ >= 0) close(fd_);
  }
  bool Write(std::string_view id) const {
    return fd_ < 0 || write(fd_, id.data(), id.size()) == static_cast<ssize_t>(id.size());
  }

 private:
  CidFile() = default;
  int fd_ = -1;
};

int Detached(Session& session, const std::string& path, const wire::RunRequest& request,
             const CidFile& cidfile) {
  const auto reply = session.Ask(
      {.method = "POST", .path = path, .body = wire::ToJson(request), .patience = std::nullopt});
  if (!reply) return session.start_failure();
  if (!cidfile.Write(wire::TrimSpace(reply->body))) {
    session.terminal().Warning("cannot write --cidfile");
  }
  return session.Print(reply->body);
}

// What the stream does not tell of a container that was killed.
void ExplainKill(Session& session, const std::string& id) {
  const auto body = session.Fetch("/containers");
  if (!body) return;
  const auto containers = wire::ParseContainers(*body);
  if (!containers.ok()) return;
  for (const ContainerInfo& info : *containers) {
    if (info.id.ToString() != id || !info.exit) continue;
    const std::string_view reason = wire::ExitReason(*info.exit);
    if (reason == "oom") session.terminal().Warning("The container ran out of memory.");
    if (reason == "timeout") {
      session.terminal().Warning("The container was killed at its time limit.");
    }
  }
}

int Foreground(Session& session, const wire::RunRequest& request, const CidFile& cidfile,
               const std::string& detach_keys) {
  StreamOptions options;
  options.input = request.spec.open_stdin;
  options.terminal = request.spec.tty;
  if (!ParseDetachKeys(detach_keys, &options.detach_keys)) {
    return session.Usage(wire::StrCat("--detach-keys: '", detach_keys, "' are no keys"));
  }
  session.terminal().Info(wire::StrCat("Launching container for image ", request.spec.image));
  Reply reply;
  const auto stream = session.Open({.method = "POST",
                                    .path = "/containers/run",
                                    .query = SizeQuery(options.terminal),
                                    .body = wire::ToJson(request)},
                                   &reply);
  if (!stream) return session.start_failure();
  const std::string id = reply.Header("X-Minibox-Container-Id").value_or("");
  if (!cidfile.Write(id)) session.terminal().Warning("cannot write --cidfile");
  const StreamEnd end = CarryStream(session, *stream, options);
  if (end.detached) return kSuccess;
  if (!end.code) return kEngineFailure;
  constexpr int kKilled = 137;
  if (*end.code == kKilled && !request.spec.remove_on_exit) ExplainKill(session, id);
  session.terminal().Info("Container execution finished.");
  return *end.code;
}

}  // namespace

void AddRunCommands(CLI::App& app, Session& session) {
  for (const bool run : {true, false}) {
    CLI::App* command =
        app.add_subcommand(run ? "run" : "create", run ? "create a container and run it"
                                                       : "create a container without running it");
    command->footer(
        run ? "Options end at the image; what follows is the command.\n\n"
              "Exits with the container's status; 125: the engine failed, 126: the\n"
              "command cannot be executed, 127: it was not found.\n\n"
              "Example:\n  minibox run -d --name web -p 8080:80 -v data:/srv site httpd -f"
            : "Example:\n  minibox create --name web -p 8080:80 site");
    auto flags = std::make_shared<RunFlags>();
    flags->AddTo(*command, run);
    command->callback([&session, flags, command, run] {
      session.action = [&session, flags, run, arguments = command->remaining()] {
        const auto request = flags->Request(arguments);
        if (!request.ok()) return session.Usage(request.status().message());
        if (!ProvideImage(session, flags->pull(), request->spec.image, flags->platform())) {
          return kEngineFailure;
        }
        const auto cidfile = CidFile::Create(session, flags->cidfile());
        if (!cidfile) return kEngineFailure;
        if (!run) return Detached(session, "/containers/create", *request, *cidfile);
        return request->detached ? Detached(session, "/containers/run", *request, *cidfile)
                                 : Foreground(session, *request, *cidfile, flags->detach_keys());
      };
    });
  }
}

}  // namespace minibox::cli
