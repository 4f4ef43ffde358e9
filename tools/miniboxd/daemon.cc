// SPDX-License-Identifier: Apache-2.0
#include "daemon.h"

#include <chrono>
#include <cstdio>
#include <utility>

#include "auth.h"
#include "handlers.h"

namespace miniboxd {
namespace {

using minibox::StatusOr;
using std::chrono::seconds;

constexpr seconds kRequestGrace{10};
// For builds to stop their steps and say their last line.
constexpr seconds kCancelGrace{5};

StatusOr<std::unique_ptr<Engine>> OpenEngine(Config config, minibox::Store store, bool supervise) {
  auto network = minibox::Network::Open({.state_dir = config.data_root + "/networks",
                                         .event_dir = config.data_root,
                                         .default_subnet = config.subnet,
                                         .subnet_pool = config.subnet_pool,
                                         .ipv6 = config.ipv6});
  if (!network.ok()) return network.status();
  minibox::RuntimeOptions runtime_options;
  runtime_options.run_dir = config.run_dir;
  runtime_options.supervise = supervise;
  runtime_options.subid_base = config.subid_base;
  runtime_options.subid_count = config.subid_count;
  runtime_options.bind_prefixes.assign(config.bind_prefixes.begin(), config.bind_prefixes.end());
  auto runtime = minibox::Runtime::Open(store, *network, runtime_options);
  if (!runtime.ok()) return runtime.status();
  auto registry = minibox::Registry::Open(store, config.registry);
  if (!registry.ok()) return registry.status();
  auto builder = minibox::ImageBuilder::Create(
      store, *runtime, {.max_parallel = config.build_workers, .registry = *registry});
  if (!builder.ok()) return builder.status();
  HostPaths paths(config.build_prefixes, config.data_root, config.run_dir);
  return std::unique_ptr<Engine>(new Engine{
      .config = std::move(config),
      .store = std::move(store),
      .network = std::move(*network),
      .registry = std::move(*registry),
      .runtime = std::move(*runtime),
      .builder = std::move(*builder),
      .paths = std::move(paths),
  });
}

// A failure is a warning: a host without bridges still runs containers without network.
void PrepareBridge(Engine& engine) {
  if (!engine.config.bridge_on_startup) return;
  const auto bridge = engine.network.EnsureDefault();
  if (!bridge.ok()) {
    fprintf(stderr, "warning: [network] %s\n", bridge.status().message().c_str());
  } else if (engine.config.log_level <= minibox::LogSeverity::kInfo) {
    const std::string& subnet = bridge->subnet;
    fprintf(stderr, "[network] Bridge %s ready with IP %s%s\n", bridge->bridge.c_str(),
            bridge->gateway.c_str(), subnet.substr(subnet.find('/')).c_str());
  }
}

void WarnOfNetworks(const Engine& engine) {
  const auto warnings = engine.network.Warnings();
  if (!warnings.ok()) return;
  for (const std::string& warning : *warnings) {
    fprintf(stderr, "warning: [network] %s\n", warning.c_str());
  }
}

}  // namespace

Daemon::Daemon(std::unique_ptr<Engine> engine)
    : engine_(std::move(engine)), router_(AllRoutes(*engine_)) {}

StatusOr<std::unique_ptr<Daemon>> Daemon::Start(Config config, minibox::Store store,
                                                bool supervise) {
  auto engine = OpenEngine(std::move(config), std::move(store), supervise);
  if (!engine.ok()) return engine.status();
  PrepareBridge(**engine);
  if (supervise) WarnOfNetworks(**engine);
  std::unique_ptr<Daemon> daemon(new Daemon(*std::move(engine)));
  const Config& settings = daemon->config();
  auto server = Server::Start(
      {.host = settings.host, .port = settings.port, .max_connections = settings.max_connections},
      [self = daemon.get()](Exchange& exchange) { self->Answer(exchange); });
  if (!server.ok()) return server.status();
  daemon->server_ = *std::move(server);
  if (IsLoopbackHost(settings.host)) {
    daemon->engine_->network.SetApiListener(settings.host, static_cast<uint16_t>(daemon->port()));
  }
  return daemon;
}

void Daemon::Answer(Exchange& exchange) {
  const RequestHead& head = exchange.head();
  if (const auto error = CheckOrigin(head, engine_->config.allowed_hosts)) {
    return exchange.SendError(*error);
  }
  if (const auto error = CheckToken(head, engine_->config.api_token)) {
    return exchange.SendError(*error);
  }
  const Router::Match match = router_.Find(head.method, head.path(), head.query());
  if (match.route == nullptr) return exchange.SendError(match.error);
  const auto begin = std::chrono::steady_clock::now();
  match.route->handler(exchange);
  engine_->requests.Add(head.method, match.route->path, exchange.status(),
                        std::chrono::steady_clock::now() - begin);
}

bool Daemon::Stop() {
  server_->StopAccepting();
  engine_->long_polls.request_stop();
  if (server_->WaitUntilIdle(kRequestGrace)) return true;
  engine_->operations.request_stop();
  return server_->WaitUntilIdle(kCancelGrace);
}

void LogToStderr(minibox::LogSeverity threshold) {
  minibox::SetLogSink([threshold](const minibox::LogRecord& record) {
    if (record.severity < threshold) return;
    static constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
    fprintf(stderr, "%s: [%.*s] %.*s\n", kNames[static_cast<int>(record.severity)],
            static_cast<int>(record.module.size()), record.module.data(),
            static_cast<int>(record.message.size()), record.message.data());
  });
}

}  // namespace miniboxd
