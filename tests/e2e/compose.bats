# SPDX-License-Identifier: Apache-2.0
# Projects of several containers, as a user runs them.
load helpers

setup() { e2e_setup; }
teardown() {
  [ ! -d "$WORK/shop" ] || (cd "$WORK/shop" && minibox compose down -v --remove-orphans) >/dev/null 2>&1 || true
  e2e_teardown
}

# A project of three: a database with a health check, a job that ends, a web server after both.
shop() {
  echo 'BASE base.tar.gz' | busybox_context shop
  mkdir -p "$WORK/shop/site"
  echo welcome >"$WORK/shop/site/index.html"
  echo hidden >"$WORK/shop/key.txt"
  cat >"$WORK/shop/compose.yaml" <<'YAML'
services:
  web:
    build: .
    command: httpd -f -v -p 8080 -h /site
    volumes: ["./site:/site:ro"]
    ports: ["127.0.0.1::8080"]
    secrets: [key]
    environment: {GREETING: "${GREETING:-hello}"}
    depends_on:
      db: {condition: service_healthy}
      migrate: {condition: service_completed_successfully}
  migrate:
    image: shop-web
    pull_policy: never
    command: sh -c 'echo migrated >>/data/log'
    volumes: [data:/data]
    depends_on: [db]
  db:
    image: shop-web
    command: sh -c 'sleep 0.3; touch /tmp/ready; echo db is up; exec sleep 1000'
    healthcheck: {test: "test -e /tmp/ready", interval: 100ms}
    volumes: [data:/data]
volumes: {data: }
secrets: {key: {file: key.txt}}
YAML
  cd "$WORK/shop"
}

@test "up, what it made, and a second up" {
  shop
  minibox compose build
  run -0 --separate-stderr minibox compose up -d
  [[ "$output" == *"Service db started: "*"Service migrate started: "*"Service web started: "* ]]
  [[ "$stderr" == *"Network shop-default created"* && "$stderr" == *"Volume shop-data created"* ]]
  run -0 minibox compose ps
  [[ "${lines[0]}" == SERVICE*"CONTAINER ID"*IMAGE*STATUS*HEALTH*EXIT*PORTS ]]
  [[ "$output" == *"db "*running*healthy* && "$output" == *"migrate "*exited*0* ]]
  port=$(host_port "$(minibox inspect shop-web --format '{{.id}}')" 8080)
  [ "$(curl -s "http://127.0.0.1:$port/")" = welcome ]

  run -0 minibox compose exec web cat /run/secrets/key
  [ "$output" = hidden ]
  run -0 minibox compose exec web sh -c 'echo $GREETING; hostname; nslookup db >/dev/null && echo found'
  [ "$output" = $'hello\nweb\nfound' ]
  run -3 minibox compose exec web sh -c 'exit 3'

  run -0 --separate-stderr minibox compose up -d
  [ "$(grep -c 'is up to date' <<<"$output")" = 3 ]
  web=$(minibox compose ps -q | wc -l)
  [ "$web" = 3 ]

  # Only what has changed is made anew; the volume stays.
  before=$(minibox inspect shop-db --format '{{.id}}')
  run -0 --separate-stderr env GREETING=salve minibox compose up -d
  [[ "$output" == *"Service db is up to date"*"Service web started: "* ]]
  [ "$(minibox inspect shop-db --format '{{.id}}')" = "$before" ]
  [ "$(minibox compose exec web sh -c 'echo $GREETING')" = salve ]
  [ "$(minibox compose exec db cat /data/log)" = migrated ]

  run -0 minibox compose logs --tail 5
  [[ "$output" == *"db | db is up"* ]]
  run -0 minibox compose run --rm web sh -c 'echo beside; hostname'
  [[ "$output" == *beside* ]]
  [ "$(minibox compose ps -q | wc -l)" = 3 ]

  run -0 minibox compose down
  [[ "$output" == *"Service web removed: "*"Network shop-default removed"* ]]
  [ -z "$(minibox ps -q)" ]
  minibox volume ls -q | grep -qx shop-data
  run -0 minibox compose -p shop down -v
  [[ "$output" == *"Volume shop-data removed"* ]]
}

@test "stop, start, restart, kill, rm" {
  shop
  minibox compose up -d >/dev/null 2>&1
  run -0 minibox compose stop -t 1 web
  [[ "$output" == "Service web stopped: "* ]]
  [ "$(minibox inspect shop-web --format '{{.status}}')" = exited ]
  run -0 minibox compose start
  [[ "$output" == *"Service web started: "* ]]
  run -0 minibox compose restart -t 1 web
  [[ "$output" == "Service web stopped: "*"Service web started: "* ]]
  minibox compose kill web
  minibox wait shop-web >/dev/null
  run -0 minibox compose rm -f web
  [[ "$output" == "Service web removed: "* ]]
  run -1 minibox compose stop nobody
  [[ "$output" == *"there is no service 'nobody' in project shop"* ]]
  run -2 minibox compose kill -s NOPE
}

@test "attached: logs of all, and Ctrl-C stops them" {
  shop
  minibox compose build 2>/dev/null
  minibox compose up >"$WORK/out" 2>"$WORK/err" 3>&- &
  up=$!
  for _ in $(seq 600); do
    grep -q 'web started' "$WORK/out" && [ "$(minibox inspect shop-web --format '{{.status}}')" = running ] && break
    sleep 0.05
  done
  for _ in $(seq 600); do
    grep -q 'db | db is up' "$WORK/out" && break
    sleep 0.05
  done
  kill -INT "$up"
  code=0
  wait "$up" || code=$?
  [ "$code" = 130 ]
  grep -q 'Service web stopped' "$WORK/out"
  [ "$(minibox compose ps --json | grep -c '"running"')" = 0 ]
}

@test "what a file may not be" {
  mkdir -p "$WORK/bad"
  cd "$WORK/bad"
  run -1 minibox compose up
  [[ "$output" == *"there is no compose file"*"minibox-compose.yaml"* ]]
  printf 'services:\n  a:\n    image: i\n    init: maybe\n' >compose.yaml
  run -1 minibox compose up -d
  [[ "$output" == *"compose.yaml:4:11: init must be true or false, not 'maybe'"* ]]
  printf 'services:\n  a: {image: i, depends_on: [b]}\n  b: {image: i, depends_on: [a]}\n' >compose.yaml
  run -1 minibox compose up -d
  [[ "$output" == *"services depend on each other: a -> b -> a"* ]]
  printf 'services:\n  a: {image: "${IMAGE:?name one}"}\n' >compose.yaml
  run -1 minibox compose up -d
  [[ "$output" == *"variable IMAGE is not set: name one"* ]]
  printf 'services:\n  a: {image: nowhere:1, pull_policy: never, colour: red}\n' >compose.yaml
  run -1 minibox compose up -d
  [[ "$output" == *"'colour' of service 'a' is not supported"* && "$output" == *"image not found"* ]]
  [ -z "$(minibox ps -q)" ]
  ! minibox network ls | grep bad
  run -2 minibox compose dance
  run -2 minibox compose
}

@test "a build that fails in the middle leaves what runs" {
  shop
  minibox compose up -d >/dev/null 2>&1
  before=$(minibox compose ps -q)
  printf 'BASE base.tar.gz\nRUN exit 7\n' >MiniBox
  run -1 minibox compose up -d --build
  [[ "$output" == *"the build of service web failed"* ]]
  [ "$(minibox compose ps -q)" = "$before" ]
  echo 'BASE base.tar.gz' >MiniBox
  run -0 minibox compose up -d --build
}

@test "the resolved file is itself valid" {
  shop
  GREETING='a $dollar' minibox compose config >"$WORK/resolved.yaml"
  grep -q 'GREETING: "a $$dollar"' "$WORK/resolved.yaml"
  cp "$WORK/resolved.yaml" "$WORK/shop/again.yaml"
  run -0 minibox compose -f again.yaml config
  [ "$output" = "$(cat "$WORK/resolved.yaml")" ]
  run -0 minibox compose config --services
  [ "$output" = $'db\nmigrate\nweb' ]
  run -0 minibox compose config --hash
  [ "${#lines[@]}" = 3 ]
}
