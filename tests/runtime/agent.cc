// SPDX-License-Identifier: Apache-2.0
// Another process on the same directories, which may die anywhere.
//
//   runtime_test_agent <root> <cgroup parent> <kill at the n-th failpoint, 0: never>
//                      <command> <argument>
//
// Commands: run <network>; start, stop, remove <id>. Exits with 0 when done.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/failpoint.h"
#include "minibox/network.h"
#include "minibox/runtime.h"
#include "minibox/store.h"

namespace {

using minibox::ContainerId;
using minibox::ContainerSpec;
using minibox::Network;
using minibox::Runtime;
using minibox::Status;
using minibox::Store;

int Fail(const Status& status) {
  fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const std::string root = argv[1], argument = argv[5];
  const std::string_view command = argv[4];
  auto store = Store::Open({.root = root + "/data"});
  if (!store.ok()) return Fail(store.status());
  auto network = Network::Open({.state_dir = root + "/data/networks"});
  if (!network.ok()) return Fail(network.status());
  auto runtime =
      Runtime::Open(*store, *network, {.run_dir = root + "/run", .cgroup_parent = argv[2]});
  if (!runtime.ok()) return Fail(runtime.status());
  if (const int n = atoi(argv[3]); n > 0) minibox::core::SetKillNth(n);

  if (command == "run") {
    ContainerSpec spec;
    spec.image = "busybox";
    spec.command = {"sh", "-c", "echo ready; exec sleep 1000"};
    spec.network = argument;
    if (argument == "bridge") spec.ports = {{"", 18080, 80}};
    const Status done = runtime->Run(spec).status();
    return done.ok() ? 0 : Fail(done);
  }
  const auto id = ContainerId::Parse(argument);
  if (!id.ok()) return Fail(id.status());
  Status done(minibox::StatusCode::kInvalidArgument, "unknown command");
  if (command == "start") done = runtime->Start(*id).status();
  if (command == "stop") done = runtime->Stop(*id).status();
  if (command == "remove") done = runtime->Remove(*id, /*force=*/true);
  return done.ok() ? 0 : Fail(done);
}
