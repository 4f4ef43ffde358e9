# SPDX-License-Identifier: Apache-2.0
# What `minibox build` offers besides building: checks, plans, secrets, caches, failed steps.
load helpers

setup() {
  e2e_setup
  mkdir -p "$WORK/app/root/bin"
  cp "$(command -v busybox)" "$WORK/app/root/bin/busybox"
  for applet in sh cat echo ls wc; do ln -s busybox "$WORK/app/root/bin/$applet"; done
  tar -C "$WORK/app/root" -cf "$WORK/app/base.tar" .
  rm -r "$WORK/app/root"
}
teardown() { e2e_teardown; }

minibox_file() { cat >"$WORK/app/MiniBox"; }

@test "a wrong file is shown with its line and a caret" {
  printf 'BASE base.tar\nBLOCK a\n  RNU true\n' | minibox_file
  run --separate-stderr minibox build --check "$WORK/app"
  [ "$status" -eq 1 ]
  [ "${lines[0]}" = "MiniBox:3:3: unknown directive 'RNU' (did you mean 'RUN'?)" ]
  [ "${lines[1]}" = "    3 |   RNU true" ]
  [ "${lines[2]}" = "      |   ^" ]
  run --separate-stderr minibox build --check --json "$WORK/app"
  [[ "$output" == *'"line": 3'* ]]
  run --separate-stderr minibox build -t a "$WORK/app"
  [ "$status" -eq 1 ]
  [[ "$stderr" == *"MiniBox:3:3: unknown directive"*"3 |   RNU true"* ]]
  printf 'BASE base.tar\n' | minibox_file
  minibox build --check "$WORK/app"
}

@test "a plan tells blocks, edges, keys and hits" {
  printf 'BASE base.tar\nBLOCK a\n  RUN echo > /a\nBLOCK b\n  BNEED a\n  COPY FROM=a /a /b\n' |
    minibox_file
  run --separate-stderr minibox build --plan "$WORK/app"
  [ "$status" -eq 0 ]
  [[ "$output" == *"BLOCK b  wave 2"*"build-needs a"*"to be built"* ]]
  minibox build -t planned --network none "$WORK/app" >/dev/null
  run --separate-stderr minibox build --plan --network none "$WORK/app"
  [[ "${lines[0]}" == "mode dag, target b, 2 blocks, 2 cached" ]]
  run --separate-stderr minibox build --plan --json --network none "$WORK/app"
  [[ "$output" == *'"cached": true'* ]]
  run --separate-stderr minibox build --graph "$WORK/app"
  [[ "$output" == "digraph minibox {"*'"b" -> "a" [style=dashed];'*"}" ]]
}

@test "secrets reach the step and nothing else" {
  printf 'BASE base.tar\nBLOCK a\n  RUN --mount=type=secret,id=key wc -c < /run/secrets/key\n' |
    minibox_file
  printf 'top-secret-value' >"$WORK/key"
  run --separate-stderr minibox build -t a --network none --secret "id=key,src=$WORK/key" "$WORK/app"
  [ "$status" -eq 0 ]
  [[ "$output" == *"[a] 16"* ]]
  rm "$WORK/key"
  run grep -r top-secret-value "$WORK/data" "$WORK/daemon.err"
  [ "$status" -ne 0 ]
}

@test "a failed step shows its last lines and can be kept" {
  printf 'BASE base.tar\nBLOCK a\n  RUN echo made > /made; echo clue; exit 4\n' | minibox_file
  run --separate-stderr minibox build -t a --network none --keep-failed a:failed "$WORK/app"
  [ "$status" -eq 1 ]
  [[ "${lines[-1]}" == "Build failed: line 3 (block 'a'): RUN "*": exit status 4" ]]
  [[ "$stderr" == *"block 'a' failed; its last lines:"*"clue"* ]]
  run --separate-stderr minibox run --rm --network none a:failed /bin/cat /made
  [ "$output" = made ]
}

@test "zstd layers are judged well formed by other tools" {
  printf 'BASE scratch\nBLOCK a\n  COPY MiniBox /file\n' | minibox_file
  minibox build -t z --compression zstd "$WORK/app" >/dev/null
  skopeo inspect --raw "oci:$WORK/data:z" | grep -q 'tar+zstd'
  minibox build -t g "$WORK/app" >/dev/null
  umoci unpack --rootless --image "$WORK/data:g" "$WORK/unpacked"
  cmp "$WORK/app/MiniBox" "$WORK/unpacked/rootfs/file"
}
