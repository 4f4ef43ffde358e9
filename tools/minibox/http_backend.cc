// SPDX-License-Identifier: Apache-2.0
#include "http_backend.h"

#include "client.h"
#include "minibox/registry.h"
#include "transfer.h"
#include "wire/build_request.h"
#include "wire/container.h"
#include "wire/image.h"
#include "wire/json.h"
#include "wire/messages.h"
#include "wire/network.h"
#include "wire/run_request.h"
#include "wire/text.h"
#include "wire/transfer.h"

namespace minibox::cli {
namespace {

using wire::StrCat;

constexpr std::string_view kJsonLines = "application/x-ndjson";

StatusCode CodeOf(int http_status) {
  switch (http_status) {
    case 400:
    case 413:
      return StatusCode::kInvalidArgument;
    case 401:
      return StatusCode::kUnauthenticated;
    case 403:
      return StatusCode::kPermissionDenied;
    case 404:
      return StatusCode::kNotFound;
    case 408:
      return StatusCode::kDeadlineExceeded;
    case 409:
      return StatusCode::kFailedPrecondition;
    case 502:
    case 503:
      return StatusCode::kUnavailable;
    case 507:
      return StatusCode::kResourceExhausted;
    default:
      return StatusCode::kInternal;
  }
}

Status ErrorOf(const Reply& reply) {
  const auto error = wire::ParseError(reply.body);
  if (!error) {
    return Status(CodeOf(reply.status), reply.body.empty()
                                            ? StrCat("HTTP status ", reply.status)
                                            : std::string(wire::TrimSpace(reply.body)));
  }
  return Status(CodeOf(reply.status), error->message,
                {.reason = error->code, .field = error->field});
}

// Hands each whole line of a stream on.
class LineReader {
 public:
  explicit LineReader(std::function<bool(std::string_view)> line) : line_(std::move(line)) {}
  bool Take(std::string_view bytes) {
    pending_ += bytes;
    size_t begin = 0, end;
    bool more = true;
    while (more && (end = pending_.find('\n', begin)) != std::string::npos) {
      more = line_(std::string_view(pending_).substr(begin, end - begin));
      begin = end + 1;
    }
    pending_.erase(0, begin);
    return more;
  }

 private:
  std::function<bool(std::string_view)> line_;
  std::string pending_;
};

class HttpBackend final : public ComposeBackend {
 public:
  explicit HttpBackend(Client& client) : client_(client) {}

  StatusOr<std::vector<ContainerInfo>> ListContainers() override {
    const auto body = Fetch({.path = "/containers"});
    return body.ok() ? wire::ParseContainers(*body)
                     : StatusOr<std::vector<ContainerInfo>>(body.status());
  }

  StatusOr<ContainerInfo> CreateContainer(const ContainerSpec& spec) override {
    const auto body = Fetch({.method = "POST",
                             .path = "/containers/create",
                             .body = wire::ToJson(wire::RunRequest{.spec = spec})});
    if (!body.ok()) return body.status();
    const auto result = json::Parse(*body, {.max_bytes = body->size()});
    if (!result.ok()) return result.status();
    const auto id = result->GetString("id");
    return id.ok() ? Inspect(*id) : StatusOr<ContainerInfo>(id.status());
  }

  StatusOr<ContainerInfo> StartContainer(const ContainerId& id, std::stop_token stop) override {
    const auto started = Post("/containers/start", {{"id", id.ToString()}}, std::move(stop));
    return started.ok() ? Inspect(id.ToString()) : StatusOr<ContainerInfo>(started);
  }

  Status StopContainer(const ContainerId& id, const StopOptions& options,
                       std::stop_token stop) override {
    Query query = {{"id", id.ToString()}};
    if (options.grace) {
      const auto seconds = std::chrono::ceil<std::chrono::seconds>(*options.grace);
      query.emplace_back("t", std::to_string(seconds.count()));
    }
    if (options.signal != 0) query.emplace_back("signal", std::to_string(options.signal));
    const Status stopped = Post("/containers/stop", std::move(query), std::move(stop));
    // As the library has it: what does not run is as it should be.
    return stopped.reason() == "container_not_running" ? Status() : stopped;
  }

  Status KillContainer(const ContainerId& id, int signal) override {
    return Post("/containers/kill", {{"id", id.ToString()}, {"signal", std::to_string(signal)}});
  }

  Status RemoveContainer(const ContainerId& id, bool force) override {
    return Post("/containers/remove", {{"id", id.ToString()}, {"force", force ? "1" : "0"}});
  }

  StatusOr<ContainerInfo> WaitFor(const ContainerId& id, const WaitOptions& options,
                                  std::stop_token stop) override {
    Query query = {{"id", id.ToString()}};
    query.emplace_back("condition", options.condition == WaitCondition::kExited    ? "exited"
                                    : options.condition == WaitCondition::kRemoved ? "removed"
                                                                                   : "healthy");
    if (options.timeout) query.emplace_back("timeout", StrCat(options.timeout->count(), "ms"));
    const Status reached = Post("/containers/wait", std::move(query), std::move(stop));
    return reached.ok() ? Inspect(id.ToString()) : StatusOr<ContainerInfo>(reached);
  }

  StatusOr<std::map<std::string, std::string>> AnonymousVolumes(const ContainerId& id) override {
    const auto body = Fetch({.path = "/containers/inspect", .query = {{"id", id.ToString()}}});
    if (!body.ok()) return body.status();
    const auto details = json::Parse(*body, {.max_bytes = body->size()});
    if (!details.ok()) return details.status();
    const auto volumes = ListVolumes();
    if (!volumes.ok()) return volumes.status();
    std::map<std::string, std::string> found;
    for (const json::Value& mount : details->Get("mounts").Elements()) {
      const auto name = mount.GetString("name", ""), target = mount.GetString("target", "");
      if (!name.ok() || !target.ok()) continue;
      for (const VolumeInfo& volume : *volumes) {
        if (volume.anonymous && volume.name == *name) found[*target] = *name;
      }
    }
    return found;
  }

  Status ReadLogs(const ContainerId& id, const LogOptions& options, const OutputFn& sink,
                  std::stop_token stop) override {
    Call call{.path = "/containers/logs", .query = {{"id", id.ToString()}}};
    const auto flag = [&](const char* name, bool value) {
      if (value) call.query.emplace_back(name, "1");
    };
    flag("follow", options.follow);
    flag("until_exit", options.until_exit);
    flag("timestamps", options.timestamps);
    if (options.tail_lines) call.query.emplace_back("tail", std::to_string(*options.tail_lines));
    if (options.since) call.query.emplace_back("since", wire::FormatTime(*options.since));
    if (options.until) call.query.emplace_back("until", wire::FormatTime(*options.until));
    call.stop = std::move(stop);
    Status refused;
    call.sink = [&](std::string_view bytes) {
      refused = sink({Stream::kStdout, bytes});
      return refused.ok();
    };
    const Status read = Fetch(std::move(call)).status();
    return refused.ok() ? read : refused;
  }

  StatusOr<ImageInfo> GetImage(std::string_view name) override {
    const auto body = Fetch({.path = "/images/inspect", .query = {{"image", std::string(name)}}});
    return body.ok() ? wire::ParseImage(*body) : StatusOr<ImageInfo>(body.status());
  }

  StatusOr<ImageInfo> BuildImage(const BuildOptions& options, const BuildEventFn& events,
                                 std::stop_token stop) override {
    Call call{.method = "POST", .path = "/containers/build", .body = wire::ToJson(options)};
    call.stop = std::move(stop);
    const Status built =
        Watch(std::move(call), "build", [&](std::string_view line) { return events({line}); });
    return built.ok() ? GetImage(options.image) : StatusOr<ImageInfo>(built);
  }

  StatusOr<ImageInfo> PullImage(const ImageRef& image, const PullOptions& options,
                                std::stop_token stop) override {
    Call call{.method = "POST", .path = "/images/pull", .query = {{"image", image.ToString()}}};
    if (!options.platform.architecture.empty()) {
      call.query.emplace_back("platform", wire::ToString(options.platform));
    }
    const auto credentials = FindCredentials(AuthFile(), image.registry());
    if (!credentials.ok()) return credentials.status();
    if (!credentials->empty()) {
      call.headers.emplace_back(wire::kRegistryAuthHeader, wire::EncodeRegistryAuth(*credentials));
    }
    call.stop = std::move(stop);
    const Status pulled = Watch(std::move(call), "pull", [&](std::string_view line) {
      if (options.log) options.log(line);
      return Status();
    });
    return pulled.ok() ? GetImage(image.ToString()) : StatusOr<ImageInfo>(pulled);
  }

  StatusOr<std::vector<NetworkInfo>> ListNetworks() override {
    const auto body = Fetch({.path = "/networks"});
    return body.ok() ? wire::ParseNetworks(*body)
                     : StatusOr<std::vector<NetworkInfo>>(body.status());
  }
  Status CreateNetwork(const NetworkSpec& spec) override {
    return Fetch({.method = "POST", .path = "/networks/create", .body = wire::ToJson(spec)})
        .status();
  }
  Status RemoveNetwork(std::string_view name) override {
    return Post("/networks/remove", {{"name", std::string(name)}});
  }
  StatusOr<std::vector<VolumeInfo>> ListVolumes() override {
    const auto body = Fetch({.path = "/volumes"});
    return body.ok() ? wire::ParseVolumes(*body) : StatusOr<std::vector<VolumeInfo>>(body.status());
  }
  Status CreateVolume(std::string_view name, const Labels& labels) override {
    json::Writer writer;
    writer.BeginObject();
    writer.Key("name").String(name);
    writer.Key("labels").BeginObject();
    for (const auto& [key, value] : labels) writer.Key(key).String(value);
    writer.EndObject().EndObject();
    return Fetch({.method = "POST", .path = "/volumes/create", .body = writer.Take()}).status();
  }
  Status RemoveVolume(std::string_view name) override {
    return Post("/volumes/remove", {{"name", std::string(name)}});
  }

 private:
  // The body of a 200.
  StatusOr<std::string> Fetch(Call call) const {
    call.headers.emplace_back("Accept", "application/json");
    call.patience = std::nullopt;
    auto reply = client_.Send(call);
    if (!reply.ok()) return reply.status();
    if (!reply->ok()) return ErrorOf(*reply);
    return std::move(reply->body);
  }
  Status Post(std::string path, Query query, std::stop_token stop = {}) const {
    Call call{.method = "POST", .path = std::move(path), .query = std::move(query)};
    call.stop = std::move(stop);
    return Fetch(std::move(call)).status();
  }
  StatusOr<ContainerInfo> Inspect(const std::string& id) const {
    const auto body = Fetch({.path = "/containers/inspect", .query = {{"id", id}}});
    return body.ok() ? wire::ParseContainer(*body) : StatusOr<ContainerInfo>(body.status());
  }
  // A long operation that tells what it does.
  Status Watch(Call call, std::string_view operation,
               const std::function<Status(std::string_view)>& log) const {
    Status outcome(StatusCode::kUnavailable,
                   StrCat("the daemon did not report how the ", operation, " ended"));
    LineReader reader([&](std::string_view text) {
      const auto line = wire::ParseStreamLine(text);
      if (!line.ok()) {
        outcome = line.status();
        return false;
      }
      if (line->type == wire::StreamLine::Type::kLog) return log(line->text).ok();
      if (line->type == wire::StreamLine::Type::kResult) {
        outcome = line->ok ? Status() : Status(StatusCode::kInternal, line->text);
      }
      return true;
    });
    call.sink = [&](std::string_view bytes) { return reader.Take(bytes); };
    call.headers.emplace_back("Accept", kJsonLines);
    const Status sent = Fetch(std::move(call)).status();
    return sent.ok() ? outcome : sent;
  }

  Client& client_;
};

}  // namespace

StatusOr<std::shared_ptr<ComposeBackend>> HttpComposeBackend(Session& session) {
  const auto client = session.Connect();
  if (!client.ok()) return client.status();
  return std::shared_ptr<ComposeBackend>(std::make_shared<HttpBackend>(**client));
}

}  // namespace minibox::cli
