# SPDX-License-Identifier: Apache-2.0
# Databases of a real distribution with `db run`, on default security: they do their benchmark, and
# their data outlives the daemon, a restart, a crash and the container.
load helpers

setup_file() {
  # It hands numbers of descriptors to a shell that knows one digit only: keep them low.
  mmdebstrap --quiet --variant=minbase bookworm "$BATS_FILE_TMPDIR/debian.tar" 3>&- 4>&- 5>&- 6>&- 7>&-
}
setup() { e2e_setup; }
teardown() { e2e_teardown; }

# build NAME: the image of the MiniBox file on stdin, on Debian.
build() {
  mkdir "$WORK/context"
  cp "$BATS_FILE_TMPDIR/debian.tar" "$WORK/context/"
  cat >"$WORK/context/MiniBox"
  run minibox build -t "$1" "$WORK/context"
  echo "$output" | tail -5
  [ "$status" -eq 0 ]
}

# Nothing of the default security is given up for a database.
assert_default_security() {
  minibox inspect "$1" | python3 -c '
import json, sys
box = json.load(sys.stdin)
security, config = box["security"], box["config"]
assert security["seccomp"] == "default", security
assert security["no_new_privs"] is True, security
assert security["userns"] == "auto" and security["id_map"][0]["host_id"] > 0, security
assert not config.get("privileged") and config["db_mode"] is True, config'
}

sql() { minibox exec shop psql -U postgres -Atc "$1"; }

@test "PostgreSQL from Debian packages" {
  build postgres:15 <<'EOF'
BASE debian.tar
BLOCK postgres
    RUN apt-get update && apt-get install -y --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/*
    RUN mkdir -p /data /run/postgresql && chown postgres:postgres /data /run/postgresql
    ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin
    USER postgres
    VOLUME /data
    START sh -ec '[ -s /data/PG_VERSION ] || initdb --pgdata=/data --auth=trust --locale=C.UTF-8; exec postgres -D /data'
EOF
  id=$(minibox db run --name shop -m 512 postgres:15)
  assert_default_security shop
  eventually minibox exec shop pg_isready -q -h 127.0.0.1

  minibox exec shop pgbench -U postgres -q -i -s 5 postgres
  run minibox exec shop pgbench -U postgres -c 8 -j 2 -T 30 postgres
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"number of failed transactions: 0"* ]]
  # What each transaction has noted is what the accounts have.
  consistent="select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)"
  [ "$(sql "$consistent")" = t ]
  rows=$(sql "select count(*) from pgbench_history")
  began=$(sql "select pg_postmaster_start_time()")

  # Under load the daemon goes. The server does not notice, a detached client goes on (-n: it keeps the history).
  minibox exec -d shop sh -c 'pgbench -U postgres -n -c 4 -T 5 postgres >/tmp/bench 2>&1; echo $? >>/tmp/bench'
  kill_daemon KILL
  start_daemon
  eventually minibox exec shop grep -qx 0 /tmp/bench
  [ "$(sql "select pg_postmaster_start_time()")" = "$began" ]
  [ "$(sql "select count(*) from pgbench_history")" -gt "$rows" ]
  [ "$(sql "$consistent")" = t ]

  # Its own client, by the name of the image.
  [[ "$(echo "select 6 * 7 as answer" | minibox db shell shop)" == *42* ]]

  # A clean restart, then one after a crash, then a new container on the same volume.
  rows=$(sql "select count(*) from pgbench_history")
  minibox restart -t 60 shop
  eventually minibox exec shop pg_isready -q -h 127.0.0.1
  [ "$(sql "select count(*) from pgbench_history")" = "$rows" ]
  minibox kill shop
  minibox start shop
  eventually minibox exec shop pg_isready -q -h 127.0.0.1
  [ "$(sql "select count(*) from pgbench_history")" = "$rows" ]
  minibox logs shop | grep -q "database system was not properly shut down"
  minibox rm -f shop
  minibox db run --name shop -m 512 postgres:15
  eventually minibox exec shop pg_isready -q -h 127.0.0.1
  [ "$(sql "select count(*) from pgbench_history")" = "$rows" ]
  [ "$(sql "$consistent")" = t ]
}

# While it reads its file redis answers "LOADING", which redis-cli takes for success.
answers() { [ "$(redis-cli -p "$port" get question)" = answer ]; }

@test "redis from Debian packages" {
  build redis:7 <<'EOF'
BASE debian.tar
BLOCK redis
    RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
    RUN mkdir -p /data && chown redis:redis /data
    WORKDIR /data
    USER redis
    VOLUME /data
    START redis-server --bind 0.0.0.0 --protected-mode no --dir /data --appendonly yes --appendfsync always
EOF
  id=$(minibox db run --name cache -m 256 -p 127.0.0.1:0:6379 redis:7)
  assert_default_security cache
  port=$(host_port "$id" 6379)
  eventually redis-cli -p "$port" ping
  run minibox exec cache redis-benchmark -n 20000 -c 50 -q -t ping,set,get,incr,lpush,rpop,sadd,hset,zadd,mset
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"MSET (10 keys): "*" requests per second"* ]]
  # Through the published port as well.
  redis-benchmark -p "$port" -n 20000 -c 50 -q -t set,get
  [ "$(redis-cli -p "$port" set question answer)" = OK ]
  keys=$(redis-cli -p "$port" dbsize)

  kill_daemon KILL
  [ "$(redis-cli -p "$port" get question)" = answer ]
  start_daemon
  [ "$(echo 'get question' | minibox db shell cache)" = answer ]
  for end in "stop -t 60" kill; do
    minibox $end cache
    minibox start cache
    port=$(host_port "$id" 6379)
    eventually answers
    [ "$(redis-cli -p "$port" dbsize)" = "$keys" ]
  done
  minibox rm -f cache
  minibox db run --name cache -m 256 redis:7
  # While it loads it answers "LOADING", with success.
  eventually eval '[ "$(minibox exec cache redis-cli ping)" = PONG ]'
  [ "$(minibox exec cache redis-cli get question)" = answer ]
}
