# SPDX-License-Identifier: Apache-2.0
# What people build: a C program shipped alone, a Node service of six blocks, Python packages, a
# tree that is as odd as trees get. No network: the tools come from this host's own packages.
load helpers

setup() { e2e_setup; }
teardown() {
  umount -l "$WORK/podman" 2>/dev/null || true
  e2e_teardown
}

# host_base NAME PACKAGE…: base.tar of the context NAME, made once for the whole suite.
host_base() {
  local context=$1 made=$BATS_FILE_TMPDIR/$1.tar
  shift
  [ -e "$made" ] || "$BATS_TEST_DIRNAME/host_base.py" "$made" "$@"
  ln "$made" "$WORK/$context/base.tar" 2>/dev/null || cp "$made" "$WORK/$context/base.tar"
}

# same_tree IMAGE: what umoci unpacks is what a container of ours sees.
same_tree() {
  umoci unpack --image "$WORK/data:$1" "$WORK/umoci-$1" >/dev/null
  minibox create --name "tree-$1" "$1" >/dev/null
  minibox export -o "$WORK/$1.tar" "tree-$1"
  minibox rm "tree-$1" >/dev/null
  "$BATS_TEST_DIRNAME/tree_listing.py" "$WORK/umoci-$1/rootfs" >"$WORK/$1.umoci"
  "$BATS_TEST_DIRNAME/tree_listing.py" "$WORK/$1.tar" >"$WORK/$1.ours"
  diff "$WORK/$1.umoci" "$WORK/$1.ours"
}

podman_run() {
  local image=$1
  shift
  skopeo copy -q "oci:$WORK/data:$image" "docker-archive:$WORK/$image.docker.tar:$image:1"
  local podman=(podman --root "$WORK/podman" --runroot "$WORK/podman-run" --storage-driver overlay)
  "${podman[@]}" load -q -i "$WORK/$image.docker.tar" >/dev/null
  beside_v1 "${podman[@]}" run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --cgroups disabled --log-driver none "$image:1" "$@"
  "${podman[@]}" rmi -af >/dev/null
}

@test "a C program compiled in a builder block is shipped alone" {
  mkdir "$WORK/hello"
  host_base hello dash coreutils gcc libc6-dev
  cat >"$WORK/hello/hello.c" <<'EOF'
#include <stdio.h>
int main(int argc, char** argv) { return printf("hello from %s\n", argc > 1 ? argv[1] : "c") < 0; }
EOF
  cat >"$WORK/hello/MiniBox" <<'EOF'
BASE base.tar
BLOCK compile
    WORKDIR /build
    COPY hello.c .
    RUN gcc -O2 -static -o hello hello.c && ./hello compiler
BLOCK ship
    BASE scratch
    COPY --chmod=555 FROM=compile /build/hello /hello
    ENTRYPOINT /hello
    START image
EOF
  run --separate-stderr minibox build -t hello --network none "$WORK/hello"
  [ "$status" -eq 0 ]
  [[ "$output" == *"[compile] hello from compiler"* ]]
  run --separate-stderr minibox run --rm --network none hello
  [ "$output" = "hello from image" ]
  # Nothing of the compiler is in it.
  run skopeo inspect "oci:$WORK/data:hello"
  [ "$(grep -c '"Digest": "sha256' <<<"$output")" -ge 1 ]
  [ "$(python3 -c 'import json,sys; print(len(json.load(sys.stdin)["Layers"]))' <<<"$output")" = 1 ]
  same_tree hello
  [ "$(podman_run hello)" = "hello from image" ]
  [ "$(podman_run hello podman)" = "hello from podman" ]
}

# What `npm pack` and `pip wheel` would make, without a registry: real packages in folders.
node_service() {
  mkdir -p "$WORK/web/packages/greeting" "$WORK/web/packages/checks" "$WORK/web/src"
  host_base web dash coreutils sed grep nodejs $(npm_parts)
  cat >"$WORK/web/packages/greeting/package.json" <<'EOF'
{"name": "greeting", "version": "1.2.3", "main": "index.js", "dependencies": {}}
EOF
  echo 'module.exports = who => `hello, ${who}`;' >"$WORK/web/packages/greeting/index.js"
  (cd "$WORK/web/packages" && npm pack --silent ./greeting >/dev/null && rm -r greeting)
  echo '{"name": "checks", "version": "0.0.1"}' >"$WORK/web/packages/checks/package.json"
  cat >"$WORK/web/package.json" <<'EOF'
{"name": "web", "version": "1.0.0", "private": true,
 "dependencies": {"greeting": "file:packages/greeting-1.2.3.tgz"},
 "devDependencies": {"checks": "file:packages/checks"}}
EOF
  (cd "$WORK/web" && npm install --package-lock-only --offline --silent --no-audit --no-fund)
  cat >"$WORK/web/src/server.js" <<'EOF'
const greeting = require('greeting');
require('http').createServer((request, response) => {
  const health = request.url === '/health';
  response.end(health ? JSON.stringify({ok: true}) : greeting('first'));
}).listen(3000, '0.0.0.0', () => console.log('ready'));
process.on('SIGTERM', () => process.exit(0));
EOF
  cat >"$WORK/web/MiniBox" <<'EOF'
BASE base.tar
ENV NODE_ENV=production npm_config_cache=/dev/shm/npm npm_config_update_notifier=false
BLOCK runtime
    RUN node --version > /runtime
BLOCK layout
    RUN echo 'app:x:1500:' >> /etc/group && echo 'app:x:1500:1500::/srv/app:/bin/sh' >> /etc/passwd
    RUN mkdir -p /srv/app
BLOCK source
    NEED layout
    COPY --chown=1500:1500 src/ /srv/app/src/
BLOCK deps
    NEED layout runtime
    WORKDIR /srv/app
    COPY package.json package-lock.json ./
    COPY packages packages
    AUTO-DEPS --prod
BLOCK permissions
    NEED deps source
    RUN chmod -R a+rX /srv/app && echo done > /permissions
BLOCK config
    NEED permissions
    USER app
    PORT 3000
    HEALTHCHECK --interval=20 --timeout=3s node -e 'fetch("http://127.0.0.1:3000/health").then(r => r.text()).then(t => console.log(t))' | grep -q '"ok":true'
    START node src/server.js
EOF
}

# Debian has npm in a package of its own; others ship it with node, and it may have updated itself.
npm_parts() {
  local status
  status=$(dpkg-query -W -f '${db:Status-Status}' npm 2>/dev/null || true)
  [ "$status" = installed ] && echo npm || echo /usr/lib/node_modules/npm
}

@test "a Node service of six blocks with npm ci from local packages" {
  node_service
  run --separate-stderr minibox build -t web --network none "$WORK/web"
  echo "$output" | tail -5
  [ "$status" -eq 0 ]
  [[ "$output" == *"[deps]    ---> auto-deps: detected package-lock.json → running npm ci"* ]]
  digest=$(sed -n 's/.*DONE image=web manifest=\([0-9a-f]*\).*/\1/p' <<<"$output")
  run --separate-stderr minibox build -t web --network none "$WORK/web"
  [[ "$output" == *"[dag-summary] blocks=6 cached=6 built=0"* ]]

  # Healthy by the image's own check, looked at more often than it asks for.
  minibox inspect web | grep -q '"mini.healthcheck.interval": "20"'
  id=$(minibox run -d --name web --health-interval 1s -p 127.0.0.1:0:3000 web)
  port=$(host_port "$id" 3000)
  [ "$(curl -fsS --retry 40 --retry-connrefused --retry-max-time 60 "http://127.0.0.1:$port/")" = "hello, first" ]
  for _ in $(seq 600); do minibox inspect web | grep -q '"healthy"' && break; sleep 0.1; done
  minibox inspect "$id" | grep -q '"healthy"'
  # With --prod no development package is there.
  run minibox exec "$id" ls node_modules
  [ "$output" = greeting ]
  minibox rm -f web >/dev/null

  # A changed source file rebuilds what depends on it and nothing else.
  sed -i "s/'first'/'second'/" "$WORK/web/src/server.js"
  run --separate-stderr minibox build -t web:2 --network none "$WORK/web"
  for block in runtime layout deps; do [[ "$output" == *"[$block] CACHED"* ]]; done
  for block in source permissions; do [[ "$output" == *"[$block] DONE"* ]]; done

  # Another host, another time zone, another umask: the same image.
  sed -i "s/'second'/'first'/" "$WORK/web/src/server.js"
  minibox network rm bridge >/dev/null
  kill_daemon TERM
  mv "$WORK/data" "$WORK/data-first"
  cp -r "$WORK/web" "$WORK/elsewhere"
  umask 027
  TZ=Asia/Kathmandu MINIBOX_BUILD_WORKERS=1 start_daemon
  umask 022
  run --separate-stderr minibox build -t web --network none "$WORK/elsewhere"
  [ "$status" -eq 0 ]
  [ "$(sed -n 's/.*DONE image=web manifest=\([0-9a-f]*\).*/\1/p' <<<"$output")" = "$digest" ]
}

@test "AUTO-DEPS installs Python packages from a folder" {
  mkdir -p "$WORK/py/wheels/greeting" "$WORK/py/wheels/greeting-1.0.dist-info"
  host_base py dash coreutils python3 python3-pip
  echo 'def hello(): return "hello from a wheel"' >"$WORK/py/wheels/greeting/__init__.py"
  cd "$WORK/py/wheels"
  printf 'Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n' >greeting-1.0.dist-info/METADATA
  printf 'Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n' \
    >greeting-1.0.dist-info/WHEEL
  printf 'greeting/__init__.py,,\ngreeting-1.0.dist-info/METADATA,,\ngreeting-1.0.dist-info/WHEEL,,\ngreeting-1.0.dist-info/RECORD,,\n' \
    >greeting-1.0.dist-info/RECORD
  python3 -m zipfile -c greeting-1.0-py3-none-any.whl greeting greeting-1.0.dist-info
  rm -r greeting greeting-1.0.dist-info
  cd - >/dev/null
  printf -- '--no-index\n--find-links wheels\ngreeting==1.0\n' >"$WORK/py/requirements.txt"
  cat >"$WORK/py/MiniBox" <<'EOF'
BASE base.tar
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
BLOCK app
    WORKDIR /app
    COPY wheels wheels
    COPY requirements.txt ./
    AUTO-DEPS
    START python3 -c "import greeting; print(greeting.hello())"
EOF
  run --separate-stderr minibox build -t py --network none "$WORK/py"
  echo "$output" | tail -5
  [ "$status" -eq 0 ]
  [[ "$output" == *"auto-deps: detected requirements.txt → running pip install"* ]]
  run --separate-stderr minibox run --rm --network none py
  [ "$output" = "hello from a wheel" ]
}

@test "a pathological tree is the same for everybody" {
  cat <<'EOF' | busybox_context odd
BASE base.tar.gz
BLOCK many
    RUN mkdir -p /many && cd /many && i=0 && while [ $i -lt 20000 ]; do : > f$i; i=$((i+1)); done
BLOCK deep
    RUN i=0; while [ $i -lt 150 ]; do mkdir d; cd d; i=$((i+1)); done; echo deep > bottom
    RUN mkdir /loop && cd /loop && ln -s b a && ln -s a b && ln -s . self && ln -s /loop up && ln -s ../../../../../etc/passwd out
BLOCK links
    RUN mkdir /hard && echo one > /hard/0 && i=1 && while [ $i -lt 1000 ]; do ln /hard/0 /hard/$i; i=$((i+1)); done
BLOCK big
    RUN head -c 157286400 /dev/zero | tr '\0' x > /big && chmod 600 /big
    RUN mkdir -p /opaque/old && echo 1 > /opaque/old/file && echo gone > /gone && mkdir -p /owned/by && echo x > /owned/by/file
BLOCK later
    NEED many deep links big
    RUN chown -R 1234:5678 /owned && chmod 4711 /owned/by/file && rm /gone && rm -r /opaque && mkdir /opaque && echo 2 > /opaque/new
    RUN rm /many/f1* && rm /hard/5 && echo changed >> /hard/6
    RUN mkfifo /fifo && touch '/with space' "/with$(printf '\n')newline" && chmod 2755 /hard
    START sh -c "ls /many | wc -l; ls /hard | wc -l; cat /opaque/new"
EOF
  run --separate-stderr minibox build -t odd --network none "$WORK/odd"
  echo "$output" | tail -5
  [ "$status" -eq 0 ]
  same_tree odd
  run --separate-stderr minibox run --rm --network none odd
  expected=$output
  [ "$output" = $'8889\n999\n2' ]
  [ "$(podman_run odd)" = "$expected" ]

  # Saved, removed, loaded: the same digests, the same sight.
  digest=$(minibox images --json | grep -o 'sha256:[0-9a-f]*' | sort)
  minibox save -o "$WORK/odd.tar" odd
  minibox rmi odd >/dev/null
  minibox system prune --build-cache >/dev/null
  minibox load "$WORK/odd.tar" >/dev/null
  [ "$(minibox images --json | grep -o 'sha256:[0-9a-f]*' | sort)" = "$digest" ]
  run --separate-stderr minibox run --rm --network none odd
  [ "$output" = "$expected" ]
  minibox system verify
}
