// SPDX-License-Identifier: Apache-2.0
// The daemon's life (spec §1.1, §1.2): configuration, store, lock, recovery, listener, shutdown.
#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string_view>
#include <thread>

#include "auth.h"
#include "daemon_lock.h"
#include "engine.h"
#include "handlers.h"
#include "server.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::Status;
using minibox::StatusOr;
using std::chrono::seconds;

constexpr char kUsage[] =
    "usage: miniboxd [--version | --help]\n"
    "\n"
    "Runs the MiniBox daemon: containers and images over HTTP. Configuration is in the\n"
    "environment:\n"
    "\n"
    "  MINIBOX_DATA_ROOT        where images, containers and volumes live (/var/lib/minibox)\n"
    "  MINIBOX_HTTP_ADDR        host:port to listen on (127.0.0.1:8080); port 0: a free one\n"
    "  MINIBOX_API_TOKEN        clients must present this token\n"
    "  MINIBOX_MAX_CONNECTIONS  connections served at once (512)\n"
    "  MINIBOX_BUILD_PREFIXES   where build contexts and archives may lie\n"
    "  MINIBOX_BIND_PREFIXES    where host paths of volumes may lie (anywhere)\n"
    "  MINIBOX_AUTH_FILE        credentials of registries (~/.docker/config.json)\n"
    "  MINIBOX_REGISTRY_MIRRORS registry=URL, asked before the registry; comma-separated\n"
    "  MINIBOX_REGISTRY_INSECURE  registries without TLS or with any certificate\n"
    "  MINIBOX_LOG              debug, info, warning or error, on stderr (info)\n"
    "\n"
    "Example:\n"
    "  MINIBOX_HTTP_ADDR=127.0.0.1:0 MINIBOX_DATA_ROOT=/srv/minibox miniboxd\n";

constexpr seconds kRequestGrace{10};
// For builds to stop their steps and say their last line.
constexpr seconds kCancelGrace{5};

// One line, so that whoever starts the daemon can show it.
int Fail(const Status& status) {
  fprintf(stderr, "miniboxd: %s\n", minibox::wire::EscapeControl(status.message()).c_str());
  return 1;
}

void LogTo(FILE* file, minibox::LogSeverity threshold) {
  minibox::SetLogSink([file, threshold](const minibox::LogRecord& record) {
    if (record.severity < threshold) return;
    static constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
    fprintf(file, "%s: [%.*s] %.*s\n", kNames[static_cast<int>(record.severity)],
            static_cast<int>(record.module.size()), record.module.data(),
            static_cast<int>(record.message.size()), record.message.data());
  });
}

StatusOr<std::unique_ptr<Engine>> OpenEngine(Config config, minibox::Store store) {
  auto network = minibox::Network::Open({.state_dir = config.data_root + "/networks",
                                         .event_dir = config.data_root,
                                         .default_subnet = config.subnet,
                                         .subnet_pool = config.subnet_pool,
                                         .ipv6 = config.ipv6});
  if (!network.ok()) return network.status();
  minibox::RuntimeOptions runtime_options;
  runtime_options.run_dir = config.run_dir;
  runtime_options.supervise = true;
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
  const auto warnings = engine.network.Warnings();
  if (!warnings.ok()) return;
  for (const std::string& warning : *warnings) {
    fprintf(stderr, "warning: [network] %s\n", warning.c_str());
  }
}

void Announce(Engine& engine, std::string_view type) {
  const Status announced =
      engine.runtime.Announce(type, "", {{"version", std::string(minibox::LibraryVersion())}});
  if (!announced.ok()) fprintf(stderr, "warning: [events] %s\n", announced.message().c_str());
}

void Answer(Engine& engine, const Router& router, Exchange& exchange) {
  const RequestHead& head = exchange.head();
  if (const auto error = CheckOrigin(head, engine.config.allowed_hosts)) {
    return exchange.SendError(*error);
  }
  if (const auto error = CheckToken(head, engine.config.api_token)) {
    return exchange.SendError(*error);
  }
  const Router::Match match = router.Find(head.method, head.path(), head.query());
  if (match.route == nullptr) return exchange.SendError(match.error);
  const auto begin = std::chrono::steady_clock::now();
  match.route->handler(exchange);
  engine.requests.Add(head.method, match.route->path, exchange.status(),
                      std::chrono::steady_clock::now() - begin);
}

// Exits at once if requests remain: a foreground run ends with its connection, but its container
// must go on, so it may neither be cancelled nor see its client's connection closed before.
void ShutDown(Engine& engine, Server& server) {
  printf("\n[daemon] shutdown requested\n");
  fflush(stdout);
  Announce(engine, "daemon.stop");
  server.StopAccepting();
  engine.long_polls.request_stop();
  if (server.WaitUntilIdle(kRequestGrace)) return;
  engine.operations.request_stop();
  if (server.WaitUntilIdle(kCancelGrace)) return;
  _exit(0);
}

int Run() {
  auto config = ReadConfig(ProcessEnvironment, AvailableFeatures());
  if (!config.ok()) return Fail(config.status());

  // Before any thread exists, so that all of them leave the signals to this one.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  LogTo(stderr, config->log_level);
  auto store = minibox::Store::Open({.root = config->data_root});
  if (!store.ok()) return Fail(store.status());
  const auto lock = DaemonLock::Take(config->data_root);
  if (!lock.ok()) return Fail(lock.status());
  auto engine = OpenEngine(*config, std::move(*store));
  if (!engine.ok()) return Fail(engine.status());
  PrepareBridge(**engine);

  const Router router(AllRoutes(**engine));
  auto server = Server::Start(
      {.host = config->host, .port = config->port, .max_connections = config->max_connections},
      [&](Exchange& exchange) { Answer(**engine, router, exchange); });
  if (!server.ok()) return Fail(server.status());
  if (IsLoopbackHost(config->host)) {
    (*engine)->network.SetApiListener(config->host, static_cast<uint16_t>((*server)->port()));
  }
  printf("Daemon listening on %s:%d\n", config->host.c_str(), (*server)->port());
  fflush(stdout);
  Announce(**engine, "daemon.start");

  int signal = 0;
  sigwait(&signals, &signal);
  std::thread([signals] {
    int second = 0;
    sigwait(&signals, &second);
    _exit(0);
  }).detach();
  ShutDown(**engine, **server);
  return 0;
}

}  // namespace
}  // namespace miniboxd

int main(int argc, char** argv) {
  const std::string_view argument = argc == 2 ? argv[1] : "";
  if (argument == "--version" || argument == "version") {
    printf("miniboxd %s\n", std::string(minibox::LibraryVersion()).c_str());
    return 0;
  }
  if (argument == "--help" || argument == "-h" || argument == "help") {
    fputs(miniboxd::kUsage, stdout);
    return 0;
  }
  if (argc != 1) {
    fputs(miniboxd::kUsage, stderr);
    return 2;
  }
  return miniboxd::Run();
}
