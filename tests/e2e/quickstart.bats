# SPDX-License-Identifier: Apache-2.0
# The first command of the README, as a user runs it.
load helpers

setup() {
  WORK=$(mktemp -d /tmp/minibox-e2e-XXXXXX)
  machine_state >"$WORK/before"
}
teardown() { rm -rf "$WORK"; }

@test "scripts/quickstart does the main job and leaves nothing" {
  run "$BATS_TEST_DIRNAME/../../scripts/quickstart"
  echo "$output" | tail -30
  [ "$status" -eq 0 ]
  [[ "$output" == *"Hello from MiniBox"* && "$output" == *"Done:"* ]]
  machine_state >"$WORK/after"
  diff "$WORK/before" "$WORK/after"
}
