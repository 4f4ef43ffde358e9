// SPDX-License-Identifier: Apache-2.0
#include "init/monitor.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/launch_input.h"
#include "init/monitor_launch.h"
#include "init/supervision.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

// Descriptors as many as the host permits: a launch may bring more than the usual 1024. Gives
// what was before.
sys::Limit RaiseDescriptorLimit() {
  sys::Limit before{};
  if (sys::PrLimit(0, RLIMIT_NOFILE, nullptr, &before) != 0) return before;
  const sys::Limit raised{before.hard, before.hard};
  (void)sys::PrLimit(0, RLIMIT_NOFILE, &raised, nullptr);  // cannot fail
  return before;
}

}  // namespace

int RunMonitor(int control) {
  // Nothing that is sent to the engine's processes is meant for a container. PID 1 inherits the
  // mask and reads signals one by one.
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  prctl(PR_SET_NAME, "minibox-init");
  umask(0);
  if (chdir("/") != 0) return 1;
  const sys::Limit nofile = RaiseDescriptorLimit();

  LaunchInput input;
  Failure failure{};
  if (!ReceiveLaunch(control, &input, failure)) {
    (void)SendMessage(control, Message::kFailed, &failure, sizeof failure);
    return 1;
  }
  Container container;
  if (!MonitorLaunch(control, input, nofile, container).Run()) return 1;
  Supervision supervision(input, container);
  // Without, PID 1 dies with us.
  if (!supervision.Begin(control, input)) return 1;
  input.Release();
  supervision.Run();
  return 0;
}

}  // namespace minibox::init
