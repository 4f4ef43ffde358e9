// SPDX-License-Identifier: Apache-2.0
// What the machine looks like, so that a test can prove that it left everything as it was:
// descriptors of this process, child processes and minibox-init processes, mounts, network
// links, nftables tables, cgroups.
#pragma once

#include <set>
#include <string>

namespace minibox::testing {

struct MachineState {
  std::set<std::string> descriptors, processes, mounts, links, nft_tables, cgroups;
  static MachineState Take();
  // One line per difference, "" if there is none. What takes a moment to go away (an exiting
  // process, a link of a dying namespace) is waited for.
  static std::string DifferenceFrom(const MachineState& before);
};

// Installed for every test by test_main.cc: a test that leaves anything behind fails.
void InstallLeakCheck();

}  // namespace minibox::testing
