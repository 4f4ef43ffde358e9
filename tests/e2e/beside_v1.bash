# SPDX-License-Identifier: Apache-2.0
# beside_v1 COMMAND…: where cgroup v1 and v2 are mixed, without sight of v2, which crun refuses.
beside_v1() {
  unshare --mount bash -c '
    if grep -q " - cgroup " /proc/self/mountinfo; then
      awk "/ - cgroup2 / {print \$5}" /proc/self/mountinfo | tac | xargs -r -n 1 umount -l
    fi
    exec "$@"' bash "$@"
}
