# SPDX-License-Identifier: Apache-2.0
# What the end-to-end tests share: a daemon of the test's own, and a proof that nothing is left.
# MINIBOX_BIN is the folder of the programs under test.

bats_require_minimum_version 1.5.0
PATH=${MINIBOX_BIN:?}:$PATH
unset MINIBOX_API MINIBOX_API_TOKEN
EXAMPLES=$BATS_TEST_DIRNAME/../../examples
# shellcheck source=beside_v1.bash
source "$BATS_TEST_DIRNAME/beside_v1.bash"

# Everything of this machine that a container engine could leave behind, one line each.
machine_state() {
  # The dead whom PID 1 has not fetched yet are nobody's processes any more.
  pgrep -a --runstates DIRSTt 'minibox' | grep -v "$BASHPID" || true
  awk '{print "mount", $5}' /proc/self/mountinfo
  for link in /sys/class/net/*; do echo "link ${link##*/}"; done
  nft list tables 2>/dev/null | grep -i minibox || true
  find /sys/fs/cgroup -type d -name '*minibox*' 2>/dev/null || true
}

# start_daemon: on $WORK/data, a free port; sets DAEMON and MINIBOX_API. More settings in the environment.
start_daemon() {
  rm -f "$WORK/daemon.out"
  mkfifo "$WORK/daemon.out"
  MINIBOX_DATA_ROOT=$WORK/data MINIBOX_HTTP_ADDR=127.0.0.1:0 MINIBOX_BUILD_PREFIXES=$WORK \
    MINIBOX_BRIDGE_ON_STARTUP=0 miniboxd >"$WORK/daemon.out" 2>>"$WORK/daemon.err" 3>&- &
  DAEMON=$!
  local line
  exec 7<"$WORK/daemon.out"
  while read -r -t 30 -u 7 line; do
    case "$line" in
      "Daemon listening on "*)
        export MINIBOX_API=http://${line##* }
        # Keep the pipe open, so that the daemon can go on writing.
        return 0
        ;;
    esac
  done
  cat "$WORK/daemon.err" >&2
  return 1
}

# kill_daemon SIGNAL
kill_daemon() {
  kill "-$1" "$DAEMON"
  wait "$DAEMON" || true
  exec 7<&-
}

e2e_setup() {
  WORK=$(mktemp -d /tmp/minibox-e2e-XXXXXX)
  FORWARDING=$(cat /proc/sys/net/ipv4/ip_forward)
  machine_state >"$WORK/before"
  start_daemon
}

e2e_teardown() {
  local left
  kill -0 "$DAEMON" 2>/dev/null || start_daemon
  if kill -0 "$DAEMON" 2>/dev/null; then
    minibox ps -q | xargs -r minibox rm -f >/dev/null 2>&1 || true
    minibox network rm bridge >/dev/null 2>&1 || true
    kill_daemon TERM
  fi
  [ "$FORWARDING" = 1 ] || echo "$FORWARDING" >/proc/sys/net/ipv4/ip_forward
  # The kernel takes namespaces apart in its own time: look until it has.
  for _ in $(seq 600); do
    machine_state >"$WORK/after"
    left=$(diff "$WORK/before" "$WORK/after" || true)
    [ -n "$left" ] || break
    sleep 0.05
  done
  [ -z "$left" ] || echo "left behind: $left" >&2
  if [ -n "${BATS_ERROR_STATUS:-}" ] && [ "$BATS_ERROR_STATUS" != 0 ]; then cat "$WORK/daemon.err" >&2; fi
  rm -rf "$WORK"
  [ -z "$left" ]
}

# busybox_context NAME: a build context with base.tar.gz and a MiniBox file from stdin.
busybox_context() {
  mkdir -p "$WORK/$1"
  [ -e "$BATS_FILE_TMPDIR/base.tar.gz" ] || "$EXAMPLES/hello/make-base" "$BATS_FILE_TMPDIR/base.tar.gz"
  cp "$BATS_FILE_TMPDIR/base.tar.gz" "$WORK/$1/"
  cat >"$WORK/$1/MiniBox"
}

# busybox_image NAME: an image with a shell.
busybox_image() {
  echo 'BASE base.tar.gz' | busybox_context "$1"
  minibox build -t "$1" "$WORK/$1" >/dev/null
}

# eventually COMMAND…: until it succeeds, for a minute.
eventually() {
  for _ in $(seq 1200); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.05
  done
  echo "never succeeded: $*" >&2
  return 1
}

# host_port ID CONTAINER_PORT
host_port() {
  minibox ps --json | python3 -c '
import json, sys
for c in json.load(sys.stdin):
    if c["id"].startswith(sys.argv[1]):
        for h, t in [p.split("->") for p in c["ports"].split(", ") if "->" in p]:
            if t.split("/")[0] == sys.argv[2]: print(h.rsplit(":", 1)[1])' "$1" "$2"
}

# api METHOD PATH [curl options]: prints the body, then a line with the status.
api() {
  local method=$1 path=$2
  shift 2
  curl -sS -X "$method" -w '\n%{http_code}\n' "$@" "$MINIBOX_API$path"
}
