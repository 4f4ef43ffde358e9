# SPDX-License-Identifier: Apache-2.0
# Wrong input gets the specified status and a message that names what is wrong, and leaves nothing.
load helpers

setup() { e2e_setup; }
teardown() { e2e_teardown; }

# build_error TEXT: the status and the message of POST /containers/build.
build_request() {
  python3 -c 'import json, sys; print(json.dumps({"image": "bad", "minibox": sys.argv[1], "context": sys.argv[2]}))' \
    "$1" "$2" >"$WORK/request.json"
  api POST /containers/build --data-binary @"$WORK/request.json"
}

@test "MiniBox files: line, column and a suggestion" {
  mkdir "$WORK/context"
  run build_request $'BASE scratch\nBLOCK a\n    RNU true' "$WORK/context"
  [[ "$output" == *"MiniBox:3:5: unknown directive 'RNU' (did you mean 'RUN'?)"* ]]
  [ "${lines[-1]}" = 400 ]
  run build_request $'BASE scratch\nBLOCK a\n  NEED b\nBLOCK b\n  NEED a' "$WORK/context"
  [[ "$output" == *cycle* && "$output" == *"→"* && "${lines[-1]}" = 400 ]]
  run build_request "   " "$WORK/context"
  [[ "$output" == *"MiniBox content is required"* && "${lines[-1]}" = 400 ]]
  run build_request "BASE scratch" "$WORK/absent"
  [[ "$output" == *"invalid build context:"* && "${lines[-1]}" = 400 ]]
  run build_request "BASE scratch" "/etc"
  [[ "$output" == *"invalid build context:"* && "${lines[-1]}" = 400 ]]
  [ "$(minibox images -q | wc -l)" -eq 0 ]
}

@test "builds that fail register nothing and say where" {
  busybox_context missing <<'EOF'
BASE base.tar.gz
BLOCK a
    COPY absent.txt /x
EOF
  run minibox build -t missing "$WORK/missing"
  [ "$status" -eq 1 ] && [[ "$output" == *"Build failed:"*absent.txt* ]]
  busybox_context escape <<'EOF'
BASE base.tar.gz
BLOCK a
    COPY ../../etc/passwd /x
EOF
  run minibox build -t escape "$WORK/escape"
  [ "$status" -eq 1 ] && [[ "$output" == *..* ]]
  busybox_context status <<'EOF'
BASE base.tar.gz
BLOCK a
    RUN exit 9
EOF
  run minibox build -t status "$WORK/status"
  [ "$status" -eq 1 ] && [[ "$output" == *"exit status 9"* ]]
  [ "$(minibox images -q | wc -l)" -eq 0 ]
  # What is no longer needed is deleted in the background, at the latest before the daemon ends.
  kill_daemon TERM
  [ -z "$(ls "$WORK/data/tmp" | grep -v '^key-.*\.lock$')" ]
}

@test "a base that climbs out is refused and leaves nothing" {
  mkdir -p "$WORK/evil"
  python3 - "$WORK/evil" <<'EOF'
import io, sys, tarfile
def tar(name, *members):
    with tarfile.open(f"{sys.argv[1]}/{name}.tar", "w") as t:
        for m, data in members:
            m.size = len(data)
            t.addfile(m, io.BytesIO(data))
def file(name): return tarfile.TarInfo(name)
def link(name, target, kind):
    m = tarfile.TarInfo(name); m.type = kind; m.linkname = target; return m
tar("dotdot", (file("../escape-1"), b"x"))
tar("hard", (link("in", "/etc/passwd", tarfile.LNKTYPE), b""))
tar("sym", (link("etc", "/tmp/minibox-e2e-target", tarfile.SYMTYPE), b""), (file("etc/escape-2"), b"x"))
EOF
  for name in dotdot hard; do
    printf 'BASE %s.tar\n' $name >"$WORK/evil/MiniBox"
    run minibox build -t evil "$WORK/evil"
    [ "$status" -eq 1 ]
    [[ "$output" == *"Build failed:"* ]]
  done
  printf 'BASE sym.tar\n' >"$WORK/evil/MiniBox"
  run minibox build -t evil "$WORK/evil"
  [ ! -e /tmp/minibox-e2e-target/escape-2 ] && [ ! -e /tmp/escape-1 ] && [ ! -e "$WORK/escape-1" ]
}

@test "HTTP: bodies, names, tokens, ports and limits" {
  busybox_image shell
  run api POST /containers/run -d '{"image":'
  [ "${lines[-1]}" = 400 ] && [[ "$output" == *"Invalid request"* ]]
  run api POST /containers/run -d '{}'
  [ "${lines[-1]}" = 400 ] && [[ "$output" == *"Image name is required"* ]]
  run api POST /containers/run -d '{"image":"absent","detached":true}'
  [ "${lines[-1]}" = 404 ]
  run api POST /containers/run -d '{"image":"shell","memory":"much"}'
  [ "${lines[-1]}" = 400 ] && [[ "$output" == *memory* ]]
  run api POST /containers/run -d '{"image":"shell","named_volumes":{"../x":"/y"}}'
  [ "${lines[-1]}" = 400 ] && [[ "$output" == *named_volumes* ]]
  run api POST /containers/run -d '{"image":"shell","user":"ghost","command":["true"]}'
  [ "${lines[-1]}" = 400 ] && [[ "$output" == *ghost* ]]
  run api POST /containers/run -d '{"image":"shell","cpuset":"999","command":["true"],"detached":true}'
  [[ "${lines[-1]}" =~ ^(400|500)$ ]] && [[ "$output" == *cpuset* ]]
  head -c 5000000 /dev/zero | tr '\0' ' ' >"$WORK/large"
  run api POST /containers/run --data-binary @"$WORK/large"
  [ "${lines[-1]}" = 413 ]
  run api GET /nowhere
  [ "${lines[-1]}" = 404 ] && [ "${lines[0]}" = "404 page not found" ]
  run api GET /containers/run
  [ "${lines[-1]}" = 405 ]
  run api GET /ping -H 'Host: evil.example'
  [ "${lines[-1]}" = 403 ]
  run api GET /ping -H 'Origin: http://evil.example'
  [ "${lines[-1]}" = 403 ]
  run api POST '/containers/stop?id=ffffffff'
  [ "${lines[-1]}" = 404 ]
  run api POST /containers/run -H 'Accept: application/json' -d '{"image":"absent"}'
  [[ "$output" == *'"code":"image_not_found"'* ]]
  # A port that somebody else holds.
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("0.0.0.0", 0)); print(s.getsockname()[1])')
  python3 -c '
import socket, sys
s = socket.socket(); s.bind(("0.0.0.0", int(sys.argv[1]))); s.listen(); print("held", flush=True); sys.stdin.read()
' "$port" < <(sleep 60) >"$WORK/held" &
  holder=$!
  while [ ! -s "$WORK/held" ]; do :; done
  run api POST /containers/run -d "{\"image\":\"shell\",\"command\":[\"sleep\",\"9\"],\"detached\":true,\"ports\":{\"$port\":\"80\"}}"
  kill $holder
  [ "${lines[-1]}" = 409 ] && [[ "$output" == *$port* ]]
  # None of these left a record.
  [ "$(minibox ps -q | wc -l)" -eq 0 ]
  [ -z "$(ls "$WORK/data/containers")" ]
}

@test "a token is asked for before anything else" {
  kill_daemon TERM
  MINIBOX_API_TOKEN=sesame start_daemon
  run api GET /ping
  [ "${lines[-1]}" = 401 ] && [ "${lines[0]}" = Unauthorized ]
  run api GET /nowhere -H 'Authorization: Bearer wrong'
  [ "${lines[-1]}" = 401 ]
  run api GET /ping -H 'Authorization: Bearer sesame'
  [ "${lines[-1]}" = 200 ]
  run api GET /ping -H 'X-API-Token: sesame'
  [ "${lines[-1]}" = 200 ]
}
