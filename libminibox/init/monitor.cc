// SPDX-License-Identifier: Apache-2.0
#include "init/monitor.h"

#include "init/launch_input.h"
#include "init/monitor_launch.h"
#include "init/settle.h"
#include "init/supervision.h"
#include "init/sys.h"

namespace minibox::init {

int RunMonitor(int control) {
  sys::Limit nofile;
  if (!Settle(&nofile)) return 1;

  LaunchInput input;
  Failure failure{};
  if (!ReceiveLaunch(control, Message::kLaunch, &input, failure)) {
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
