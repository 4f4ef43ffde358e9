# SPDX-License-Identifier: Apache-2.0
# The main job, on the programs that a user has: build, run, serve, stop, remove.
load helpers

setup() { e2e_setup; }
teardown() { e2e_teardown; }

@test "builds parallel blocks, serves the result, removes it" {
  cp -r "$EXAMPLES/hello" "$WORK/hello"
  "$WORK/hello/make-base" "$WORK/hello/base.tar.gz"

  run --separate-stderr minibox build -t hello "$WORK/hello"
  [ "$status" -eq 0 ]
  [[ "${lines[0]}" == "[build] START image=hello" ]]
  [[ "$output" == *"[build] mode=dag blocks=4"* ]]
  [[ "$output" == *"[dag] wave=1 ready=layout,page,style"* ]]
  [[ "$output" == *"[dag-summary] blocks=4 cached=0 built=4"* ]]
  [[ "${lines[-1]}" == "Build completed successfully" ]]

  run minibox build -t hello "$WORK/hello"
  [[ "$output" == *"[dag-summary] blocks=4 cached=4 built=0"* ]]

  # A change in one block's file leaves its siblings cached.
  echo '/* changed */' >>"$WORK/hello/site/style.css"
  run minibox build -t hello "$WORK/hello"
  [[ "$output" == *"[page] CACHED"* && "$output" == *"[style] DONE"* ]]

  run --separate-stderr minibox run -d --name web -p 0:8080 hello
  [ "$status" -eq 0 ]
  [[ "$output" =~ ^[0-9a-f]{8}$ ]]
  id=$output
  port=$(host_port "$id" 8080)
  run curl -fsS --retry 20 --retry-connrefused --retry-max-time 10 "http://127.0.0.1:$port/"
  [[ "$output" == *"Hello from MiniBox"* ]]
  run curl -fsS "http://127.0.0.1:$port/style.css"
  [[ "$output" == *"changed"*".s3"* ]]
  # Another address of this host reaches it as well.
  address=$(ip -4 -o addr show scope global | awk '{print $4; exit}' | cut -d/ -f1)
  [ -z "$address" ] || curl -fsS "http://$address:$port/" >/dev/null
  minibox logs web | grep -q 'response:200'

  run minibox stop web
  [ "$output" = "Container $id stopped" ] || [ "$output" = "Container $id killed (timeout)" ]
  run minibox rm web
  [ "$output" = "Container $id removed" ]
  run minibox rmi hello
  [ "$output" = "Image hello removed" ]
  [ ! -e "$WORK/data/containers/$id" ]
}

@test "what was built is valid for other tools, read in place" {
  busybox_context judged <<'EOF'
BASE base.tar.gz
ENV COLOUR=green
BLOCK one
    RUN echo data > /one && ln /one /hard && chmod 4755 /one && rm /bin/wget
BLOCK two
    NEED one
    RUN rm /one && mkdir /dir
    START cat /hard
EOF
  minibox build -t judged "$WORK/judged" >/dev/null
  run skopeo inspect "oci:$WORK/data:judged"
  [ "$status" -eq 0 ]
  [[ "$output" == *'"COLOUR=green"'* ]]
  run umoci unpack --image "$WORK/data:judged" "$WORK/bundle"
  [ "$status" -eq 0 ]
  [ -f "$WORK/bundle/rootfs/hard" ]
  [ ! -e "$WORK/bundle/rootfs/one" ] && [ ! -e "$WORK/bundle/rootfs/bin/wget" ]
  [ "$(stat -c %a "$WORK/bundle/rootfs/hard")" = 4755 ]
  # An archive made by another tool comes back in.
  skopeo copy -q "oci:$WORK/data:judged" "docker-archive:$WORK/out.tar:judged-copy:1"
  run minibox load "$WORK/out.tar"
  [ "$status" -eq 0 ]
  run --separate-stderr minibox run --rm judged-copy:1
  [ "$output" = data ]
}

@test "a run has the command's output and exit status" {
  busybox_image shell
  run --separate-stderr minibox run shell sh -c 'echo out; exit 3'
  [ "$status" -eq 3 ] && [ "$output" = out ]
  run --separate-stderr minibox run shell sh -c 'kill -TERM $$'
  [ "$status" -eq 143 ]
  run -127 minibox run shell no-such-command
  run minibox run shell /etc/passwd
  [ "$status" -eq 126 ]
  run minibox run no-such-image true
  [ "$status" -eq 125 ]
  run minibox run -u nobody-here shell true
  [ "$status" -eq 125 ] && [[ "$output" == *nobody-here* ]]
  run minibox frobnicate
  [ "$status" -eq 2 ]
  # The failed starts left no record; the three that ran have theirs.
  [ "$(minibox ps -q | wc -l)" -eq 2 ]
}

@test "state, signals and restarts of a container" {
  busybox_image shell
  id=$(minibox run -d --name s shell sh -c 'trap "exit 7" TERM; echo up >>/count; cat /count; sleep 1000 & wait')
  until minibox logs "$id" | grep -q up; do :; done
  run minibox stop "$id"
  [ "$output" = "Container $id stopped" ]
  run minibox ps --json
  [[ "$output" == *'"exit": "7"'* ]]
  minibox start "$id"
  run minibox rm "$id"
  [ "$status" -eq 1 ] && [[ "$output" == *running* ]]
  run minibox kill "$id"
  [ "$output" = "Container $id killed" ]
  # What the first run wrote is still there for the second, and the log goes on.
  run minibox logs "$id"
  [ "$output" = "up
up
up" ]
  run minibox kill "$id"
  [ "$status" -eq 1 ]
}

@test "volumes and bind mounts" {
  busybox_image shell
  mkdir "$WORK/bind"
  minibox run -v data:/d -v "$WORK/bind:/b" shell sh -c 'echo kept >/d/f; echo out >/b/f; chown 1234:5678 /b/f'
  run --separate-stderr minibox run -v data:/d:ro shell sh -c 'cat /d/f; echo x >/d/g || echo refused'
  [[ "$output" == kept*refused* ]]
  [ "$(cat "$WORK/data/volumes/data/f")" = kept ]
  [ "$(stat -c %u:%g "$WORK/bind/f")" = 1234:5678 ]
}

@test "a container sees itself alone, with little power" {
  busybox_image shell
  run --separate-stderr minibox run --hostname box shell sh -c '
    hostname; awk "{print \$1, (\$2 >= 100000), \$3}" /proc/self/uid_map
    grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status | tr -d "\t"
    ls /proc/self/fd | wc -l; cat /proc/kcore /proc/timer_list | wc -c
    echo 1 2>/dev/null >/proc/sys/kernel/sysrq || echo ro-proc
    ls -d /proc/[0-9]* | wc -l; env | sort'
  [ "$status" -eq 0 ]
  [[ "${lines[0]}" == box ]]
  [[ "${lines[1]}" == "0 1 65536" ]]
  [[ "$output" == *CapEff:00000000a80425fb* && "$output" == *CapBnd:00000000a80425fb* ]]
  [[ "$output" == *NoNewPrivs:1* && "$output" == *Seccomp:2* ]]
  [[ "$output" == *ro-proc* ]]
  [[ "$output" == *"HOME=/root"* && "$output" != *MINIBOX* ]]
}

@test "limits are in force" {
  busybox_image shell
  run --separate-stderr minibox run -m 32 shell sh -c 'head -c 100000000 /dev/zero | tail -c 90000000 | wc -c; echo end'
  [ "$status" -ne 0 ] || [[ "$output" != 90000000* ]]
  run --separate-stderr minibox run --pids-limit 20 shell sh -c 'for i in $(seq 50); do sleep 5 & done; wait' 
  [[ "$stderr$output" == *"fork"* ]]
}

@test "kill -9 of the daemon changes nothing for containers" {
  busybox_image shell
  id=$(minibox run -d -p 0:8080 shell sh -c 'mkdir /w; echo alive >/w/index.html; exec httpd -f -p 8080 -h /w')
  mkdir "$WORK/flags"
  short=$(minibox run -d -v "$WORK/flags:/flags" shell sh -c 'while [ ! -e /flags/end ]; do sleep 0.1; done; exit 42')
  port=$(host_port "$id" 8080)
  curl -fsS --retry 20 --retry-connrefused --retry-max-time 10 "http://127.0.0.1:$port/"
  kill_daemon KILL
  [ "$(curl -fsS "http://127.0.0.1:$port/")" = alive ]
  # This one ends while no daemon runs.
  touch "$WORK/flags/end"
  for _ in $(seq 200); do [ -e "$WORK/data/containers/$short/exit.json" ] && break; sleep 0.05; done
  start_daemon
  run minibox ps --json
  [[ "$output" == *'"exit": "42"'* && "$output" == *'"status": "running"'* ]]
  [ "$(curl -fsS "http://127.0.0.1:$port/")" = alive ]
  run minibox kill "$id"
  [ "$output" = "Container $id killed" ]
  run minibox ps --json
  [[ "$output" == *'"exit": "137"'* ]]
}
