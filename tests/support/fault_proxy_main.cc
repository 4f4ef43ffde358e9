// SPDX-License-Identifier: Apache-2.0
// The fault proxy as a program, for tests in shell:
//   fault_proxy <port> <upstream port> [<method|*> <part of the target> <times> <fault> <number>]…
// fault: cut, stall, status, wrong-bytes, wrong-length, too-long, redirect-loop, slow, no-range,
// cut-upload. The number is bytes, or the status. Prints a line once it listens.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "support/fault_proxy.h"

int main(int argc, char** argv) {
  using minibox::testing::Fault;
  static const std::map<std::string, Fault::Kind> kKinds = {
      {"cut", Fault::Kind::kCut},
      {"stall", Fault::Kind::kStall},
      {"status", Fault::Kind::kStatus},
      {"wrong-bytes", Fault::Kind::kWrongBytes},
      {"wrong-length", Fault::Kind::kWrongLength},
      {"too-long", Fault::Kind::kTooLong},
      {"redirect-loop", Fault::Kind::kRedirectLoop},
      {"slow", Fault::Kind::kSlow},
      {"no-range", Fault::Kind::kNoRange},
      {"cut-upload", Fault::Kind::kCutUpload}};
  if (argc < 3 || (argc - 3) % 5 != 0) return 2;
  minibox::testing::FaultProxy proxy(atoi(argv[2]), atoi(argv[1]));
  for (int i = 3; i + 4 < argc; i += 5) {
    const auto kind = kKinds.find(argv[i + 3]);
    if (kind == kKinds.end()) return 2;
    minibox::testing::FaultRule rule{.path = argv[i + 1], .times = atoi(argv[i + 2])};
    if (std::string(argv[i]) != "*") rule.method = argv[i];
    rule.fault.kind = kind->second;
    rule.fault.bytes = strtoull(argv[i + 4], nullptr, 10);
    rule.fault.status = atoi(argv[i + 4]);
    if (rule.fault.kind == Fault::Kind::kStatus) rule.fault.headers = {{"Retry-After", "0"}};
    proxy.Add(rule);
  }
  printf("listening\n");
  fflush(stdout);
  while (true) pause();
}
