# SPDX-License-Identifier: Apache-2.0
# Networks under real services and under kills. The daemon lives in a network namespace of its own, a
# fake host with two clients outside; the machine's interfaces are never touched:
#
#   client one 198.51.100.2 ── 198.51.100.1 fake host 203.0.113.1 ── 203.0.113.2 client two
load helpers

# inside PLACE COMMAND…: in one of the namespaces.
inside() {
  local place=$1
  shift
  nsenter --net="/run/netns/$FAKE-$place" "$@"
}

# connect CLIENT HOST_ADDRESS CLIENT_ADDRESS
connect() {
  ip netns add "$FAKE-$1"
  inside host ip link add "$1" type veth peer name eth0 netns "$FAKE-$1"
  inside host ip address add "$2/24" dev "$1"
  inside host ip link set "$1" up
  inside "$1" ip address add "$3/24" dev eth0
  inside "$1" ip link set eth0 up
  inside "$1" ip route add default via "$2"
}

setup() {
  FAKE_BIN=$(mktemp -d /tmp/minibox-fake-XXXXXX)
  FAKE=${FAKE_BIN##*-}
  ip netns add "$FAKE-host"
  inside host ip link set lo up
  connect one 198.51.100.1 198.51.100.2
  connect two 203.0.113.1 203.0.113.2
  # Somebody else's rules, which also keep connection tracking on when ours are taken away.
  inside host nft -f - <<'END'
table ip other { chain in { type filter hook input priority 0; ct state invalid drop; }; }
table ip6 other { chain in { type filter hook input priority 0; tcp dport 22 accept; }; }
table inet other { map m { type ipv4_addr : verdict; elements = { 192.0.2.1 : drop }; }; chain in { type filter hook input priority 5; ip saddr vmap @m; }; }
END
  FOREIGN=$(foreign_rules)
  # The programs under test, put into the fake host: where the API's port can be a fixed one.
  local real
  real=$(readlink -f "$MINIBOX_BIN")
  cat >"$FAKE_BIN/minibox" <<END
#!/bin/sh
exec nsenter --net=/run/netns/$FAKE-host $real/minibox "\$@"
END
  cat >"$FAKE_BIN/miniboxd" <<END
#!/bin/sh
MINIBOX_HTTP_ADDR=127.0.0.1:8181 exec nsenter --net=/run/netns/$FAKE-host $real/miniboxd
END
  chmod +x "$FAKE_BIN"/*
  PATH=$FAKE_BIN:$PATH
  e2e_setup
}

foreign_rules() {
  local family name
  inside host nft list tables | while read -r _ family name; do
    [ "$name" = minibox ] || inside host nft list table "$family" "$name"
  done
}

# What is left of ours in the fake host.
left_in_host() {
  inside host nft list tables | grep minibox
  inside host ip -o link 2>/dev/null | grep -E 'veth-|minibox0'
}

teardown() {
  local status=0
  # What a test that failed did not remove.
  if minibox ping >/dev/null 2>&1; then
    minibox ps -q | xargs -r minibox rm -f >/dev/null 2>&1
    minibox network ls -q | grep -vx bridge | xargs -r minibox network rm >/dev/null 2>&1
  fi
  e2e_teardown || status=1
  for _ in $(seq 600); do
    left_in_host >/dev/null || break
    sleep 0.05
  done
  if left_in_host; then status=1; fi
  if [ "$(foreign_rules)" != "$FOREIGN" ]; then foreign_rules && status=1; fi
  for place in host one two; do ip netns delete "$FAKE-$place"; done
  rm -rf "$FAKE_BIN"
  return "$status"
}

# services: nginx on 8080, redis on 6379 and a UDP echo on 7, of this host's packages.
services() {
  local base=$BATS_FILE_TMPDIR/services.tar
  [ -e "$base" ] || "$BATS_TEST_DIRNAME/host_base.py" "$base" dash coreutils nginx redis-tools python3-minimal
  mkdir "$WORK/services"
  cp "$base" "$WORK/services/base.tar"
  cat >"$WORK/services/nginx.conf" <<'END'
daemon off;
user root;
worker_processes 2;
error_log stderr;
pid /tmp/nginx.pid;
events { worker_connections 512; }
http {
  access_log off;
  keepalive_requests 1000000;
  server { listen 80; root /www; }
}
END
  cat >"$WORK/services/echo.py" <<'END'
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 7))
while True:
    server.sendto(*server.recvfrom(2000))
END
  head -c 10000 /dev/zero | tr '\0' x >"$WORK/services/index.html"
  # The program is whatever name it is called by.
  cat >"$WORK/services/MiniBox" <<'END'
BASE base.tar
BLOCK services
    COPY nginx.conf echo.py /
    COPY index.html /www/
    RUN mkdir -p /var/lib/nginx && ln -sf /usr/bin/redis-check-rdb /usr/bin/redis-server
END
  minibox build -t services "$WORK/services" >/dev/null
  minibox run -d --name web -p 8080:80 services nginx -c /nginx.conf >/dev/null
  minibox run -d --name cache -p 6379:6379 services redis-server --bind 0.0.0.0 --protected-mode no >/dev/null
  minibox run -d --name echo -p 7:7/udp services python3 /echo.py >/dev/null
  eventually inside one curl -fs -o /dev/null http://198.51.100.1:8080/
  eventually inside two redis-cli -h 203.0.113.1 -e ping
}

# ask_udp BUSY: questions to the echo one after the other as long as the file is there; each must
# be answered, at once or after a repetition.
ask_udp() {
  inside two python3 - "$1" <<'END'
import os, socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(("203.0.113.1", 7))
client.settimeout(30)
answers = 0
while answers == 0 or os.path.exists(sys.argv[1]):
    question = b"question %d" % answers
    client.send(question)
    assert client.recv(100) == question
    answers += 1
print("answers", answers)
END
}

# ask_redis BUSY: one connection for each question.
ask_redis() {
  local asked=0
  while [ "$asked" -eq 0 ] || [ -e "$1" ]; do
    asked=$((asked + 1))
    [ "$(inside two redis-cli -h 203.0.113.1 incr answers)" = "$asked" ] || return 1
  done
  echo "answers $asked"
}

@test "nginx, redis and a UDP echo behind published ports lose nothing while 100 others come and go" {
  services
  busybox_image small
  touch "$WORK/busy"
  # Both go on for far longer than the others take: they are told when to stop. They are no functions,
  # whose shell would get the signal.
  nsenter --net="/run/netns/$FAKE-one" wrk -t 2 -c 16 -d 1h --timeout 60s http://198.51.100.1:8080/ >"$WORK/wrk.out" 2>&1 3>&- &
  wrk=$!
  nsenter --net="/run/netns/$FAKE-two" redis-benchmark -h 203.0.113.1 -c 8 -l -q -t set,get -n 5000 >"$WORK/benchmark.out" 2>&1 3>&- &
  benchmark=$!
  ask_redis "$WORK/busy" >"$WORK/redis.out" 2>&1 3>&- &
  redis=$!
  ask_udp "$WORK/busy" >"$WORK/udp.out" 2>&1 3>&- &
  udp=$!

  # All of them run at once before the first of them ends.
  starters=()
  for worker in 1 2 3 4; do
    for _ in $(seq 25); do minibox run -d -p 0:80 small sleep 1000; done \
      >"$WORK/started.$worker" 2>>"$WORK/starts.err" 3>&- &
    starters+=("$!")
  done
  for pid in "${starters[@]}"; do wait "$pid"; done
  [ "$(cat "$WORK"/started.? | wc -l)" -eq 100 ] || {
    sort "$WORK/starts.err" | uniq -c
    return 1
  }
  [ "$(minibox ps -q --filter status=running | wc -l)" -eq 103 ]
  enders=()
  for worker in 1 2 3 4; do
    xargs -n 5 minibox rm -f <"$WORK/started.$worker" >/dev/null 3>&- &
    enders+=("$!")
  done
  for pid in "${enders[@]}"; do wait "$pid"; done
  [ "$(minibox ps -q | wc -l)" -eq 3 ]

  rm "$WORK/busy"
  # One that has lost a question would not end with 0.
  wait "$redis"
  wait "$udp"
  # Of its own it ends only when something failed.
  kill -TERM "$benchmark"
  wait "$benchmark" || [ "$?" -eq 143 ]
  kill -INT "$wrk"
  wait "$wrk"
  cat "$WORK/wrk.out" "$WORK/redis.out" "$WORK/udp.out"
  tr '\r' '\n' <"$WORK/benchmark.out" | tail -n 3
  grep -q 'requests in' "$WORK/wrk.out"
  # Lines that are only there if there were any.
  ! grep -E 'Socket errors|Non-2xx' "$WORK/wrk.out"
  ! grep -i error "$WORK/benchmark.out"
  grep -q '^answers [1-9]' "$WORK/redis.out"
  grep -q '^answers [1-9]' "$WORK/udp.out"
}

# conversation IN OUT: one connection to redis and one UDP socket to the echo, kept for ever. For each
# line that it reads it asks both and writes a line once they have answered.
conversation() {
  inside one python3 -u -c '
import socket, sys
stream = socket.create_connection(("198.51.100.1", 6379))
stream.settimeout(60)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.connect(("198.51.100.1", 7))
datagrams.settimeout(60)
for line in sys.stdin:
    stream.sendall(b"INCR conversation\r\n")
    number = stream.recv(100).decode().strip(":\r\n")
    datagrams.send(number.encode())
    print(datagrams.recv(100).decode())
' <"$1" >"$2"
}

@test "connections outlive kills of the daemon, and what somebody takes away is put back under them" {
  services
  mkfifo "$WORK/say" "$WORK/hear"
  conversation "$WORK/say" "$WORK/hear" 3>&- &
  exec 5>"$WORK/say" 6<"$WORK/hear"
  said=0
  answered() {
    said=$((said + 1))
    echo >&5
    read -r -t 90 -u 6 line
    [ "$line" = "$said" ]
  }
  answered
  kill_daemon KILL
  answered
  start_daemon
  answered

  # Rules gone: what is translated already goes on, nobody else gets in; then all is as before.
  ruleset() { inside host nft list ruleset; }
  before=$(ruleset)
  inside host nft flush table ip minibox
  inside host nft flush map ip minibox published
  answered
  run ! inside two redis-cli -h 203.0.113.1 -e ping
  kill_daemon KILL
  start_daemon
  [ "$(ruleset)" = "$before" ]
  answered
  [ "$(inside two redis-cli -h 203.0.113.1 ping)" = PONG ]

  # The whole firewall, without a restart: the next start needs it.
  inside host nft delete table ip minibox
  inside host nft delete table bridge minibox
  minibox run --rm services true
  [ "$(ruleset)" = "$before" ]
  answered

  # A container's link: its end inside goes with it.
  cache=$(minibox ps --filter name=cache -q)
  inside host ip link delete "veth-$cache"
  kill_daemon KILL
  start_daemon
  answered
  [ "$(inside two redis-cli -h 203.0.113.1 ping)" = PONG ]

  # Somebody's chain that no rule of ours can overrule: said at the start, and on demand.
  api_warnings() { inside host curl -fsS "$MINIBOX_API/system/info" | grep -o '"warnings":.*'; }
  [[ "$(api_warnings)" != *other* ]]
  inside host nft add chain ip other fw '{ type filter hook forward priority 0; policy drop; }'
  [[ "$(api_warnings)" == *"chain 'fw' of the firewall table 'ip other' drops forwarded traffic"* ]]
  kill_daemon KILL
  start_daemon
  grep -q "^warning: \[network\] chain 'fw' of the firewall table 'ip other'" "$WORK/daemon.err"
  inside host nft delete chain ip other fw
  answered

  # The bridge below all of them.
  inside host ip link delete minibox0
  kill_daemon KILL
  start_daemon
  answered
  [ "$(inside two redis-cli -h 203.0.113.1 ping)" = PONG ]
  [ "$(ruleset)" = "$before" ]
  [ "$(foreign_rules)" = "$FOREIGN" ]
  exec 5>&- 6<&-
}

# refused STATUS CODE TEXT METHOD PATH [BODY]: the answer, and a message that names TEXT.
refused() {
  local status=$1 code=$2 text=$3 answer
  answer=$(inside host curl -sS -X "$4" -w '\n%{http_code}' -H 'Accept: application/json' "$MINIBOX_API$5" -d "${6:-}")
  [[ "${answer##*$'\n'}" = "$status" && "$answer" == *"\"code\":\"$code\""* && "$answer" == *"$text"* ]] || {
    echo "$5 ${6:-}: $answer, wanted $status $code '$text'"
    wrong=$((wrong + 1))
  }
}
network() { refused "$1" "$2" "$3" POST /networks/create "$4"; }
run_with() { refused "$1" "$2" "$3" POST /containers/run "{\"image\":\"small\",\"detached\":true,\"command\":[\"sleep\",\"9\"],$4}"; }

@test "wrong input has its status, names what is wrong and leaves nothing" {
  wrong=0
  busybox_image small
  minibox run --rm small true  # the default network is made for the first that needs it
  minibox network create --subnet 10.9.0.0/24 back >/dev/null
  minibox network create --internal vault >/dev/null
  holder=$(minibox run -d --name holder --network back --ip 10.9.0.7 -p 8080:80 -p 9000:80/udp small sleep 1000)
  before=$(inside host nft list ruleset; inside host ip -br link | awk '{print $1}'; minibox network ls --json; cat "$WORK/data/networks/leases.json")

  # Subnets: malformed, reserved, of the host, of another network.
  network 400 invalid_argument subnet '{"name":"x","subnet":"10.9.1.0"}'
  network 400 invalid_argument subnet '{"name":"x","subnet":"10.9.1.0/33"}'
  network 400 invalid_argument subnet '{"name":"x","subnet":"10.9.1.1/24"}'
  network 400 invalid_argument subnet '{"name":"x","subnet":"127.0.0.0/24"}'
  network 400 invalid_argument subnet6 '{"name":"x","subnet6":"10.9.1.0/24"}'
  network 400 invalid_argument gateway '{"name":"x","subnet":"10.9.1.0/24","gateway":"10.9.2.1"}'
  network 400 invalid_argument gateway '{"name":"x","gateway":"10.9.2.1"}'
  network 400 invalid_argument mtu '{"name":"x","mtu":1}'
  network 409 subnet_conflict "'one'" '{"name":"x","subnet":"198.51.0.0/16"}'
  network 409 subnet_conflict "'mb-" '{"name":"x","subnet":"10.9.0.128/25"}'
  network 409 subnet_conflict "'minibox0'" '{"name":"x","subnet":"172.19.0.0/24"}'
  # Names.
  network 400 missing_argument name '{"subnet":"10.9.1.0/24"}'
  network 400 invalid_argument name '{"name":"../x"}'
  network 400 invalid_argument reserved '{"name":"bridge"}'
  network 409 name_in_use "'back'" '{"name":"back"}'
  refused 404 network_not_found "'absent'" POST '/networks/remove?name=absent'
  refused 404 network_not_found "'absent'" GET '/networks/inspect?name=absent'
  refused 409 network_in_use "'back'" POST '/networks/remove?name=back'
  run_with 404 network_not_found "'absent'" '"network":"absent"'
  run_with 404 network_not_found "'absent'" '"network":"back,absent"'
  run_with 400 invalid_argument network '"network":"back,back"'
  # Addresses: no such, outside, the gateway's, the whole network's, in use; not for every network.
  run_with 400 invalid_argument ip '"network":"back","ip":"10.9.0"'
  run_with 409 address_in_use 10.9.1.7 '"network":"back","ip":"10.9.1.7"'
  run_with 409 address_in_use 10.9.0.1 '"network":"back","ip":"10.9.0.1"'
  run_with 409 address_in_use 10.9.0.255 '"network":"back","ip":"10.9.0.255"'
  run_with 409 address_in_use 10.9.0.7 '"network":"back","ip":"10.9.0.7"'
  run_with 400 invalid_argument mac '"network":"back","mac":"01:00:00:00:00:01"'
  run_with 400 invalid_argument ip '"network":"none","ip":"10.9.0.8"'
  run_with 400 invalid_argument ports '"network":"host","ports":{"8081":"80"}'
  run_with 400 invalid_argument ports '"network":"vault","ports":{"8081":"80"}'
  # Ports: out of range, ranges that do not fit, twice, taken by a container, taken by somebody else.
  run_with 400 invalid_argument ports '"ports":{"8081":"0"}'
  run_with 400 invalid_argument ports '"ports":{"65536":"80"}'
  run_with 400 invalid_argument ports '"ports":{"8081":"65536"}'
  run_with 400 invalid_argument ports '"ports":{"8081-8083":"80-81"}'
  run_with 400 invalid_argument ports '"ports":{"8083-8081":"83-81"}'
  run_with 400 invalid_argument ports '"ports":{"8081-8083":"80-82","8082":"90"}'
  run_with 400 invalid_argument ports '"ports":{"192.0.2.9:8081":"80"}'
  run_with 409 port_in_use "0.0.0.0:8080/tcp is already in use by container '$holder'" '"ports":{"8080":"80"}'
  run_with 409 port_in_use "0.0.0.0:9000/udp is already in use by container '$holder'" '"ports":{"9000":"80/udp"}'
  run_with 409 port_in_use 8080 '"ports":{"8081":"80","127.0.0.1:8080":"80"}'
  inside host timeout 120 nc -l 127.0.0.1 9100 >/dev/null 2>&1 3>&- &
  other=$!
  eventually inside host sh -c 'ss -Hltn | grep -q 127.0.0.1:9100'
  run_with 409 port_in_use 9100 '"ports":{"9100":"80"}'
  # Servers and hosts.
  run_with 400 invalid_argument dns '"dns":["no address"]'
  run_with 400 invalid_argument extra_hosts '"extra_hosts":["name"]'
  [ "$wrong" -eq 0 ]

  # None of these left anything.
  after=$(inside host nft list ruleset; inside host ip -br link | awk '{print $1}'; minibox network ls --json; cat "$WORK/data/networks/leases.json")
  [ "$after" = "$before" ] || diff <(echo "$before") <(echo "$after")
  [ "$(minibox ps -aq | wc -l)" -eq 1 ]
  inside host sh -c 'nc -z 127.0.0.1 9100'
  wait "$other"
  minibox rm -f holder >/dev/null
  minibox network rm back vault >/dev/null
}

# What there is of running containers, one id a line and source.
in_records() { minibox ps -q --filter status=running | sort; }
in_leases() { grep -o '"container":"[0-9a-f]*"' "$WORK/data/networks/leases.json" | grep -o '[0-9a-f]\{8\}' | sort; }
in_links() { inside host ip -o link show type veth 2>/dev/null | grep -o 'veth-[0-9a-f]*' | cut -d- -f2 | sort -u; }
in_rules() { inside host nft list set bridge minibox endpoints | grep -o 'veth-[0-9a-f]*' | cut -d- -f2 | sort; }
published() { inside host nft list map ip minibox published | grep -o ': *[0-9.]* \. 80' | wc -l; }
kernel_is_as_recorded() {
  local running
  running=$(in_records)
  echo "running: $(wc -w <<<"$running"), leases: $(in_leases | wc -l), links: $(in_links | wc -l), rules: $(in_rules | wc -l), published: $(published)"
  [ "$(in_leases)" = "$running" ] && [ "$(in_links)" = "$running" ] && [ "$(in_rules)" = "$running" ] &&
    [ "$(published)" = "$(wc -w <<<"$running")" ] &&
    [ -z "$(comm -23 <(ls "$WORK/data/networks/starting") <(echo "$running"))" ]
}

@test "a daemon killed at random points of 500 starts and stops finds the kernel as its records say" {
  busybox_image small
  worker() {
    local id
    for _ in $(seq 63); do
      # Whatever the kill made of it: the next one has to work.
      eventually minibox ps -q
      id=$(minibox run -d -p 0:80 small sleep 1000 2>/dev/null) || continue
      case $((RANDOM % 5)) in
        0) minibox stop -t 0 "$id" ;;
        1) minibox kill "$id" ;;
        2) minibox rm -f "$id" ;;
        3) minibox restart -t 0 "$id" && minibox rm -f "$id" ;;
      esac >/dev/null 2>&1 || true
    done
  }
  workers=()
  for _ in 1 2 3 4; do
    worker 3>&- 7>&- &
    workers+=("$!")
  done
  kills=0
  while kill -0 "${workers[@]}" 2>/dev/null; do
    sleep "0.$((RANDOM % 9 + 1))"
    kill_daemon KILL
    start_daemon
    kills=$((kills + 1))
  done
  wait "${workers[@]}"
  echo "killed $kills times"
  kill_daemon KILL
  start_daemon
  # Links of the dead go in the kernel's own time.
  eventually kernel_is_as_recorded || {
    kernel_is_as_recorded
    return 1
  }
}
