# SPDX-License-Identifier: Apache-2.0
# Registries: Debian's docker-registry open, with passwords over TLS, with tokens; other tools as
# judges. Everything on loopback.
load helpers

setup() {
  export MINIBOX_AUTH_FILE=$BATS_TEST_TMPDIR/auth.json
  SERVERS=()
  make_ca
  export SSL_CERT_FILE=$BATS_FILE_TMPDIR/ca.pem
  e2e_setup
}
teardown() {
  for pid in "${SERVERS[@]}"; do
    kill "$pid" && wait "$pid" || true
  done
  e2e_teardown
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# A test CA and a certificate of it for loopback, once per file.
make_ca() {
  local dir=$BATS_FILE_TMPDIR
  [ ! -e "$dir/server.pem" ] || return 0
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/ca.key" -out "$dir/ca.pem" -days 2 \
    -subj '/CN=minibox test CA' 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -keyout "$dir/server.key" -out "$dir/server.csr" \
    -subj /CN=localhost 2>/dev/null
  openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial \
    -days 2 -out "$dir/server.pem" 2>/dev/null \
    -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1')
}

# await_port PORT: until something listens there.
await_port() {
  for _ in $(seq 200); do
    (exec 6<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
    sleep 0.05
  done
  cat "$WORK"/registry-*.log >&2
  return 1
}

# start_registry [more lines of configuration]: sets REGISTRY.
start_registry() {
  local port
  port=$(free_port)
  cat >"$WORK/registry-$port.yml" <<YML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdir: $WORK/registry-$port}, delete: {enabled: true}}
http:
  addr: 127.0.0.1:$port
$1
YML
  docker-registry serve "$WORK/registry-$port.yml" >"$WORK/registry-$port.log" 2>&1 3>&- &
  SERVERS+=($!)
  await_port "$port"
  REGISTRY=127.0.0.1:$port
}

# An image with owners, modes, links and times of all kinds.
rich_image() {
  busybox_context "$1" <<'BOX'
BASE base.tar.gz
BLOCK tree
    RUN mkdir -p /srv/tree/deep && cd /srv/tree && echo one >one && ln one two && ln -s one three && chown 1500:1600 one deep && chmod 4755 one && chmod 1777 deep && mkfifo fifo && touch -d '2020-01-02 03:04:05' one
BLOCK more
    NEED tree
    RUN rm /srv/tree/fifo && echo more >/srv/tree/deep/more
BOX
  minibox build -t "$1" "$WORK/$1" >/dev/null
}

LISTING='cd /srv/tree && find . | sort | while read -r f; do stat -c "%n %f %u %g %N %Y" "$f"; done; sha1sum one deep/more'

@test "an open registry: push, pull, skopeo both ways, podman runs ours and we run podman's" {
  start_registry
  rich_image rich
  run -0 minibox push rich "$REGISTRY/team/rich:1"
  [[ "$output" == *"[push] successfully pushed $REGISTRY/team/rich:1"*"[push] Done" ]]
  run -0 skopeo inspect --tls-verify=false "docker://$REGISTRY/team/rich:1"
  [[ "$output" == *'"Layers"'* ]]
  ours=$(minibox run --rm --network none rich sh -c "$LISTING" 2>/dev/null)
  [[ "$ours" == *" 1500 1600 "* ]]

  # podman from the registry.
  podman=(podman --root "$WORK/podman" --runroot "$WORK/podman-run" --storage-driver vfs)
  "${podman[@]}" pull -q --tls-verify=false "$REGISTRY/team/rich:1"
  theirs=$(beside_v1 "${podman[@]}" run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --cgroups disabled --log-driver none \
    "$REGISTRY/team/rich:1" sh -c "$LISTING")
  [ "$ours" = "$theirs" ] || diff <(echo "$ours") <(echo "$theirs")

  # And the reverse: podman pushes, with its own compression; skopeo copies in Docker's format.
  "${podman[@]}" push -q --tls-verify=false "$REGISTRY/team/rich:1" "$REGISTRY/podman/rich:2"
  skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --format v2s2 \
    "docker://$REGISTRY/podman/rich:2" "docker://$REGISTRY/skopeo/rich:3"
  minibox rmi rich
  run -0 minibox pull "$REGISTRY/podman/rich:2" "$REGISTRY/skopeo/rich:3"
  [[ "$output" == *"[pull] successfully pulled $REGISTRY/podman/rich:2"* ]]
  for image in "$REGISTRY/podman/rich:2" "$REGISTRY/skopeo/rich:3"; do
    [ "$(minibox run --rm --network none "$image" sh -c "$LISTING" 2>/dev/null)" = "$ours" ]
  done
  "${podman[@]}" rmi -af >/dev/null
  # What skopeo makes of the data root is what it makes of the registry.
  skopeo copy -q "oci:$WORK/data:$REGISTRY/podman/rich:2" "dir:$WORK/dir"
  umount -l "$WORK/podman" 2>/dev/null || true
}

@test "run --pull: missing, always, never" {
  start_registry
  busybox_image tiny
  minibox push -q tiny "$REGISTRY/tiny" 2>/dev/null || minibox push tiny "$REGISTRY/tiny"
  run -125 minibox run --pull never --rm --network none "$REGISTRY/tiny" true
  [[ "$output" == *"image not found"* ]]
  run -0 --separate-stderr minibox run --rm --network none "$REGISTRY/tiny" echo hello
  [ "$output" = hello ]
  [[ "$stderr" == *"[pull] Done"* ]]
  run -0 --separate-stderr minibox run --rm --network none "$REGISTRY/tiny" echo hello
  [[ "$stderr" != *"[pull]"* ]]
  run -0 --separate-stderr minibox run --pull always --rm --network none "$REGISTRY/tiny" echo hello
  [[ "$stderr" == *"already exists"* ]]
  run -125 minibox run --rm --network none "$REGISTRY/absent" true
  [[ "$output" == *"[error] pull failed: "*"manifest unknown"* ]]
}

@test "passwords over TLS with a CA of the test's own" {
  htpasswd -Bbn me secret >"$BATS_TEST_TMPDIR/htpasswd"
  start_registry "  tls: {certificate: $BATS_FILE_TMPDIR/server.pem, key: $BATS_FILE_TMPDIR/server.key}
auth: {htpasswd: {realm: test, path: $BATS_TEST_TMPDIR/htpasswd}}"
  busybox_image tiny
  run -1 minibox push tiny "$REGISTRY/tiny"
  [[ "$output" == *"[error] push failed: "*"user name and password"* ]]
  run -1 minibox login -u me --password-stdin "$REGISTRY" <<<wrong
  [ ! -e "$MINIBOX_AUTH_FILE" ]
  run -0 minibox login -u me --password-stdin "$REGISTRY" <<<secret
  [ "$(stat -c %a "$MINIBOX_AUTH_FILE")" = 600 ]
  run -0 minibox push tiny "$REGISTRY/tiny"
  minibox rmi tiny
  run -0 minibox pull "$REGISTRY/tiny"
  run -0 minibox logout "$REGISTRY"
  run -1 minibox pull "$REGISTRY/tiny"
  # Credentials of one request.
  auth=$(printf '{"username":"me","password":"secret"}' | base64 -w0 | tr +/ -_)
  run api POST "/images/pull?image=$REGISTRY/tiny" -H "X-Minibox-Registry-Auth: $auth"
  [[ "$output" == *"[pull] Done"* ]]
  ! grep -r secret "$WORK/daemon.err"
  # A certificate that nobody vouches for leads nowhere, not to plain HTTP either.
  kill_daemon TERM
  SSL_CERT_FILE= start_daemon
  run -1 minibox pull "$REGISTRY/tiny"
  [[ "$output" == *certificate* ]]
}

@test "tokens" {
  tokens=$(free_port)
  "$BATS_TEST_DIRNAME/token_server.py" "$tokens" "$BATS_FILE_TMPDIR/server.pem" \
    "$BATS_FILE_TMPDIR/server.key" 3>&- &
  SERVERS+=($!)
  await_port "$tokens"
  start_registry "auth:
  token: {realm: 'http://127.0.0.1:$tokens/token', service: registry, issuer: minibox-test, rootcertbundle: $BATS_FILE_TMPDIR/server.pem}"
  busybox_image tiny
  run -1 minibox push tiny "$REGISTRY/team/tiny"
  run -1 minibox login -u me -p wrong "$REGISTRY"
  [[ "$output" == *"wrong password"* || "$output" == *"401"* ]]
  run -0 minibox login -u me -p secret "$REGISTRY"
  run -0 minibox push tiny "$REGISTRY/team/tiny"
  run -0 minibox push tiny "$REGISTRY/other/tiny"
  [[ "$output" == *"mounted from team/tiny"* || "$output" == *"already exists"* ]]
  minibox logout "$REGISTRY"
  run -0 minibox pull "$REGISTRY/other/tiny"
}

@test "a proxy that breaks things in front of a real registry" {
  start_registry
  rich_image rich
  minibox push rich "$REGISTRY/rich" >/dev/null
  minibox rmi rich
  minibox system prune --build-cache -f >/dev/null
  digest=$(skopeo inspect --tls-verify=false "docker://$REGISTRY/rich" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["Layers"][0])')
  port=$(free_port)
  "$MINIBOX_BIN/fault_proxy" "$port" "${REGISTRY##*:}" GET "/blobs/$digest" 2 cut 200000 \
    GET "/blobs/$digest" 1 status 503 '*' /manifests/ 1 status 429 PATCH /uploads/ 1 cut-upload 100000 \
    >/dev/null 3>&- &
  SERVERS+=($!)
  await_port "$port"
  run -0 minibox pull "127.0.0.1:$port/rich"
  [[ "$output" == *"[pull] blob ${digest:7:12} download failed ("*"retrying in "*"(attempt "*"/3)..."* ]]
  [ -n "$(minibox run --rm --network none "127.0.0.1:$port/rich" sh -c "$LISTING" 2>/dev/null)" ]
  run -0 minibox push "127.0.0.1:$port/rich" "127.0.0.1:$port/again"
  run -0 skopeo inspect --tls-verify=false "docker://$REGISTRY/again"
}

@test "what a request may not be" {
  run api POST /images/pull
  [ "${lines[0]}" = "Image name is required" ] && [ "${lines[-1]}" = 400 ]
  for query in 'image=UPPER' 'image=a:b:c' 'image=a&platform=x' 'image=a&lazy=1'; do
    run api POST "/images/pull?$query"
    [ "${lines[-1]}" = 400 ] || echo "$query: $output"
    [ "${lines[-1]}" = 400 ]
  done
  run api POST "/images/pull?image=a" -H 'X-Minibox-Registry-Auth: !'
  [ "${lines[-1]}" = 400 ]
  run api POST "/images/push?image=absent"
  [ "${lines[-1]}" = 404 ]
  # A failing stream is 200, with its result at the end.
  run api POST "/images/pull?image=127.0.0.1:1/x" -H 'Accept: application/x-ndjson' --raw
  [[ "$output" == *'"status":"error"'*"X-Minibox-Status: error"* || "$output" == *'"status":"error"'* ]]
}

@test "a base that is not here is pulled" {
  start_registry
  busybox_image tiny
  minibox push tiny "$REGISTRY/base/tiny:1" >/dev/null
  minibox rmi tiny
  minibox system prune --build-cache -f >/dev/null
  printf 'BASE %s/base/tiny:1\nBLOCK a\n    RUN echo built >/built\n' "$REGISTRY" |
    busybox_context pulls
  run -0 minibox build -t pulls "$WORK/pulls"
  [[ "$output" == *"[base] fetching $REGISTRY/base/tiny:1 manifest..."* ]]
  [[ "$output" == *"[base] $REGISTRY/base/tiny:1 has 1 layers"* ]]
  [[ "$output" == *"[base] pulling layer 1/1 ("*"[base] $REGISTRY/base/tiny:1: ready ("* ]]
  [ "$(minibox run --rm --network none pulls cat /built 2>/dev/null)" = built ]
  minibox images -q "$REGISTRY/base/tiny:1" | grep .
  printf 'BASE %s/base/absent\n' "$REGISTRY" | busybox_context absent
  run -1 minibox build -t absent "$WORK/absent"
  [[ "$output" == *"Build failed: "*"$REGISTRY/base/absent"*"manifest unknown"* ]]
}

@test "a build asks the registry for its base when it is told to" {
  start_registry
  rich_image rich
  minibox push rich "$REGISTRY/base:1" >/dev/null
  mkdir "$WORK/onbase"
  printf 'BASE %s/base:1\nBLOCK a\n  COPY MiniBox /file\n' "$REGISTRY" >"$WORK/onbase/MiniBox"
  run minibox build -t onbase --pull=never "$WORK/onbase"
  [ "$status" -eq 1 ] && [[ "$output" == *"no local image of that name"* ]]
  run -0 minibox build -t onbase "$WORK/onbase"
  [[ "$output" == *"[base] fetching $REGISTRY/base:1 manifest..."* ]]
  run -0 minibox build -t onbase "$WORK/onbase"
  [[ "$output" == *"[base] $REGISTRY/base:1: using local image"* ]]
  run -0 minibox build -t onbase --pull "$WORK/onbase"
  [[ "$output" == *"[base] $REGISTRY/base:1: already cached"* && "$output" == *"[a] CACHED"* ]]
  run api POST /containers/build -d "{\"image\":\"onbase\",\"minibox\":\"BASE $REGISTRY/base:1\",\"context\":\"$WORK/onbase\",\"pull\":true}"
  [[ "$output" == *": already cached"*"Build completed successfully"* ]]
  kill "${SERVERS[0]}" && wait "${SERVERS[0]}" || true
  SERVERS=()
  run minibox build -t onbase --pull "$WORK/onbase"
  [ "$status" -eq 1 ] && [[ "$output" == *"Build failed: base '$REGISTRY/base:1'"* ]]
  run -0 minibox build -t onbase "$WORK/onbase"
  run minibox build -t onbase --pull=sometimes "$WORK/onbase"
  [ "$status" -eq 2 ]
}
