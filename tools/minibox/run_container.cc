// SPDX-License-Identifier: Apache-2.0
#include "run_container.h"

#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <string_view>

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

int Detached(Session& session, const std::string& path, const RunFlags& flags,
             const wire::RunRequest& request, std::string* id) {
  const auto cidfile = CidFile::Create(session, flags.cidfile());
  if (!cidfile) return kEngineFailure;
  const auto reply = session.Ask(
      {.method = "POST", .path = path, .body = wire::ToJson(request), .patience = std::nullopt});
  if (!reply) return session.start_failure();
  const std::string_view text = wire::TrimSpace(reply->body);
  if (!cidfile->Write(text)) session.terminal().Warning("cannot write --cidfile");
  if (id != nullptr) *id = text;
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

int Foreground(Session& session, const RunFlags& flags, const wire::RunRequest& request) {
  const auto cidfile = CidFile::Create(session, flags.cidfile());
  if (!cidfile) return kEngineFailure;
  StreamOptions options;
  options.input = request.spec.open_stdin;
  options.terminal = request.spec.tty;
  if (!ParseDetachKeys(flags.detach_keys(), &options.detach_keys)) {
    return session.Usage(wire::StrCat("--detach-keys: '", flags.detach_keys(), "' are no keys"));
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
  if (!cidfile->Write(id)) session.terminal().Warning("cannot write --cidfile");
  const StreamEnd end = CarryStream(session, *stream, options);
  if (end.detached) return kSuccess;
  if (!end.code) return kEngineFailure;
  constexpr int kKilled = 137;
  if (*end.code == kKilled && !request.spec.remove_on_exit) ExplainKill(session, id);
  session.terminal().Info("Container execution finished.");
  return *end.code;
}

}  // namespace

bool ProvideImage(Session& session, const RunFlags& flags, const wire::RunRequest& request) {
  return ProvideImage(session, flags.pull(), request.spec.image, flags.platform());
}

int CreateContainer(Session& session, const RunFlags& flags, const wire::RunRequest& request) {
  return Detached(session, "/containers/create", flags, request, nullptr);
}

int RunContainer(Session& session, const RunFlags& flags, const wire::RunRequest& request,
                 std::string* id) {
  return request.detached ? Detached(session, "/containers/run", flags, request, id)
                          : Foreground(session, flags, request);
}

}  // namespace minibox::cli
