// SPDX-License-Identifier: Apache-2.0
// The daemon's life (spec §1.1, §1.2): configuration, store, lock, recovery, listener, shutdown.
#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string_view>
#include <thread>

#include "daemon.h"
#include "daemon_lock.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::Status;

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

// One line, so that whoever starts the daemon can show it.
int Fail(const Status& status) {
  fprintf(stderr, "miniboxd: %s\n", minibox::wire::EscapeControl(status.message()).c_str());
  return 1;
}

void Announce(Daemon& daemon, std::string_view type) {
  const Status announced =
      daemon.runtime().Announce(type, "", {{"version", std::string(minibox::LibraryVersion())}});
  if (!announced.ok()) fprintf(stderr, "warning: [events] %s\n", announced.message().c_str());
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

  LogToStderr(config->log_level);
  auto store = minibox::Store::Open({.root = config->data_root});
  if (!store.ok()) return Fail(store.status());
  const auto lock = DaemonLock::Take(config->data_root);
  if (!lock.ok()) return Fail(lock.status());
  auto daemon = Daemon::Start(*config, std::move(*store), /*supervise=*/true);
  if (!daemon.ok()) return Fail(daemon.status());
  printf("Daemon listening on %s:%d\n", config->host.c_str(), (*daemon)->port());
  fflush(stdout);
  Announce(**daemon, "daemon.start");

  int signal = 0;
  sigwait(&signals, &signal);
  std::thread([signals] {
    int second = 0;
    sigwait(&signals, &second);
    _exit(0);
  }).detach();
  printf("\n[daemon] shutdown requested\n");
  fflush(stdout);
  Announce(**daemon, "daemon.stop");
  if (!(*daemon)->Stop()) _exit(0);
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
