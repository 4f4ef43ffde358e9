// SPDX-License-Identifier: Apache-2.0
#include "init/settle.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace minibox::init {

bool Settle(sys::Limit* nofile) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  prctl(PR_SET_NAME, "minibox-init");
  umask(0);
  if (chdir("/") != 0) return false;
  *nofile = {};
  if (sys::PrLimit(0, RLIMIT_NOFILE, nullptr, nofile) != 0) return true;
  const sys::Limit raised{nofile->hard, nofile->hard};
  (void)sys::PrLimit(0, RLIMIT_NOFILE, &raised, nullptr);  // cannot fail
  return true;
}

}  // namespace minibox::init
