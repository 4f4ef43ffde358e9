# SPDX-License-Identifier: Apache-2.0
# A real service on a real distribution: Debian's minimal root, redis installed inside the build
# sandbox, data in a named volume, the daemon killed under it.
load helpers

setup() { e2e_setup; }
teardown() { e2e_teardown; }

@test "redis from Debian packages survives the daemon and a restart" {
  mkdir "$WORK/redis"
  # It hands numbers of descriptors to a shell that knows one digit only: keep them low.
  mmdebstrap --quiet --variant=minbase bookworm "$WORK/redis/debian.tar" 3>&- 4>&- 5>&- 6>&- 7>&-
  cat >"$WORK/redis/MiniBox" <<'EOF'
BASE debian.tar
BLOCK redis
    RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
    RUN mkdir -p /data && chown redis:redis /data
    WORKDIR /data
    START redis-server --bind 0.0.0.0 --protected-mode no --dir /data --appendonly yes --appendfsync always
EOF
  run minibox build -t redis "$WORK/redis"
  echo "$output" | tail -5
  [ "$status" -eq 0 ]

  # The root file system is the distribution's: owners, setuid programs, hard links.
  run --separate-stderr minibox run --rm redis sh -c 'stat -c "%a %U" /usr/bin/passwd; stat -c %U /var/cache/apt/archives/partial; stat -c %h /usr/bin/perl'
  [ "${lines[0]}" = "4755 root" ] && [ "${lines[1]}" = _apt ] && [ "${lines[2]}" -ge 2 ]

  id=$(minibox run -d --name cache -m 256 -p 127.0.0.1:0:6379 -v redis-data:/data redis)
  port=$(host_port "$id" 6379)
  for _ in $(seq 100); do [ "$(redis-cli -p "$port" ping 2>/dev/null)" = PONG ] && break; sleep 0.1; done
  [ "$(redis-cli -p "$port" set question answer)" = OK ]
  limit=$(minibox run --rm -m 256 redis cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null ||
    minibox run --rm -m 256 redis cat /sys/fs/cgroup/memory.max)
  [ "$limit" = 268435456 ]

  kill_daemon KILL
  [ "$(redis-cli -p "$port" get question)" = answer ]
  start_daemon
  minibox ps --json | grep -q '"status": "running"'
  run minibox stop cache
  [ "$output" = "Container $id stopped" ]
  run minibox ps --json
  [[ "$output" == *'"exit": "0"'* ]]
  minibox start cache
  port=$(host_port "$id" 6379)
  for _ in $(seq 100); do [ "$(redis-cli -p "$port" get question 2>/dev/null)" = answer ] && break; sleep 0.1; done
  [ "$(redis-cli -p "$port" get question)" = answer ]
}
