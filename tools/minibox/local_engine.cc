// SPDX-License-Identifier: Apache-2.0
#include "local_engine.h"

#include <sys/random.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "../miniboxd/daemon.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

constexpr size_t kTokenBytes = 32;
// Each has a thread from the start. A compose project has the most at once.
constexpr int kMaxConnections = 32;

StatusOr<std::string> RandomToken() {
  unsigned char bytes[kTokenBytes];
  if (getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) {
    return Status(StatusCode::kUnavailable, "no random bytes");
  }
  constexpr char kDigits[] = "0123456789abcdef";
  std::string token;
  for (const unsigned char byte : bytes) {
    token += kDigits[byte >> 4];
    token += kDigits[byte & 15];
  }
  return token;
}

// Threads that are made while it lives take no signals: those are the command's.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// The environment of a daemon whose listener nobody sees.
miniboxd::Environment EnvironmentFor(const LocalEngine::Options& options) {
  return [options](std::string_view name) -> std::optional<std::string> {
    if (name == "MINIBOX_DATA_ROOT" && !options.data_root.empty()) return options.data_root;
    if (name == "MINIBOX_HTTP_ADDR") return "127.0.0.1:0";
    if (name == "MINIBOX_SOCKET" || name == "MINIBOX_API_TOKEN" ||
        name.starts_with("MINIBOX_TLS_")) {
      return std::nullopt;
    }
    return miniboxd::ProcessEnvironment(name);
  };
}

}  // namespace

struct LocalEngine::Impl {
  std::string url{}, token{};
  std::unique_ptr<miniboxd::Daemon> daemon{};
};

LocalEngine::LocalEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalEngine::~LocalEngine() = default;
const std::string& LocalEngine::url() const { return impl_->url; }
const std::string& LocalEngine::token() const { return impl_->token; }

StatusOr<std::unique_ptr<LocalEngine>> LocalEngine::Open(const Options& options) {
  if (geteuid() != 0) {
    return Status(StatusCode::kPermissionDenied,
                  "--local: needs root; without it, ask a daemon (--host)");
  }
  auto config = miniboxd::ReadConfig(EnvironmentFor(options), miniboxd::AvailableFeatures());
  if (!config.ok()) return config.status();
  auto token = RandomToken();
  if (!token.ok()) return token.status();
  config->api_token = *token;
  config->bridge_on_startup = false;  // it is made when a container needs it
  config->max_connections = kMaxConnections;
  miniboxd::LogToStderr(options.debug ? LogSeverity::kDebug : LogSeverity::kError);

  const SignalsBlocked signals;
  auto store = Store::Open({.root = config->data_root});
  if (!store.ok()) return store.status();
  auto daemon = miniboxd::Daemon::Start(*std::move(config), *std::move(store),
                                        /*supervise=*/false);
  if (!daemon.ok()) return daemon.status();
  auto impl = std::make_unique<Impl>();
  impl->url = wire::StrCat("http://127.0.0.1:", (*daemon)->port());
  impl->token = *std::move(token);
  impl->daemon = *std::move(daemon);
  return std::unique_ptr<LocalEngine>(new LocalEngine(std::move(impl)));
}

void LocalEngine::Close(int status) {
  if (impl_->daemon->Stop()) return;
  fflush(nullptr);
  _exit(status);
}

}  // namespace minibox::cli
